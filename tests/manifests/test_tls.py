"""TLS at the servers' ports: flags, files, and probes that still work."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import TLS, DispatchTLS, InvalidProps, SecretKey, ServerProps, SpiceDBProps
from cdk8s_spicedb.props import require
from tests.synth import ENGINES, POSTGRES, Manifests, synth

FOLDER = "/etc/spicedb/tls"
ALL: dict[str, Any] = {
    "grpc_tls": TLS.from_secret("clients"),
    "http_tls": TLS.from_secret("clients"),
    "http_enabled": True,
    "metrics_tls": TLS.from_secret("metrics"),
    "dispatch_tls": DispatchTLS.from_secret("dispatch"),
}


def found(datastore: Any = POSTGRES, **server: Any) -> Manifests:
    return synth(SpiceDBProps(version="v1.56.0", datastore=datastore, server=ServerProps(**server)))


def files(objects: Manifests, volume: str = "tls") -> list[tuple[str, str, str]]:
    """By file in a volume, the Secret and the key in it."""
    [projected] = [each["projected"] for each in objects.pod("Deployment")["volumes"] if each["name"] == volume]
    return [
        (item["path"], source["secret"]["name"], item["key"])
        for source in projected["sources"]
        for item in source["secret"]["items"]
    ]


def test_a_secret_for_tls_has_the_keys_that_kubernetes_gives_it() -> None:
    assert TLS.from_secret("web") == TLS(certificate=SecretKey("web", "tls.crt"), key=SecretKey("web", "tls.key"))
    assert DispatchTLS.from_secret("web").ca == SecretKey("web", "ca.crt")


@pytest.mark.parametrize(
    ("server", "flag"),
    [
        ({"grpc_tls": ALL["grpc_tls"]}, "grpc"),
        ({"http_tls": ALL["http_tls"], "http_enabled": True}, "http"),
        ({"metrics_tls": ALL["metrics_tls"]}, "metrics"),
        ({"dispatch_tls": ALL["dispatch_tls"]}, "dispatch-cluster"),
    ],
)
def test_each_port_is_told_of_its_certificate_and_key(server: dict[str, Any], flag: str) -> None:
    port = flag.partition("-")[0]
    args = found(**server).container("Deployment")["args"]
    assert f"--{flag}-tls-cert-path={FOLDER}/{port}.crt" in args
    assert f"--{flag}-tls-key-path={FOLDER}/{port}.key" in args
    assert sum("-tls-" in each for each in args) == 2
    ca = f"--dispatch-upstream-ca-path={FOLDER}/dispatch-ca.crt"
    assert (ca in args) is (port == "dispatch")


def test_certificates_are_files_of_one_folder() -> None:
    objects = found(**ALL)
    [mount] = objects.container("Deployment")["volumeMounts"]
    assert mount == {"name": "tls", "mountPath": FOLDER, "readOnly": True}
    assert sorted(files(objects)) == [
        ("dispatch-ca.crt", "dispatch", "ca.crt"),
        ("dispatch.crt", "dispatch", "tls.crt"),
        ("dispatch.key", "dispatch", "tls.key"),
        ("grpc.crt", "clients", "tls.crt"),
        ("grpc.key", "clients", "tls.key"),
        ("http.crt", "clients", "tls.crt"),
        ("http.key", "clients", "tls.key"),
        ("metrics.crt", "metrics", "tls.crt"),
        ("metrics.key", "metrics", "tls.key"),
    ]


def test_the_datastores_files_have_a_folder_of_their_own() -> None:
    objects = found(ENGINES["postgres-parts"], **ALL)
    folders = [mount["mountPath"] for mount in objects.container("Deployment")["volumeMounts"]]
    assert folders == ["/etc/spicedb/datastore", FOLDER]
    assert {name for name, _, _ in files(objects, "datastore")} == {"ca.crt", "tls.crt", "tls.key"}


def test_the_migration_has_no_servers_certificates() -> None:
    assert "volumes" not in found(**ALL).pod("Job", "migration")


def test_readiness_is_asked_through_tls() -> None:
    probe = found(grpc_tls=ALL["grpc_tls"]).container("Deployment")["readinessProbe"]
    assert probe["exec"]["command"] == ["grpc_health_probe", "-addr=:50051", "-tls", "-tls-no-verify"]
    assert "grpc" not in probe
    assert probe["periodSeconds"] == 2


def test_readiness_is_asked_by_kubernetes_itself_where_grpc_has_no_tls() -> None:
    server = {name: value for name, value in ALL.items() if name != "grpc_tls"}
    assert found(**server).container("Deployment")["readinessProbe"]["grpc"] == {"port": 50051}


@pytest.mark.parametrize("missing", ["certificate", "key", "ca"])
def test_half_a_configuration_cannot_be_said(missing: str) -> None:
    parts = {name: SecretKey("web", name) for name in ("certificate", "key", "ca") if name != missing}
    with pytest.raises(TypeError, match=missing):
        DispatchTLS(**parts)
    with pytest.raises(InvalidProps, match=f"server.dispatch_tls.{missing}"):
        require(
            SpiceDBProps(
                datastore=POSTGRES,
                server=ServerProps(dispatch_tls=DispatchTLS(**parts, **{missing: None})),  # type: ignore[arg-type]
            )
        )
