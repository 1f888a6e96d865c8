"""Backups on a schedule: what is on the volume after some of them, and after one that was killed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from cdk8s_spicedb import BackupProps, SpiceDBProps
from cdk8s_spicedb.live.data.file import reading
from tests.lab.cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, Object, run, wait
from tests.lab.command import Command
from tests.lab.databases import postgres_locked
from tests.lab.helm import Helm
from tests.lab.props import NEWEST, ON_MARIADB, on_postgres

from .test_copy import NUMBER, write

CRON_JOB = CLAIM = "spicedb-backup"
_SHELL = "docker.io/library/busybox:1.37"
_USER = 65532


def _pod(name: str, claim: str, *command: str) -> Object:
    """A pod that runs a command beside the volume of a claim, at /backups."""
    container = {
        "name": "shell",
        "image": _SHELL,
        "command": command,
        "volumeMounts": [{"name": "volume", "mountPath": "/backups"}],
        "securityContext": RESTRICTED_CONTAINER,
    }
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "securityContext": {
            **RESTRICTED_POD,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
        },
        "containers": [container],
        "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": claim}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _volume(name: str, storage_class: str, **source: object) -> Object:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": storage_class,
        **source,
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def _make_folder(namespace: Namespace, path: str, node: str) -> None:
    """Makes a folder on a node. Kubernetes makes one for a volume of the type hostPath, and for no other type."""
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    name, source = f"{namespace.name}-folder", {"path": path, "type": "DirectoryOrCreate"}
    maker = _pod("folder", "folder", "true")
    maker["spec"]["nodeName"] = node
    namespace.apply(
        _volume(name, "", hostPath=source),
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "folder"},
            "spec": {**claim, "storageClassName": "", "volumeName": name},
        },
        maker,
    )

    def is_made() -> bool:
        pod = namespace.get("pod", "folder")
        return pod is not None and pod["status"].get("phase") == "Succeeded"

    wait("the folder for a volume", is_made)
    namespace.kubectl("delete", "pod/folder", "persistentvolumeclaim/folder", f"persistentvolume/{name}")


@pytest.fixture
def storage_class(namespace: Namespace) -> Iterator[str]:
    """A StorageClass with one volume, which is bound only when a pod needs it, as volumes of cloud providers are.

    The volume is a folder of a node. Its type is local, because Kubernetes gives such a volume to the group of its
    pods.
    """
    name = namespace.name
    node = json.loads(run("kubectl", "get", "nodes", "--output=json").stdout)["items"][0]["metadata"]
    host = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node["labels"]["kubernetes.io/hostname"]]}
    _make_folder(namespace, f"/var/tmp/{name}", node["name"])
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}}
    namespace.apply(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        _volume(name, name, local={"path": f"/var/tmp/{name}"}, nodeAffinity=affinity),
    )
    yield name
    run("kubectl", "delete", f"storageclass/{name}", f"persistentvolume/{name}", "--wait=false")


def props(storage_class: str) -> SpiceDBProps:
    """SpiceDB with a schedule that does not come during a test."""
    backup = BackupProps(schedule="@yearly", keep=2, storage="1Gi", storage_class=storage_class)
    return on_postgres(NEWEST, backup=backup)


def start(namespace: Namespace, name: str) -> None:
    """Starts a backup, as users do who want one now."""
    namespace.kubectl("create", "job", name, f"--from=cronjob/{CRON_JOB}")


def wait_for(namespace: Namespace, job: str) -> None:
    def has_ended() -> str | None:
        conditions = (namespace.get("job", job) or {}).get("status", {}).get("conditions", [])
        return next((each["type"] for each in conditions if each["type"] in ("Complete", "Failed")), None)

    assert wait(f"the backup {job}", has_ended) == "Complete"


@contextmanager
def shell(namespace: Namespace) -> Iterator[None]:
    """A pod with the volume of the backups, as in the documentation."""
    namespace.apply(_pod("backups", CLAIM, "sleep", "3600"))
    namespace.kubectl("wait", "pod/backups", "--for=condition=Ready", "--timeout=60s")
    yield
    namespace.kubectl("delete", "pod", "backups")


def names(namespace: Namespace) -> list[str]:
    """The names of the complete backups on the volume, the oldest first. No other file may look like one."""
    found = namespace.kubectl("exec", "backups", "--", "ls", "-l", "/backups").splitlines()[1:]
    backups = [line for line in found if line.endswith(".zedbackup")]
    assert all(line.startswith("-rw-------") for line in backups), "only the owner may read them"
    return sorted(line.split()[-1] for line in backups)


def _partial(namespace: Namespace) -> str:
    """What is written of a backup that runs."""
    find = ("exec", "backups", "--", "find", "/backups", "-name", "*.partial")
    return wait("the file", lambda: namespace.kubectl(*find).strip())


def copied(namespace: Namespace, name: str, folder: Path) -> Path:
    """A backup, on this machine."""
    file = folder / name
    file.write_bytes(base64.b64decode(namespace.kubectl("exec", "backups", "--", "base64", f"/backups/{name}")))
    return file


def test_scheduled_backups_are_kept_and_restored(
    helm: Helm,
    namespace: Namespace,
    command: Command,
    postgres: None,
    mariadb: None,
    storage_class: str,
    tmp_path: Path,
) -> None:
    installed = helm.install(props(storage_class))
    assert installed.ok, f"Helm waits for the claim, which a Job binds: {installed.output}"
    write(namespace)
    seen: list[str] = []
    with shell(namespace):
        for number in range(1, 4):
            start(namespace, f"backup-{number}")
            wait_for(namespace, f"backup-{number}")
            seen = [*seen, *(name for name in names(namespace) if name not in seen)]
        assert names(namespace) == seen[1:], "the newest two"
        file = copied(namespace, seen[-1], tmp_path)
    with reading(file) as (head, relationships):
        assert "definition document" in head.schema
        assert sum(1 for _ in relationships) == NUMBER
    cron_job = namespace.get("cronjob", CRON_JOB)
    assert cron_job is not None
    assert cron_job["status"]["lastSuccessfulTime"], "the alert looks at this time"

    assert helm.install(attrs.evolve(on_postgres(NEWEST, datastore=ON_MARIADB), name="new"), release="new").ok
    restored = command.run("restore", "new", str(file))
    assert restored.code == 0, restored.error
    compared = command.run("compare", "spicedb", "new", "--questions=200")
    assert (compared.code, compared.output.splitlines()[-1]) == (0, "All answers are equal.")

    assert helm.uninstall().ok
    assert namespace.get("cronjob", CRON_JOB) is None
    claim = namespace.get("persistentvolumeclaim", CLAIM)
    assert claim is not None
    assert claim["status"]["phase"] == "Bound", "the backups outlive the release"
    assert helm.install(props(storage_class)).ok, "a new release uses them again"
    with shell(namespace):
        assert names(namespace) == seen[1:]


def test_a_killed_backup_leaves_nothing_that_looks_whole(
    helm: Helm, namespace: Namespace, postgres: None, storage_class: str, tmp_path: Path
) -> None:
    assert helm.install(props(storage_class)).ok
    write(namespace)

    def backing_up() -> str | None:
        for pod in namespace.list("pods", component="backup"):
            steps = {each["name"]: each["state"] for each in pod["status"].get("initContainerStatuses", [])}
            if pod["metadata"]["name"].startswith("killed-") and "running" in steps.get("zed", {}):
                return str(pod["metadata"]["name"])
        return None

    with shell(namespace):
        # SpiceDB waits for the lock, and zed for SpiceDB.
        with postgres_locked(namespace, "relation_tuple", 120):
            start(namespace, "killed")
            pod = wait("a backup that runs", backing_up)
            assert _partial(namespace)
            namespace.kubectl("delete", "pod", pod, "--force", "--grace-period=0")
            assert names(namespace) == []
        wait_for(namespace, "killed")
        [name] = names(namespace)
        with reading(copied(namespace, name, tmp_path)) as (_, relationships):
            assert sum(1 for _ in relationships) == NUMBER, "the next pod of the Job makes a whole one"
