"""Pods and Jobs that run for a moment: they are always deleted, and waiting for them ends."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from cdk8s_spicedb.live.apierror import ClusterError, Unreachable
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.pods import JobState, status_of
from cdk8s_spicedb.live.pods import ended as container_ended
from cdk8s_spicedb.live.runs import RUN, owned, run_job, run_pods
from tests.apiserver import ApiServer, Object, matches
from tests.live.clock import FakeClock
from tests.live.installed import OLD, deploy, props


def pod(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "run"}]}}


PODS = [pod("a"), pod("b")]
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}}
FILES = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "service"}}


def status(**state: Object) -> Object:
    return {"containerStatuses": [{"name": "mesh", "state": {"running": {}}}, {"name": "run", "state": state}]}


def ended(manifest: Object) -> bool:
    return container_ended(status_of(manifest, "run")) is not None


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


def test_each_pod_is_waited_for_and_then_deleted(api: ApiServer, clock: FakeClock) -> None:
    def work(seconds: float) -> None:
        for name, end in (("a", 2), ("b", 5)):
            if seconds > end:
                api.get("pods", name)["status"] = status(terminated={"exitCode": 0})

    clock.on_sleep = work
    with run_pods(api.cluster(clock=clock), PODS, done=ended, seconds=60) as seen:
        assert [isinstance(each, dict) and ended(each) for each in seen] == [True, True]
        assert len(api.of("pods")) == 2
    assert 5 < clock.seconds < 6
    assert api.of("pods") == []


def test_pods_are_read_by_one_list_in_each_tick(api: ApiServer, clock: FakeClock) -> None:
    mine, ticks = pod("mine"), list[float]()
    mine["metadata"]["labels"] = {"app": "authz"}
    clock.on_sleep = ticks.append
    with run_pods(api.cluster(clock=clock), [mine, *PODS], done=ended, seconds=3) as seen:
        labels = [each["metadata"]["labels"] for each in seen if isinstance(each, dict)]
    assert len({each[RUN] for each in labels}) == 1
    assert labels[0]["app"] == "authz"
    lists = [request.query["labelSelector"] for request in api.asked("list", "pods")]
    assert lists == [RUN, *[f"{RUN}={labels[0][RUN]}"] * (len(ticks) + 1)], "first those that somebody left behind"
    assert api.count("get", "pods") == 0


def test_waiting_ends_and_tells_what_it_saw_last(api: ApiServer, clock: FakeClock) -> None:
    with run_pods(api.cluster(clock=clock), PODS, done=ended, seconds=60) as seen:
        assert [each["metadata"]["name"] for each in seen if isinstance(each, dict)] == ["a", "b"]
    assert clock.seconds == pytest.approx(60)
    assert api.of("pods") == []


def test_pod_that_is_there_already_or_that_somebody_deletes(api: ApiServer, clock: FakeClock) -> None:
    api.put("pods", pod("a"))

    def delete(_: float) -> None:
        api.remove("pods", "b")

    clock.on_sleep = delete
    with run_pods(api.cluster(clock=clock), PODS, done=ended, seconds=60) as (first, second):
        assert isinstance(first, ClusterError)
        assert second is None
    assert clock.seconds < 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, ClusterError("x"), ValueError])
def test_pods_are_deleted_whatever_happens(api: ApiServer, clock: FakeClock, error: Any) -> None:
    def interrupt(_: float) -> None:
        raise error

    clock.on_sleep = interrupt
    with (
        pytest.raises(error if isinstance(error, type) else type(error)),
        run_pods(api.cluster(clock=clock), PODS, done=ended, seconds=60),
    ):
        pass
    assert api.of("pods") == []


def test_pods_are_deleted_if_one_answer_was_lost(api: ApiServer, clock: FakeClock) -> None:
    cluster, create = api.cluster(clock=clock), Cluster.create

    class Losing(Cluster):
        def create(self, manifest: Object, **options: Any) -> Object:
            made = create(self, manifest, **options)
            if manifest["metadata"]["name"] == "a":
                raise Unreachable("no answer")
            return made

    losing = Losing(cluster.client, cluster.namespace, clock=clock)
    with run_pods(losing, PODS, done=lambda _: True, seconds=60) as seen:
        assert [each["metadata"]["name"] for each in seen if isinstance(each, dict)] == ["a", "b"]
    assert api.of("pods") == []
    api.fail(matches("create", "pods", ""), httpx2.ReadError("reset"), times=None)
    with pytest.raises(Unreachable), run_pods(api.cluster(clock=clock), PODS, done=ended, seconds=60):
        pass


def test_pods_that_a_killed_process_left_are_deleted(api: ApiServer, clock: FakeClock) -> None:
    for name, phase in (("ended", "Failed"), ("other", "Running")):
        left = pod(name)
        left["metadata"]["labels"] = {RUN: "of-another-run"}
        left["metadata"]["creationTimestamp"] = "2029-12-31T00:00:00Z"
        api.put("pods", {**left, "status": {"phase": phase}})
    api.put("pods", {**pod("foreign"), "status": {"phase": "Failed"}})
    with run_pods(api.cluster(clock=clock), PODS, done=lambda _: True, seconds=60):
        pass
    assert [each["metadata"]["name"] for each in api.of("pods")] == ["foreign", "other"]


def test_what_runs_for_a_moment_goes_with_the_deployment() -> None:
    api = ApiServer()
    assert owned(api.cluster(), "spicedb", PODS) == [*PODS]
    deploy(api, props(OLD))
    (first, _) = owned(api.cluster(), "spicedb", PODS)
    uid = api.get("deployments", "spicedb")["metadata"]["uid"]
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "spicedb", "uid": uid}
    assert first["metadata"]["ownerReferences"] == [owner]
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a"}}
    assert owned(api.cluster(), "spicedb", [policy]) == [policy], "the release has it too"


def test_outage_at_the_end_hides_no_result(api: ApiServer, clock: FakeClock) -> None:
    with run_pods(api.cluster(clock=clock), PODS, done=lambda _: True, seconds=60) as seen:
        api.away = True
    assert len(seen) == 2


def finish(api: ApiServer, **state: Any) -> None:
    def end(_: object, found: Object) -> None:
        found["status"] = state
        labels = {"batch.kubernetes.io/job-name": "job"}
        for number in range(2):
            metadata = {"name": f"job-{number}", "labels": labels, "creationTimestamp": f"203{number}"}
            api.put("pods", {**pod(f"job-{number}"), "metadata": metadata})
            api.logs[f"job-{number}"] = f"log {number}\n"

    api.on(matches("patch", "jobs"), end)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"conditions": [{"type": "Complete", "status": "True"}]}, JobState(succeeded=True)),
        ({"conditions": [{"type": "Failed", "status": "True"}]}, JobState(failed=True, reason="Failed")),
        ({"failed": 1}, JobState(failed=True)),
        ({"conditions": [{"type": "Complete", "status": "False"}]}, JobState()),
        ({}, JobState()),
    ],
)
def test_job_ends_with_the_log_of_its_newest_pod(
    api: ApiServer, clock: FakeClock, state: Object, expected: JobState
) -> None:
    finish(api, **state)
    assert run_job(api.cluster(clock=clock), [SERVICE, FILES, JOB], seconds=120) == (expected, "log 1")
    assert clock.seconds == pytest.approx(120 if expected.runs else 0)
    assert api.of("jobs") == api.of("configmaps") == []
    assert len(api.of("services")) == 1, "what belongs to the release stays"


def test_job_is_deleted_whatever_happens(api: ApiServer, clock: FakeClock) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    clock.on_sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        run_job(api.cluster(clock=clock), [FILES, JOB], seconds=120)
    assert api.of("jobs") == api.of("configmaps") == []
    with api.unreachable(), pytest.raises(Unreachable):
        run_job(api.cluster(clock=clock), [FILES, JOB], seconds=120)


def test_job_that_somebody_deletes_does_not_wait_forever(api: ApiServer, clock: FakeClock) -> None:
    clock.on_sleep = lambda _: api.remove("jobs")
    assert run_job(api.cluster(clock=clock), [JOB], seconds=120) == (JobState(), "")
