"""What ``status`` concludes from objects, and how it prints it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs
import pytest
import trustme
from cdk8s_spicedb.live.upgrade.record import Record

from cdk8s_spicedb import TLS, PostgreSQL, SecretKey, ServerProps, SpiceDBProps
from cdk8s_spicedb.cli import main
from cdk8s_spicedb.cli.status_text import age, details, line, table
from cdk8s_spicedb.errors import SpiceDBError
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.compare import Change, Drift, FieldDiff, ObjectDiff
from cdk8s_spicedb.live.evidence import certificate_keys, find_certificates, warnings_of
from cdk8s_spicedb.live.instance import describe
from cdk8s_spicedb.live.status import Status, _upgrade, status, statuses, unsafe, wait_until_safe
from cdk8s_spicedb.live.text import in_words, last_error, redacted, shown
from cdk8s_spicedb.live.workload import (
    MigrationState,
    RolloutState,
    find_migration,
    migration_state,
    pod_of,
    rollout_of,
)
from cdk8s_spicedb.manifests import release_manifests
from cdk8s_spicedb.plans.planner import plan_upgrade
from tests.apiserver import ApiServer, Object
from tests.live.installed import deploy, props

_NOW = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
_CREATED = "2030-01-01T11:00:00Z"
PROPS = SpiceDBProps(
    version="v1.56.0",
    datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")),
    server=ServerProps(grpc_tls=TLS.from_secret("tls")),
)


def deployment(*, ready: int = 2, updated: int = 2, **conditions: Object) -> Object:
    """The Deployment of a release, as Helm applied it."""
    (found,) = [each for each in release_manifests(PROPS) if each["kind"] == "Deployment"]
    annotations = {"meta.helm.sh/release-name": "release"}
    metadata = {**found["metadata"], "namespace": "authz", "generation": 1, "annotations": annotations}
    counts = {"readyReplicas": ready, "availableReplicas": ready, "updatedReplicas": updated, "replicas": 2}
    listed = [{"type": kind, "status": "True", **condition} for kind, condition in conditions.items()]
    return {**found, "metadata": metadata, "status": {**counts, "observedGeneration": 1, "conditions": listed}}


def pod(name: str = "spicedb-5d9f7c8b6d-bcdfg", *, ready: bool = True, **status_fields: Any) -> Object:
    """A server."""
    template = deployment()["spec"]["template"]
    condition = {"type": "Ready", "status": str(ready)}
    return {
        "metadata": {**template["metadata"], "name": name, "namespace": "authz", "creationTimestamp": _CREATED},
        "spec": template["spec"],
        "status": {"conditions": [condition], **status_fields},
    }


def migration_pod(**status_fields: Any) -> Object:
    """The pod of the migration `job`."""
    (found,) = [each for each in release_manifests(PROPS) if each["metadata"]["name"] == "spicedb-migration"]
    template = found["spec"]["template"]
    labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": "spicedb-migration"}
    return {
        "metadata": {"labels": labels, "name": "spicedb-migration-bcdfg", "creationTimestamp": _CREATED},
        "spec": template["spec"],
        "status": {"conditions": [], **status_fields},
    }


def job(condition: str | None, name: str = "spicedb-migration", **fields: Any) -> Object:
    """A migration."""
    (found,) = [each for each in release_manifests(PROPS) if each["metadata"]["name"] == "spicedb-migration"]
    metadata = {**found["metadata"], "name": name, "namespace": "authz", "creationTimestamp": _CREATED}
    conditions = [{"type": condition, "status": "True", "lastTransitionTime": _CREATED, **fields}] if condition else []
    return {**found, "metadata": metadata, "status": {"conditions": conditions}}


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}}]},
            "ImagePullBackOff: no such tag",
        ),
        (
            {
                "containerStatuses": [
                    {
                        "restartCount": 3,
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {
                            "terminated": {
                                "reason": "Error",
                                "exitCode": 1,
                                "message": "first\ncannot reach postgres://a:b@c",
                            }
                        },
                    }
                ]
            },
            "CrashLoopBackOff; stopped before: Error (exit code 1): cannot reach postgres://(hidden)@c",
        ),
        ({"containerStatuses": [{"state": {"running": {}}}]}, "runs, but is not ready: SpiceDB starts, or waits "),
        ({"reason": "Evicted", "message": "the node had little memory"}, "Evicted: the node had little memory"),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, ""),
    ],
)
def test_reasons_of_pods(fields: Object, reason: str) -> None:
    found = pod_of(pod(ready=False, **fields))
    assert found.reason.startswith(reason)
    assert found.reason or not reason
    assert (found.version, found.ready) == ("v1.56.0", False)


def test_pod_that_cannot_be_scheduled() -> None:
    manifest = pod(ready=False)
    message = "0/3 nodes are available: 3 Insufficient memory."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    manifest["status"]["conditions"].append(condition)
    assert pod_of(manifest).reason == f"Unschedulable: {message}"


def test_pods_that_are_fine_or_drain() -> None:
    assert pod_of(pod()).reason == ""
    terminated = {"reason": "OOMKilled", "exitCode": 137}
    restarted = pod(containerStatuses=[{"restartCount": 1, "lastState": {"terminated": terminated}}])
    assert pod_of(restarted).reason == "stopped before: OOMKilled (exit code 137)"
    assert pod_of(restarted).restarts == 1
    draining = pod()
    draining["metadata"]["deletionTimestamp"] = _CREATED
    assert (pod_of(draining).terminating, pod_of(draining).reason) == (True, "drains")


def test_logs_in_words() -> None:
    info, error = '{"level":"info","message":"starts"}', '{"level":"error","message":"ended","error":"no password=abc"}'
    assert in_words(info) == "starts"
    assert in_words(error) == "ended: no password=(hidden)"
    assert in_words("[1]") == "[1]"
    assert last_error(f"{error}\n{info}\n") == "ended: no password=(hidden)"
    assert last_error(f"{error}\npanic: x") == "panic: x"
    assert last_error(f"{info}\n\n") == "starts"
    assert last_error("") == ""


def test_lines_wrap_on_a_terminal() -> None:
    objects = {**_NOTHING, "deployments": [deployment()], "pods": [pod(ready=False, reason="a " * 60)]}
    found = status(cluster_of(**objects), "spicedb")
    lines = "\n".join(str(part) for part in details(found, 80).renderables).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(each.startswith(" " * 17 + "a a") for each in lines)


def test_states_of_roll_outs() -> None:
    assert rollout_of(deployment()).state is RolloutState.DONE
    stuck = deployment(Progressing={"status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"})
    assert (rollout_of(stuck).state, rollout_of(stuck).message) == (RolloutState.STUCK, "too slow")
    refused = deployment(ReplicaFailure={"reason": "FailedCreate", "message": "exceeded quota"})
    assert rollout_of(refused).message == "exceeded quota"
    assert rollout_of(deployment(updated=1)).message == "1 of 2 servers have the newest settings"
    assert rollout_of(deployment(ready=1)).message == "1 of 2 servers are available"
    paused = deployment(updated=1)
    paused["spec"]["paused"] = True
    assert rollout_of(paused).state is RolloutState.PAUSED
    unseen = deployment()
    unseen["metadata"]["generation"] = 2
    assert rollout_of(unseen).state is RolloutState.PROGRESSING


def test_states_of_migrations() -> None:
    assert migration_state(job(None))[0] is MigrationState.RUNNING
    assert migration_state(job("Complete"))[0] is MigrationState.SUCCEEDED
    failed = job("Failed", reason="DeadlineExceeded", message="too long")
    assert migration_state(failed) == (MigrationState.FAILED, "DeadlineExceeded")


def _event(name: str, message: str, *, minutes: int = 1, count: int | None = 1) -> Object:
    time = (_NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"kind": "Pod", "name": name}
    return {
        "metadata": {"name": f"{name}.{message}"},
        "type": "Warning",
        "involvedObject": about,
        "reason": "R",
        "message": message,
        "count": count,
        "lastTimestamp": time,
    }


def test_warnings_are_those_of_the_release_without_repetition() -> None:
    events = [
        _event("spicedb-5d9f7c8b6d-bcdfg", "Error: spicedb-5d9f7c8b6d-bcdfg is bad", minutes=3, count=4),
        _event("spicedb-5d9f7c8b6d-xxxxx", "Error: spicedb-5d9f7c8b6d-xxxxx is bad", count=2),
        _event("spicedb-migration-bcdfg", "other", minutes=2),
        _event("spicedb-migration-0a1b2c3-bcdfg", "of kubectl", minutes=5),
        _event("spicedb-other-5d9f7c8b6d-bcdfg", "of another release"),
        _event("spicedb-2", "of another release"),
        _event("spicedb", "old", minutes=61),
        {**_event("spicedb", "x", minutes=9), "series": {"count": 9, "lastObservedTime": "2030-01-01T11:51:00.5Z"}},
    ]
    found = warnings_of(events, "spicedb", _NOW)
    assert [(each.message, each.count) for each in found] == [
        ("Error: spicedb-5d9f7c8b6d-xxxxx is bad", 6),
        ("other", 1),
        ("of kubectl", 1),
        ("x", 9),
    ]


def test_only_certificates_are_read() -> None:
    assert certificate_keys(deployment()["spec"]["template"]) == [("tls", "tls.crt")]
    template = {"spec": {"volumes": [{"secret": {"secretName": "a"}}, {"emptyDir": {}}]}}
    assert certificate_keys(template) == [("a", "ca.crt"), ("a", "tls.crt")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://user:p%40ss@host/db", "postgres://(hidden)@host/db"),
        ("user:pass@tcp(host:3306)/db", "(hidden)@tcp(host:3306)/db"),
        ("host=a password=secret user=b", "host=a password=(hidden) user=b"),
        ("--grpc-preshared-key=abc x", "--grpc-preshared-key=(hidden) x"),
        ("password authentication failed for user", "password authentication failed for user"),
    ],
)
def test_secrets_are_hidden(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_values_of_fields_that_may_be_secret_are_hidden() -> None:
    base = "spec.template.spec.containers[spicedb]"
    assert shown(f"{base}.env[SPICEDB_GRPC_PRESHARED_KEY].value", "abc") == "(hidden)"
    assert shown(f"{base}.env[SPICEDB_GRPC_PRESHARED_KEY].value", "$(A),$(B)") == "$(A),$(B)"
    assert shown(f"{base}.env[GOMAXPROCS].value", "2") == "2"
    assert shown(f"{base}.args[--datastore-conn-uri]", "host=x") == "(hidden)"
    assert shown(f"{base}.env[PASSWORD].valueFrom.secretKeyRef.name", "spicedb") == "spicedb"


# ---------------------------------------------------------------- the whole


def _secret(revision: int, state: str, created: str = _CREATED) -> Object:
    labels = {"owner": "helm", "name": "release", "version": str(revision), "status": state}
    return {"metadata": {"name": f"v{revision}", "labels": labels, "creationTimestamp": created}}


_LOG = "first\nlast password=abc\n"


def cluster_of(**objects: list[Object]) -> Cluster:
    """A cluster with these objects by their resource, and logs of its pods. There is no right to other resources."""
    api = ApiServer()
    for resource, each in objects.items():
        for content in each:
            api.put(resource, content)
    api.logs.update({pod["metadata"]["name"]: _LOG for pod in api.of("pods")})
    api.allow_only(*objects)
    return api.cluster()


_NOTHING: dict[str, list[Object]] = {"jobs": [], "events": [], "configmaps": [], "secrets": [], "pods": []}


def _text(found: Status) -> str:
    return "\n".join(str(part) for part in details(found).renderables)


def test_healthy_release() -> None:
    objects = {
        **_NOTHING,
        "deployments": [deployment()],
        "pods": [pod()],
        "secrets": [_secret(9, "superseded"), _secret(10, "deployed")],
    }
    found = status(cluster_of(**objects), "spicedb")
    assert found.healthy
    assert found.helm is not None
    assert found.helm.revision == 10
    text = _text(found)
    assert "Helm release release, revision 10 (deployed)" in text
    assert "2 of 2 ready" in text
    assert "add --drift" in text
    assert line(found) == "healthy; 2 of 2 ready; roll-out done; v1.56.0"


def test_failed_migration_until_helm_deploys_again() -> None:
    failed = job("Failed", reason="BackoffLimitExceeded", message="too often")
    objects = {**_NOTHING, "deployments": [deployment()], "jobs": [failed], "pods": [migration_pod()]}
    found = status(
        cluster_of(
            **objects,
        ),
        "spicedb",
    )
    assert found.problems == ("the migration failed: BackoffLimitExceeded",)
    assert found.migration is not None
    assert found.migration.log == ("first", "last password=(hidden)")
    assert "log: last password=(hidden)" in _text(found)
    objects["secrets"] = [_secret(3, "deployed", "2030-01-01T11:00:01Z")]
    assert status(cluster_of(**objects), "spicedb").healthy


def test_without_servers_there_may_be_a_migration() -> None:
    objects = {**_NOTHING, "deployments": []}
    with pytest.raises(SpiceDBError, match="there is no Deployment spicedb in the namespace authz"):
        status(cluster_of(**objects), "spicedb")
    found = status(cluster_of(**{**objects, "jobs": [job(None)]}), "spicedb")
    assert list(found.problems) == ["no server was installed yet"]
    assert "running to head of v1.56.0" in _text(found)
    (summary,) = statuses(cluster_of(**{**objects, "jobs": [job(None)]}))
    assert (summary.state, summary.healthy) == ("not installed; migration running", False)


def test_missing_rights_are_named() -> None:
    found = status(cluster_of(deployments=[deployment()]), "spicedb", drift=True)
    assert found.healthy
    assert any(each.startswith("pods: pods is forbidden: User ") for each in found.unknown)
    assert found.drift is not None
    assert not found.drift.known
    assert "secrets is forbidden" in _text(found)


def test_drift_and_warnings_in_text() -> None:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    events = [{**_event("spicedb", f"{number} is wrong", count=number), "lastTimestamp": now} for number in range(1, 8)]
    objects = {**_NOTHING, "deployments": [deployment()], "events": events, "pods": [pod(ready=False)]}
    found = status(cluster_of(**objects), "spicedb")
    fields = (FieldDiff(path="spec.replicas", before=None, after=3),)
    objects_changed = (ObjectDiff(kind="Deployment", name="spicedb", change=Change.CHANGED, fields=fields),)
    text = _text(attrs.evolve(found, drift=Drift(known=True, objects=objects_changed), revision="a", upgrade="b"))
    assert "Deployment spicedb changed since the release" in text
    assert "spec.replicas: (not set) -> 3" in text
    assert "and 2 more in the last hour" in text
    assert "Pod spicedb: R: 7 is wrong (7 times)" in text
    assert "at revision a" in text
    assert "none: the objects are as released" in _text(attrs.evolve(found, drift=Drift(known=True)))
    one = line(attrs.evolve(found, upgrade="step 1"))
    assert "spicedb-5d9f7c8b6d-bcdfg: " not in one
    assert one.endswith("; step 1")


def test_migration_that_does_not_start() -> None:
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "spicedb" not found'}
    migrating = migration_pod(containerStatuses=[{"state": {"waiting": waiting}}])
    message = "0/1 nodes are available"
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    migrating["status"]["conditions"].append(condition)
    found = find_migration(cluster_of(jobs=[job(None)], pods=[migrating]), "spicedb")
    assert found.reason == (f'CreateContainerConfigError: secret "spicedb" not found; Unschedulable: {message}')
    terminated = {"reason": "Error", "exitCode": 1, "message": "password=abc"}
    migrating = migration_pod(containerStatuses=[{"state": {"terminated": terminated}}])
    found = find_migration(cluster_of(jobs=[job(None)], pods=[migrating]), "spicedb")
    assert found.reason == "Error (exit code 1): password=(hidden)"


def test_newest_migration_of_several() -> None:
    older, newer = job("Failed", "spicedb-migration-0a1b2c3"), job("Complete", "spicedb-migration-1a1b2c3")
    newer["metadata"]["creationTimestamp"] = "2030-01-01T11:30:00Z"
    found = status(cluster_of(**{**_NOTHING, "deployments": [deployment()], "jobs": [newer, older]}), "spicedb")
    assert found.migration is not None
    assert (found.migration.job, found.migration.log) == ("spicedb-migration-1a1b2c3", ())


def test_table() -> None:
    other = deployment(ready=1)
    other["metadata"] = {**other["metadata"], "name": "other"}
    found = statuses(cluster_of(deployments=[deployment(), other], jobs=[job("Failed")]), everywhere=True)
    assert [(each.name, each.state, each.healthy) for each in found] == [
        ("other", "roll-out progressing", False),
        ("spicedb", "migration failed", False),
    ]
    lines = str(table(found)).splitlines()
    assert lines[0].split() == ["NAMESPACE", "NAME", "VERSION", "ENGINE", "READY", "STATE", "APPLIED", "BY"]
    assert lines[2].startswith("authz      spicedb  v1.56.0  postgres  2/2    migration failed")


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize("count", [1, 50])
def test_many_spicedbs_need_no_more_requests(count: int) -> None:
    api = ApiServer()
    for number in range(count):
        deploy(api, props(name=f"tenant-{number}"))
    assert len(statuses(api.cluster(), everywhere=True)) == count
    assert sorted(request.path for request in api.requests) == [
        "/apis/apps/v1",
        "/apis/apps/v1/deployments",
        "/apis/batch/v1",
        "/apis/batch/v1/jobs",
    ]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the command use a cluster with some objects."""

    def connect(**objects: list[Object]) -> None:
        cluster = cluster_of(**{**_NOTHING, **objects})
        monkeypatch.setattr("cdk8s_spicedb.cli.status.connect", lambda *_: cluster)

    return connect


