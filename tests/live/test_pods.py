"""What the status of single pods, containers and Jobs means. Nothing here needs a cluster."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cdk8s_spicedb.live.pods import (
    Broken,
    JobState,
    Waiting,
    container_of,
    drains,
    ended,
    is_lost,
    is_ready,
    is_terminating,
    job_state,
    pod_of,
    restarts,
    status_of,
    termination,
    unscheduled,
    waiting,
)
from cdk8s_spicedb.text import time_of
from tests.apiserver import Object
from tests.live.installed import server
from tests.live.installed import waiting as container_waiting
from tests.live.objects import CREATED, NOW, job, server_pod

MESH = {"name": "mesh", "restartCount": 2, "state": {"running": {}}}


def with_container(**status: Any) -> Object:
    """A pod whose container ``run`` has a status. The one of a service mesh comes first."""
    return {
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "run"}]},
        "status": {"containerStatuses": [MESH, {"name": "run", **status}]},
    }


# ---------------------------------------------------------------- containers


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"waiting": {"reason": "ErrImagePull", "message": "no"}}, Waiting("ErrImagePull", "no")),
        ({"waiting": {"reason": "PodInitializing", "message": None}}, Waiting("PodInitializing")),
        ({"waiting": {}}, Waiting("")),
        ({"running": {}}, None),
        ({"terminated": {"exitCode": 0}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_why_a_container_waits(status: Object | None, expected: Waiting | None) -> None:
    assert waiting(status_of(with_container(state=status), "run")) == expected


@pytest.mark.parametrize(
    ("reason", "starts", "broken", "hopeless", "not_pulled"),
    [
        ("", True, False, False, False),
        ("ContainerCreating", True, False, False, False),
        ("PodInitializing", True, False, False, False),
        ("ErrImagePull", False, True, True, True),
        ("ImagePullBackOff", False, True, True, True),
        ("ErrImageNeverPull", False, True, True, True),
        ("InvalidImageName", False, True, True, True),
        ("RegistryUnavailable", False, False, True, True),
        ("SignatureValidationFailed", False, False, True, True),
        ("CreateContainerConfigError", False, True, True, False),
        ("CreateContainerError", False, True, False, False),
        ("CrashLoopBackOff", False, False, False, False),
    ],
)
def test_what_a_reason_means(reason: str, starts: bool, broken: bool, hopeless: bool, not_pulled: bool) -> None:
    found = Waiting(reason)
    assert (found.starts, found.broken, found.hopeless, found.not_pulled) == (starts, broken, hopeless, not_pulled)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Waiting("ErrImagePull", "no such tag"), "ErrImagePull: no such tag"),
        (Waiting("ErrImagePull"), "ErrImagePull"),
        (Waiting("", "no such tag"), "waits: no such tag"),
        (Waiting(""), "waits"),
    ],
)
def test_waiting_in_words(found: Waiting, text: str) -> None:
    assert str(found) == text


def test_how_a_container_ended() -> None:
    first, second = {"exitCode": 1}, {"exitCode": 2}
    status = status_of(with_container(state={"terminated": second}, lastState={"terminated": first}), "run")
    assert (ended(status), ended(status, before=True)) == (second, first)
    runs: Object
    for runs in ({"state": {"running": {}}}, {"state": None}, {}):
        status = status_of(with_container(**runs), "run")
        assert ended(status) is ended(status, before=True) is None


@pytest.mark.parametrize(
    ("terminated", "text"),
    [
        ({"reason": "OOMKilled", "exitCode": 137}, "OOMKilled (exit code 137)"),
        ({"exitCode": 2}, "Error (exit code 2)"),
        ({"exitCode": 1, "message": '{"level":"info","message":"x"}\nwrong\n  flag '}, "Error (exit code 1): flag"),
        ({"exitCode": 1, "message": '{"level":"error","message":"a  b"}'}, "Error (exit code 1): a b"),
    ],
)
def test_end_in_words(terminated: Object, text: str) -> None:
    assert termination(terminated) == text


def test_containers_of_a_mesh_do_not_count() -> None:
    meshed = {"spec": {"containers": [{"name": "mesh"}, {"name": "spicedb"}]}}
    assert container_of(meshed)["name"] == "spicedb"
    assert container_of({"spec": {"containers": [{"name": "mesh"}, {"name": "migrate"}]}})["name"] == "mesh"
    assert status_of(with_container(), "other") == status_of({"metadata": {"name": "a"}}, "run") == {}


# ---------------------------------------------------------------- pods


def test_ready_and_terminating_pods() -> None:
    pod = server_pod()
    assert (is_ready(pod), is_terminating(pod)) == (True, False)
    pod["metadata"]["deletionTimestamp"] = CREATED
    assert (is_ready(pod), is_terminating(pod)) == (True, True)
    assert [drains(pod, time_of(CREATED) + timedelta(seconds=late)) for late in (-30, 5, 6)] == [True, True, False]
    assert not is_lost(server_pod(), NOW)
    assert not is_ready(server_pod(ready=False))
    assert not is_ready({"metadata": {"name": "a"}})
    assert restarts(with_container(restartCount=3)) == 5
    assert restarts({"metadata": {"name": "a"}}) == 0


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (
            {"status": "False", "reason": "Unschedulable", "message": "Insufficient cpu"},
            Waiting("Unschedulable", "Insufficient cpu"),
        ),
        ({"status": "False"}, Waiting("not scheduled")),
        ({"status": "True"}, None),
        (None, None),
    ],
)
def test_pod_that_no_node_takes(condition: Object | None, expected: Waiting | None) -> None:
    listed = [{"type": "PodScheduled", **condition}] if condition else []
    assert unscheduled({"metadata": {"name": "a"}, "status": {"conditions": listed}}) == expected


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (container_waiting("ImagePullBackOff", "no such tag"), "ImagePullBackOff: no such tag"),
        (
            container_waiting(
                "CrashLoopBackOff",
                restartCount=3,
                lastState={
                    "terminated": {
                        "reason": "Error",
                        "exitCode": 1,
                        "message": "first\ncannot reach postgres://a:b@c",
                    }
                },
            ),
            "CrashLoopBackOff; stopped before: Error (exit code 1): cannot reach postgres://(hidden)@c",
        ),
        ({"containerStatuses": [{"state": {"running": {}}}]}, "runs, but is not ready: SpiceDB starts, or waits "),
        ({"reason": "Evicted", "message": "the node had little memory"}, "Evicted: the node had little memory"),
        (container_waiting("ContainerCreating"), ""),
        (
            {"initContainerStatuses": container_waiting("ErrImagePull", "no")["containerStatuses"]},
            "ErrImagePull: no",
        ),
    ],
)
def test_reasons_of_pods(fields: Object, reason: str) -> None:
    found = pod_of(server_pod(ready=False, **fields), NOW)
    assert found.reason.startswith(reason)
    assert found.reason or not reason
    assert (found.version, found.ready) == ("v1.56.0", False)


def test_pod_that_cannot_be_scheduled() -> None:
    manifest = server_pod(ready=False)
    message = "0/3 nodes are available: 3 Insufficient memory."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    manifest["status"]["conditions"].append(condition)
    assert pod_of(manifest, NOW).reason == f"Unschedulable: {message}"


def test_pods_that_are_fine_or_drain() -> None:
    assert pod_of(server_pod(), NOW).reason == ""
    terminated = {"reason": "OOMKilled", "exitCode": 137}
    restarted = server_pod(containerStatuses=[{"restartCount": 1, "lastState": {"terminated": terminated}}])
    found = pod_of(restarted, NOW)
    assert (found.reason, found.restarts) == ("stopped before: OOMKilled (exit code 137)", 1)
    draining = server_pod()
    draining["metadata"]["deletionTimestamp"] = CREATED
    end = time_of(CREATED)
    found = pod_of(draining, end)
    assert (found.terminating, found.lost, found.reason) == (True, False, "drains")
    found = pod_of(draining, end + timedelta(seconds=6))
    assert (found.terminating, found.lost) == (True, True)
    assert found.reason.startswith("its node does not answer")


def test_what_names_a_pod() -> None:
    manifest = server_pod()
    manifest["metadata"]["labels"] = {**manifest["metadata"]["labels"], "pod-template-hash": "5d9f7c8b6d"}
    found = pod_of(manifest, NOW)
    assert (found.name, found.started, found.template) == ("spicedb-5d9f7c8b6d-bcdfg", CREATED, "5d9f7c8b6d")


# ---------------------------------------------------------------- pods that can never run


def test_server_that_crashes_is_broken_at_once() -> None:
    last = {"terminated": {"message": "unknown flag: --x", "exitCode": 1}}
    status = container_waiting("CrashLoopBackOff", restartCount=2, lastState=last)
    assert Broken().reason([server("a", {}, **status)], 0) == "pod a: it stopped 3 times: unknown flag: --x"
    status = container_waiting("CrashLoopBackOff", restartCount=2, lastState={"terminated": {"exitCode": 2}})
    assert Broken().reason([server("a", {}, **status)], 0) == "pod a: it stopped 3 times: exit code 2"
    assert Broken().reason([server("a", {}, **container_waiting("CrashLoopBackOff", restartCount=1))], 99) is None


@pytest.mark.parametrize("reason", ["ErrImagePull", "CreateContainerConfigError"])
def test_server_that_waits_is_broken_after_a_while(reason: str) -> None:
    broken, pods = Broken(), [server("a", {}, **container_waiting(reason, "why"))]
    assert broken.reason(pods, 100) is None
    assert broken.reason(pods, 115) is None
    assert broken.reason(pods, 115.5) == f"pod a: {reason}: why"
    pods[0]["metadata"]["deletionTimestamp"] = CREATED
    assert broken.reason(pods, 200) is None


def test_server_that_recovers_may_wait_again() -> None:
    broken, pods = Broken(), [server("a", {}, **container_waiting("ErrImagePull"))]
    assert broken.reason(pods, 0) is None
    assert broken.reason([server("a", {})], 10) is None
    assert broken.reason(pods, 20) is None
    assert broken.reason(pods, 35) is None
    assert broken.reason(pods, 36) == "pod a: ErrImagePull"


def test_server_that_only_starts_is_never_broken() -> None:
    broken, pods = Broken(), [server("a", {}, **container_waiting("ContainerCreating")), server("b", {})]
    assert [broken.reason(pods, second) for second in (0, 1000)] == [None, None]


# ---------------------------------------------------------------- Jobs


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (job(None), JobState()),
        (job("Complete"), JobState(succeeded=True, at=CREATED)),
        (job("SuccessCriteriaMet"), JobState(succeeded=True)),
        (
            job("Failed", reason="DeadlineExceeded", message="too long"),
            JobState(failed=True, reason="DeadlineExceeded", message="too long", at=CREATED),
        ),
        (
            job("FailureTarget", reason="BackoffLimitExceeded", message=None),
            JobState(failed=True, reason="BackoffLimitExceeded"),
        ),
        (job("Failed"), JobState(failed=True, reason="Failed", at=CREATED)),
        (job("Suspended"), JobState()),
        ({"metadata": {"name": "job"}}, JobState()),
        ({"status": {"conditions": [{"type": "Complete", "status": "False"}]}}, JobState()),
    ],
)
def test_states_of_jobs(found: Object, expected: JobState) -> None:
    assert job_state(found) == expected
    assert expected.runs is not (expected.succeeded or expected.failed)
