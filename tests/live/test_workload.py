"""What an observation of the servers and the migration means. Nothing here needs a cluster."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from cdk8s_spicedb.live.apierror import Forbidden
from cdk8s_spicedb.live.instance import Observed, describe
from cdk8s_spicedb.live.workload import (
    Counts,
    MigrationState,
    RolloutState,
    counts,
    drain_seconds,
    migration_of,
    migration_state,
    newest_servers,
    progress_of,
    rollout_of,
    unsafe,
    unsettled,
)
from tests.apiserver import Object
from tests.live.objects import CREATED, NOW, deployment, job, migration_pod, server_pod

DENIED = Forbidden("you may not", 403)
LOG = ("first", "last password=abc")


def seen(**fields: Any) -> Observed:
    """An observation. By default, two servers run, are ready, and have their endpoints."""
    return Observed(name="spicedb", namespace="authz", at=NOW, second=0, **{**SETTLED, **fields})


def ready(name: str = "a", address: str = "10.0.0.1", template: str = "new") -> Object:
    pod = server_pod(name, podIP=address)
    pod["metadata"]["labels"] = {**pod["metadata"]["labels"], "pod-template-hash": template}
    return pod


def draining(end: datetime = NOW + timedelta(seconds=30)) -> Object:
    """A server that was told to stop, and the time at which its grace period ends."""
    pod = ready("old", "10.0.0.9", "old")
    pod["metadata"]["deletionTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    return pod


def lost_pod(job: str = "spicedb-migration", component: str = "migration") -> Object:
    """A pod of a Job that was told to stop an hour ago."""
    pod = migration_pod()
    own = {"batch.kubernetes.io/job-name": job, "app.kubernetes.io/component": component}
    labels = {**pod["metadata"]["labels"], **own}
    pod["metadata"] = {**pod["metadata"], "name": "lost", "deletionTimestamp": CREATED, "labels": labels}
    return pod


LOST = (
    "Helm may wait for {job}, because the node of lost does not answer; if it is off, run "
    "`kubectl delete pod lost --force --namespace authz`"
)


def endpoints(*addresses: str, are_ready: bool = True) -> Object:
    return {"endpoints": [{"addresses": [each], "conditions": {"ready": are_ready}} for each in addresses]}


def of(found: Object, **status: Any) -> Object:
    """An object with other values in its status."""
    return {**found, "status": {**found["status"], **status}}


PODS = (ready("a", "10.0.0.1"), ready("b", "10.0.0.2"))
SETTLED: dict[str, Any] = {
    "deployment": deployment(),
    "pods": PODS,
    "endpoints": (endpoints("10.0.0.1"), endpoints("10.0.0.2")),
}
STUCK = deployment(Progressing={"status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"})
FOREIGN = deployment()
FOREIGN["metadata"]["labels"] = {}


# ---------------------------------------------------------------- the migration


def test_states_of_migrations() -> None:
    assert migration_state(job(None)) is MigrationState.RUNNING
    assert migration_state(job("Complete")) is MigrationState.SUCCEEDED
    assert migration_state(job("Failed")) is MigrationState.FAILED
    failed = migration_of(seen(jobs=(job("Failed", reason="DeadlineExceeded", message="too long"),)))
    assert (failed.state, failed.reason, failed.ended) == (MigrationState.FAILED, "DeadlineExceeded", CREATED)
    assert migration_of(seen()).state is MigrationState.NONE


def test_newest_migration() -> None:
    found = migration_of(seen(jobs=(job("Complete", "older"), job(None, "newer")), log=LOG))
    assert (found.job, found.version, found.target, found.started) == ("newer", "v1.56.0", "head", CREATED)
    assert (found.state, found.log) == (MigrationState.RUNNING, ("first", "last password=(hidden)"))


def test_migration_that_does_not_start() -> None:
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "spicedb" not found'}
    pod = migration_pod(containerStatuses=[{"state": {"waiting": waiting}}])
    message = "0/1 nodes are available"
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    pod["status"]["conditions"].append(condition)
    found = migration_of(seen(jobs=(job(None),), pods=(pod,)))
    assert found.reason == f'CreateContainerConfigError: secret "spicedb" not found; Unschedulable: {message}'


def test_migration_whose_pods_failed() -> None:
    terminated = {"reason": "Error", "exitCode": 1, "message": "password=abc"}
    pod = migration_pod(containerStatuses=[{"state": {"terminated": terminated}}])
    assert migration_of(seen(jobs=(job(None),), pods=(pod,))).reason == "Error (exit code 1): password=(hidden)"
    assert migration_of(seen(jobs=(job("Complete"),), pods=(pod,))).reason == ""
    other = migration_of(seen(jobs=(job(None, "another"),), pods=(pod,)))
    assert other.reason == "", "the pod is of the migration before"


def test_deadline_of_a_migration() -> None:
    limited = of(job(None), startTime="2030-01-01T11:50:00Z")
    limited["spec"] = {**limited["spec"], "activeDeadlineSeconds": 900}
    found = seen(jobs=(limited,), log=LOG)
    assert migration_of(found).deadline == "2030-01-01T12:05:00Z"
    assert progress_of(found) == ("the migration runs: last password=(hidden)", 300)
    late = Observed(name="spicedb", namespace="authz", at=NOW + timedelta(hours=1), second=0, jobs=(limited,))
    assert progress_of(late) == ("the migration runs", 0)
    assert migration_of(seen(jobs=(job(None),))).deadline is None


# ---------------------------------------------------------------- the roll-out


@pytest.mark.parametrize(
    ("found", "state", "message"),
    [
        (deployment(), RolloutState.DONE, ""),
        (deployment(Progressing={"message": "it has progressed"}), RolloutState.DONE, "it has progressed"),
        (STUCK, RolloutState.STUCK, "too slow"),
        (
            deployment(ReplicaFailure={"reason": "FailedCreate", "message": "exceeded quota"}),
            RolloutState.STUCK,
            "exceeded quota",
        ),
        (deployment(updated=1), RolloutState.PROGRESSING, "1 of 2 servers have the newest settings"),
        (of(deployment(), replicas=3), RolloutState.PROGRESSING, "1 older servers are left"),
        (deployment(ready=1), RolloutState.PROGRESSING, "1 of 2 servers are available"),
        (
            of(deployment(), observedGeneration=0),
            RolloutState.PROGRESSING,
            "Kubernetes has not seen the change yet",
        ),
        (
            {**deployment(updated=1), "spec": {**deployment()["spec"], "paused": True}},
            RolloutState.PAUSED,
            "resume it with `kubectl rollout resume`",
        ),
    ],
)
def test_states_of_roll_outs(found: Object, state: RolloutState, message: str) -> None:
    rollout = rollout_of(found)
    assert (rollout.state, rollout.message) == (state, message)


@pytest.mark.parametrize(
    ("found", "expected", "replaced"),
    [
        (deployment(), Counts(wanted=2, updated=2, total=2, available=2, ready=2, seen=True), True),
        (deployment(ready=1), Counts(wanted=2, updated=2, total=2, available=1, ready=1, seen=True), True),
        (deployment(updated=1), Counts(wanted=2, updated=1, total=2, available=2, ready=2, seen=True), False),
        (
            of(deployment(), replicas=3),
            Counts(wanted=2, updated=2, total=3, available=2, ready=2, seen=True),
            False,
        ),
        (
            of(deployment(), observedGeneration=0),
            Counts(wanted=2, updated=2, total=2, available=2, ready=2, seen=False),
            False,
        ),
        (
            {"metadata": {"generation": 1}, "spec": {}},
            Counts(wanted=1, updated=0, total=0, available=0, ready=0, seen=False),
            False,
        ),
        (
            {"metadata": {}, "spec": {"replicas": 0}, "status": {}},
            Counts(wanted=0, updated=0, total=0, available=0, ready=0, seen=True),
            True,
        ),
    ],
)
def test_numbers_of_servers(found: Object, expected: Counts, replaced: bool) -> None:
    assert counts(found) == expected
    assert counts(found).replaced is replaced


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"deployment": None}, "there is no Deployment spicedb"),
        ({"deployment": of(deployment(), observedGeneration=0)}, "Kubernetes has not seen the change yet"),
        ({"deployment": deployment(updated=1)}, "1 of 2 new servers ready"),
        ({"deployment": deployment(ready=0)}, "0 of 2 new servers ready"),
        ({"deployment": of(deployment(), replicas=3)}, "2 of 2 new servers ready"),
        ({"pods": (*PODS, draining())}, "1 older server draining"),
        ({"pods": (*PODS, draining(), draining())}, "2 older servers draining"),
        ({"pods": (*PODS, draining(NOW - timedelta(seconds=4)))}, "1 older server draining"),
        # The node of this one is gone. Nobody waits for it.
        ({"pods": (*PODS, draining(NOW - timedelta(seconds=6)))}, None),
        ({"endpoints": ()}, "the Service spicedb has 0 of 2 servers"),
        (
            {"endpoints": (endpoints("10.0.0.1", "10.0.0.2", are_ready=False),)},
            "the Service spicedb has 0 of 2 servers",
        ),
        ({"endpoints": (endpoints("10.0.0.1", "10.0.0.2", "10.0.0.9"),)}, "the Service spicedb has 3 of 2 servers"),
        ({"endpoints": (endpoints("10.0.0.1", "10.0.0.9"),)}, "the Service spicedb has 2 of 2 servers"),
    ],
)
def test_roll_out_that_is_not_settled(fields: dict[str, Any], reason: str | None) -> None:
    assert unsettled(seen(**fields)) == reason


@pytest.mark.parametrize(
    ("judge", "field"),
    [
        (unsettled, "pods"),
        (unsettled, "endpoints"),
        (unsafe, "jobs"),
        (unsafe, "pods"),
        (unsafe, "endpoints"),
        (progress_of, "jobs"),
        (progress_of, "pods"),
        (progress_of, "endpoints"),
        (newest_servers, "pods"),
        (newest_servers, "replica_sets"),
    ],
)
def test_what_is_not_known_is_not_judged(judge: Callable[[Observed], object], field: str) -> None:
    with pytest.raises(Forbidden, match="you may not"):
        judge(seen(unknown={field: DENIED}))


def test_servers_that_are_not_ready_need_no_more_rights() -> None:
    found = seen(deployment=deployment(ready=1), unknown={"pods": DENIED, "endpoints": DENIED})
    assert unsettled(found) == "1 of 2 new servers ready"


def test_servers_of_another_program_that_are_not_known_are_not_safe() -> None:
    with pytest.raises(Forbidden, match="you may not"):
        unsafe(seen(deployment=FOREIGN, pods=(), unknown={"pods": DENIED}))


# ---------------------------------------------------------------- the next change


@pytest.mark.parametrize(
    ("fields", "reason", "is_final"),
    [
        ({}, None, False),
        ({"jobs": (job(None),)}, "the migration spicedb-migration runs", False),
        (
            {"jobs": (job(None),), "log": LOG, "pods": (migration_pod(),)},
            "the migration spicedb-migration runs: last password=(hidden)",
            False,
        ),
        ({"deployment": None}, "there is no Deployment spicedb", False),
        ({"deployment": None, "jobs": (job("Failed"),)}, "there is no Deployment spicedb", True),
        (
            {"deployment": deployment(ReplicaFailure={"message": "exceeded quota"})},
            "the roll-out is stuck: exceeded quota",
            True,
        ),
        (
            {"deployment": deployment(ready=1), "jobs": (job("Failed", reason="A", message="b"),)},
            "1 of 2 new servers ready; the migration failed: A",
            True,
        ),
        ({"jobs": (job("Failed", reason="A"),)}, None, False),
        ({"endpoints": (), "pods": PODS[:1]}, "the Service spicedb has 0 of 1 servers", False),
        ({"deployment": FOREIGN, "endpoints": ()}, None, False),
        ({"deployment": of(FOREIGN, updatedReplicas=1)}, "1 of 2 servers have the newest settings", False),
        ({"deployment": FOREIGN, "pods": (*PODS, draining())}, "older servers drain", False),
        ({"deployment": FOREIGN, "pods": (*PODS, draining(NOW - timedelta(minutes=1)))}, None, False),
    ],
)
def test_what_makes_a_change_unsafe(fields: dict[str, Any], reason: str | None, is_final: bool) -> None:
    assert unsafe(seen(**fields)) == (reason, is_final)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "all running servers are ready"),
        ({"pods": (*PODS, draining())}, "1 older server draining"),
        ({"jobs": (job("Complete"),)}, "all running servers are ready"),
        (
            {"jobs": (job("SuccessCriteriaMet"),), "pods": (*PODS, migration_pod(), lost_pod())},
            LOST.format(job="spicedb-migration"),
        ),
        (
            {"pods": (*PODS, lost_pod("spicedb-migration-cleanup", "cleanup"))},
            LOST.format(job="spicedb-migration-cleanup"),
        ),
        ({"pods": (*PODS, lost_pod("spicedb-backup-29738955", "backup"))}, "all running servers are ready"),
        ({"jobs": (job("Complete"),), "pods": (*PODS, migration_pod())}, "all running servers are ready"),
        ({"jobs": (job("Complete"),), "pods": (*PODS, lost_pod())}, "all running servers are ready"),
        ({"pods": (*PODS, lost_pod())}, "all running servers are ready"),
        ({"jobs": (job("Failed"),), "pods": (*PODS, lost_pod())}, "all running servers are ready"),
        (
            {"pods": (*PODS, draining(), lost_pod("spicedb-migration-cleanup", "cleanup"))},
            "1 older server draining",
        ),
        ({"jobs": (job(None),), "pods": (*PODS, lost_pod())}, "the migration runs"),
        ({"jobs": (job(None),)}, "the migration runs"),
        ({"jobs": (job(None),), "log": LOG}, "the migration runs: last password=(hidden)"),
    ],
)
def test_progress(fields: dict[str, Any], text: str) -> None:
    assert progress_of(seen(**fields)) == (text, None)


def replica_set(template: str, revision: str | None) -> Object:
    annotations = {} if revision is None else {"deployment.kubernetes.io/revision": revision}
    return {"metadata": {"name": template, "labels": {"pod-template-hash": template}, "annotations": annotations}}


@pytest.mark.parametrize(
    ("replica_sets", "names"),
    [
        ((), []),
        ((replica_set("old", "9"), replica_set("new", "10")), ["a", "b"]),
        ((replica_set("old", "11"), replica_set("new", "10")), ["old"]),
        ((replica_set("old", "1"), replica_set("new", None)), ["old"]),
        ((replica_set("none", "12"), replica_set("new", "10")), []),
    ],
)
def test_servers_on_the_newest_template(replica_sets: tuple[Object, ...], names: list[str]) -> None:
    found = newest_servers(seen(pods=(*PODS, draining(), migration_pod()), replica_sets=replica_sets))
    assert [pod["metadata"]["name"] for pod in found] == names


def test_time_for_older_servers_to_drain() -> None:
    found = deployment()
    found["spec"] = {**found["spec"], "template": {"metadata": {}, "spec": {"containers": [{"image": "spicedb"}]}}}
    assert drain_seconds(describe(found)) == 90
    found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 7
    assert drain_seconds(describe(found)) == 67
