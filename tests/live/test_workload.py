"""What the state of pods, roll-outs and migrations means, and waiting for it."""

from __future__ import annotations

import attrs
import pytest

from cdk8s_spicedb.live import workload as settle
from cdk8s_spicedb.live.workload import (
    Broken,
    MigrationState,
    RolloutState,
    find_migration,
    migration_state,
    pod_of,
    rollout_of,
    settled,
    wait_until_settled,
)
from tests.apiserver import ApiServer, Object
from tests.live.installed import (
    running_in,
    server,
    servers,
    waiting,
)
from tests.live.objects import (
    CREATED,
    cluster_of,
    deployment,
    job,
    migration_pod,
    server_pod,
)


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
    found = pod_of(server_pod(ready=False, **fields))
    assert found.reason.startswith(reason)
    assert found.reason or not reason
    assert (found.version, found.ready) == ("v1.56.0", False)


def test_pod_that_cannot_be_scheduled() -> None:
    manifest = server_pod(ready=False)
    message = "0/3 nodes are available: 3 Insufficient memory."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    manifest["status"]["conditions"].append(condition)
    assert pod_of(manifest).reason == f"Unschedulable: {message}"


def test_pods_that_are_fine_or_drain() -> None:
    assert pod_of(server_pod()).reason == ""
    terminated = {"reason": "OOMKilled", "exitCode": 137}
    restarted = server_pod(containerStatuses=[{"restartCount": 1, "lastState": {"terminated": terminated}}])
    assert pod_of(restarted).reason == "stopped before: OOMKilled (exit code 137)"
    assert pod_of(restarted).restarts == 1
    draining = server_pod()
    draining["metadata"]["deletionTimestamp"] = CREATED
    assert (pod_of(draining).terminating, pod_of(draining).reason) == (True, "drains")


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


def test_done_roll_out_is_settled(api: ApiServer) -> None:
    assert settled(api.cluster(), running_in(api)) is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"observedGeneration": 0}, "Kubernetes has not seen the change yet"),
        ({"updatedReplicas": 1}, "1 of 2 new servers ready"),
        ({"availableReplicas": 0}, "0 of 2 new servers ready"),
    ],
)
def test_roll_out_that_is_not_done(api: ApiServer, status: Object, reason: str) -> None:
    api.get("deployments", "spicedb")["status"].update(status)
    assert settled(api.cluster(), running_in(api)) == reason


def test_servers_that_drain_or_lack_endpoints_are_not_settled(api: ApiServer) -> None:
    old = api.put("pods", server("old", servers(api)[0]["metadata"]["labels"]))
    old["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    assert settled(api.cluster(), running_in(api)) == "1 older server draining"
    api.remove("pods", "old")
    for endpoints in api.of("endpointslices"):
        endpoints["endpoints"] = []
    assert settled(api.cluster(), running_in(api)) == "the Service spicedb has 0 of 2 servers"


def test_waiting_ends_with_the_reason(api: ApiServer) -> None:
    api.get("deployments", "spicedb")["status"]["updatedReplicas"] = 0
    seen: list[str] = []
    assert wait_until_settled(api.cluster(), running_in(api), 0, seen.append) == "0 of 2 new servers ready"
    assert (
        wait_until_settled(api.cluster(), attrs.evolve(running_in(api), name="other"), 0)
        == "there is no Deployment other"
    )


def test_server_that_crashes_is_broken_at_once() -> None:
    last = {"terminated": {"message": "unknown flag: --x", "exitCode": 1}}
    status = waiting("CrashLoopBackOff", restartCount=2, lastState=last)
    assert Broken().reason([server("a", {}, **status)]) == "pod a: it stopped 3 times: unknown flag: --x"
    assert Broken().reason([server("a", {}, **waiting("CrashLoopBackOff", restartCount=1))]) is None


def test_server_without_image_is_broken_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, pods = Broken(), [server("a", {}, **waiting("ErrImagePull", "why"))]
    assert broken.reason(pods) is None
    monkeypatch.setattr(settle, "_BROKEN_SECONDS", -1)
    assert broken.reason(pods) == "pod a: ErrImagePull: why"
    pods[0]["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    assert broken.reason(pods) is None