def test_command(connected: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    connected(deployments=[deployment()], pods=[pod()])
    assert main(["status"]) == 0
    assert capsys.readouterr().out.startswith("spicedb in namespace authz: healthy\n")
    assert main(["status", "spicedb", "--output=json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rollout"]["state"], found["migration"]["state"], found["applier"]) == ("done", "none", "helm")
    connected(deployments=[deployment(ready=1)])
    assert main(["status"]) == 1
    assert "1 of 2 servers are ready" in capsys.readouterr().out


def test_command_lists_several(connected: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    other = deployment()
    other["metadata"] = {**other["metadata"], "name": "other"}
    connected(deployments=[deployment(), other])
    assert main(["status"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("authz      other")
    assert main(["status", "-A", "--output=json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["other", "spicedb"]
    assert main(["status", "--wait"]) == 1
    assert "there are several SpiceDBs; name one of them: other, spicedb" in capsys.readouterr().err
    connected(deployments=[])
    assert main(["status"]) == 1
    assert "there is no SpiceDB in the namespace authz" in capsys.readouterr().err
    assert main(["status", "-A"]) == 1
    assert "in any namespace" in capsys.readouterr().err


def test_command_waits(connected: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    server = pod(podIP="10.0.0.1")
    labels = {"kubernetes.io/service-name": "spicedb"}
    endpoints = {
        "metadata": {"name": "a", "labels": labels},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
    }
    connected(deployments=[deployment()], pods=[server], endpointslices=[endpoints])
    assert main(["status", "--wait=1"]) == 0
    connected(deployments=[deployment(ready=1)])
    assert main(["status", "--wait=0"]) == 1
    captured = capsys.readouterr()
    assert "not safe yet: 1 of 2 new servers ready" in captured.err


def test_command_watches(
    connected: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(deployments=[deployment()])
    pauses = iter([None, KeyboardInterrupt()])

    def sleep(_: float) -> None:
        pause = next(pauses)
        if pause is not None:
            raise pause

    monkeypatch.setattr("time.sleep", sleep)
    assert main(["status", "--watch"]) == 0
    (printed,) = capsys.readouterr().out.splitlines()
    assert printed.endswith("healthy; 2 of 2 ready; roll-out done; no servers")


def test_command_asks_the_database(
    connected: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    connected(deployments=[deployment()])
    answers: dict[str | None, str | None] = {None: "a-revision", "other": None}
    monkeypatch.setattr(
        import_module("cdk8s_spicedb.live.check.database"), "read_revision", lambda _, __, image: answers[image]
    )
    file = tmp_path / "spicedb.yaml"
    text = "datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}\n"
    file.write_text(text)
    assert main(["status", "--datastore", f"--file={file}"]) == 0
    assert "at revision a-revision" in capsys.readouterr().out
    assert main(["status", "--datastore", f"--file={file}", "--database-image=other"]) == 0
    assert "at revision none" in capsys.readouterr().out
    file.write_text(f"name: another\n{text}")
    assert main(["status", "--datastore", f"--file={file}"]) == 1
    assert "describes another, not spicedb" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("objects", "reason", "is_final"),
    [
        (
            {"jobs": [job(None)], "pods": [migration_pod()]},
            "the migration spicedb-migration runs: last password=(hidden)",
            False,
        ),
        ({"deployments": []}, "there is no Deployment spicedb", False),
        ({"deployments": [], "jobs": [job("Failed")]}, "there is no Deployment spicedb", True),
        (
            {"deployments": [deployment(ReplicaFailure={"message": "exceeded quota"})]},
            "the roll-out is stuck: exceeded quota",
            True,
        ),
        (
            {"deployments": [deployment(ready=1)], "jobs": [job("Failed", reason="A", message="b")]},
            "1 of 2 new servers ready; the migration failed: A",
            True,
        ),
        ({}, "the Service spicedb has 0 of 1 servers", False),
    ],
)
def test_what_makes_a_change_unsafe(objects: dict[str, list[Object]], reason: str, is_final: bool) -> None:
    usual = {**_NOTHING, "deployments": [deployment()], "pods": [pod(podIP="10.0.0.1")], "endpointslices": []}
    assert unsafe(cluster_of(**{**usual, **objects}), "spicedb") == (reason, is_final)


def test_waiting_tells_each_reason_once() -> None:
    cluster, reasons = cluster_of(**{**_NOTHING, "jobs": [job(None)], "deployments": []}), list[str]()
    assert wait_until_safe(cluster, "spicedb", 0.6, reasons.append) == "the migration spicedb-migration runs"
    assert reasons == ["the migration spicedb-migration runs"]


def test_certificates() -> None:
    authority = trustme.CA()
    data = {"tls.crt": authority.cert_pem.bytes(), "tls.key": b"not read", "ca.crt": b"no certificate"}
    secret = {"metadata": {"name": "tls"}, "data": {key: base64.b64encode(each).decode() for key, each in data.items()}}
    template = {"spec": {"volumes": [{"secret": {"secretName": "tls"}}, {"secret": {"secretName": "gone"}}]}}
    found = find_certificates(cluster_of(secrets=[secret]), template)
    assert [(each.secret, each.key, each.reason) for each in found] == [
        ("tls", "ca.crt", "it is no certificate in PEM format"),
        ("tls", "tls.crt", ""),
        ("gone", "ca.crt", "there is no such Secret"),
        ("gone", "tls.crt", "there is no such Secret"),
    ]
    assert (found[1].days or 0) > 365
    for each in find_certificates(cluster_of(), template):
        assert each.reason.startswith(f'secrets "{each.secret}" is forbidden: User ')
    objects = {**_NOTHING, "deployments": [deployment()], "secrets": [_ended(authority)]}
    ended = status(cluster_of(**objects), "spicedb", certificates=True)
    assert ended.problems == ("the certificate tls.crt in the Secret tls has expired",)
    assert "tls/tls.crt: expires 2020-01-01T00:00:00Z" in _text(ended)


def _ended(authority: trustme.CA) -> Object:
    leaf = authority.issue_cert("spicedb", not_after=datetime(2020, 1, 1), not_before=datetime(2019, 1, 1))
    content = base64.b64encode(leaf.cert_chain_pems[0].bytes()).decode()
    return {"metadata": {"name": "tls"}, "data": {"tls.crt": content}}


def test_an_upgrade_that_is_under_way() -> None:
    plan = plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0", schema_mode="read-legacy-write-both")
    running = describe(deployment())
    record = Record.start(plan, running, "1")
    assert _upgrade(None) is None
    assert _upgrade(record) == "v1.52.0 to v1.56.0: step 1 of 2 (v1.56.0) is next"
    begun = record.begin(1)
    assert _upgrade(begun) == "v1.52.0 to v1.56.0: step 1 of 2 (v1.56.0) runs"
    assert _upgrade(begun.stop("it broke", running=1)) == (
        "v1.52.0 to v1.56.0: step 1 of 2 (v1.56.0) is next; the last attempt stopped: it broke"
    )
    assert _upgrade(begun.finish("2").begin(2).finish("3")) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--all-namespaces", "spicedb"],
        ["--watch", "--wait"],
        ["--datastore"],
        ["--file", "a.yaml"],
        ["--watch", "--output=json"],
        ["--wait=-1"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["status", *arguments])
    assert caught.value.code == 2


def test_ages() -> None:
    now = datetime.now(timezone.utc)
    for seconds, text in ((3, "3s"), (200, "3m"), (8000, "2h"), (200_000, "2d")):
        assert age((now - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")) == text


def test_other_commands_load_no_client() -> None:
    code = (
        "import sys; from cdk8s_spicedb.cli import main\n"
        "main(['plan', '--engine=postgres', '--from=v1.52.0'])\n"
        "assert not {'lightkube', 'httpx2', 'rich'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
