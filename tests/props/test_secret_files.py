"""Files from Secrets."""

from __future__ import annotations

from cdk8s_spicedb import SecretKey
from cdk8s_spicedb.props.secrets import SecretFiles

FILES = SecretFiles(
    "datastore", "/etc/spicedb/datastore", {"ca.crt": SecretKey("ca", "bundle"), "tls.key": SecretKey("client", "key")}
)


def test_a_volume_takes_each_file_from_its_own_secret() -> None:
    assert FILES.volume() == {
        "name": "datastore",
        "projected": {
            "defaultMode": 0o440,
            "sources": [
                {"secret": {"name": "ca", "items": [{"key": "bundle", "path": "ca.crt"}]}},
                {"secret": {"name": "client", "items": [{"key": "key", "path": "tls.key"}]}},
            ],
        },
    }


def test_only_owner_and_group_may_read_the_files() -> None:
    assert FILES.volume()["projected"]["defaultMode"] == 288


def test_a_mount_is_read_only_and_of_that_volume() -> None:
    assert FILES.mount() == {"name": FILES.volume()["name"], "mountPath": "/etc/spicedb/datastore", "readOnly": True}


def test_a_path_is_in_the_mounted_folder() -> None:
    assert FILES.path("ca.crt") == "/etc/spicedb/datastore/ca.crt"
    assert FILES.path("ca.crt").startswith(FILES.mount()["mountPath"])
