"""Pods and Jobs that run for a moment: they are always deleted, and waiting for them ends."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb.live.cluster import Cluster, ClusterError, Unreachable
from cdk8s_spicedb.live.runs import is_hopeless, job_ended, pod_ended, pod_waits, run_job, run_pods, unscheduled
from tests.live.clock import FakeClock
from tests.live.store import Object, Store, unreachable


def pod(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "run"}]}}


PODS = [pod("a"), pod("b")]
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}}
FILES = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "service"}}


def status(**state: Object) -> Object:
    return {"containerStatuses": [{"name": "mesh", "state": {"running": {}}}, {"name": "run", "state": state}]}


def ended(manifest: Object) -> bool:
    return pod_ended(manifest, "run")


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def on(store: Store, clock: FakeClock) -> Cluster:
    return attrs.evolve(store.cluster(), clock=clock)


def test_each_pod_is_waited_for_and_then_deleted(store: Store, clock: FakeClock) -> None:
    def work(seconds: float) -> None:
        for name, end in (("a", 2), ("b", 5)):
            if seconds > end:
                store.get("pods", name)["status"] = status(terminated={"exitCode": 0})

    clock.on_sleep = work
    with run_pods(on(store, clock), PODS, done=ended, seconds=60) as seen:
        assert [isinstance(each, dict) and ended(each) for each in seen] == [True, True]
        assert len(store.of("pods")) == 2
    assert 5 < clock.seconds < 6
    assert store.of("pods") == []


def test_waiting_ends_and_tells_what_it_saw_last(store: Store, clock: FakeClock) -> None:
    with run_pods(on(store, clock), PODS, done=ended, seconds=60) as seen:
        assert [each["metadata"]["name"] for each in seen if isinstance(each, dict)] == ["a", "b"]
    assert clock.seconds == pytest.approx(60)
    assert store.of("pods") == []


def test_pod_that_is_there_already_or_that_somebody_deletes(store: Store, clock: FakeClock) -> None:
    store.put("pods", pod("a"))

    def delete(_: float) -> None:
        store.objects.pop(("pods", "b"), None)

    clock.on_sleep = delete
    with run_pods(on(store, clock), PODS, done=ended, seconds=60) as (first, second):
        assert isinstance(first, ClusterError)
        assert second is None
    assert clock.seconds < 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, ClusterError("x"), ValueError])
def test_pods_are_deleted_whatever_happens(store: Store, clock: FakeClock, error: Any) -> None:
    def interrupt(_: float) -> None:
        raise error

    clock.on_sleep = interrupt
    with (
        pytest.raises(error if isinstance(error, type) else type(error)),
        run_pods(on(store, clock), PODS, done=ended, seconds=60),
    ):
        pass
    assert store.of("pods") == []


def test_pods_are_deleted_if_one_answer_was_lost(store: Store, clock: FakeClock) -> None:
    cluster, create = on(store, clock), Cluster.create

    class Losing(Cluster):
        def create(self, manifest: Object, **options: Any) -> Object:
            made = create(self, manifest, **options)
            if manifest["metadata"]["name"] == "a":
                raise Unreachable("no answer")
            return made

    losing = Losing(cluster.client, cluster.namespace, clock=clock)
    with pytest.raises(Unreachable), run_pods(losing, PODS, done=ended, seconds=60):
        pass
    assert store.of("pods") == []


def test_outage_at_the_end_hides_no_result(store: Store, clock: FakeClock) -> None:
    with run_pods(on(store, clock), PODS, done=lambda _: True, seconds=60) as seen:
        store.away = True
    assert len(seen) == 2


def test_status_of_a_pod() -> None:
    waits = {**pod("a"), "status": status(waiting={"reason": "ErrImagePull", "message": "no"})}
    assert pod_waits(waits, "run") == {"reason": "ErrImagePull", "message": "no"}
    assert pod_waits(waits, "mesh") == pod_waits(pod("a"), "run") == {}
    assert not pod_ended(waits, "run")
    assert not pod_ended(pod("a"), "run")
    assert unscheduled(waits) is None
    condition = {"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}
    assert unscheduled({**pod("a"), "status": {"conditions": [condition]}}) == "Insufficient cpu"


@pytest.mark.parametrize(
    ("reason", "hopeless"),
    [
        ("ErrImagePull", True),
        ("ErrImageNeverPull", True),
        ("RegistryUnavailable", True),
        ("SignatureValidationFailed", True),
        ("CreateContainerConfigError", True),
        ("ContainerCreating", False),
        ("", False),
    ],
)
def test_hopeless_reasons(reason: str, hopeless: bool) -> None:
    assert is_hopeless(reason) is hopeless


def finish(store: Store, **state: Any) -> None:
    def run(method: str, kind: str, found: Object) -> None:
        if (method, kind) == ("PATCH", "jobs"):
            found["status"] = state
            labels = {"batch.kubernetes.io/job-name": "job"}
            for number in range(2):
                metadata = {"name": f"job-{number}", "labels": labels, "creationTimestamp": f"203{number}"}
                store.put("pods", {**pod(f"job-{number}"), "metadata": metadata})
                store.logs[f"job-{number}"] = f"log {number}\n"

    store.on_change = run


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"conditions": [{"type": "Complete", "status": "True"}]}, "Complete"),
        ({"conditions": [{"type": "Failed", "status": "True"}]}, "Failed"),
        ({"failed": 1}, "Failed"),
        ({"conditions": [{"type": "Complete", "status": "False"}]}, None),
        ({}, None),
    ],
)
def test_job_ends_with_the_log_of_its_newest_pod(
    store: Store, clock: FakeClock, state: Object, expected: str | None
) -> None:
    finish(store, **state)
    assert run_job(on(store, clock), [SERVICE, FILES, JOB], seconds=120) == (expected, "log 1")
    assert clock.seconds == pytest.approx(0 if expected else 120)
    assert store.of("jobs") == store.of("configmaps") == []
    assert len(store.of("services")) == 1, "what belongs to the release stays"


def test_job_is_deleted_whatever_happens(store: Store, clock: FakeClock) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    clock.on_sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        run_job(on(store, clock), [FILES, JOB], seconds=120)
    assert store.of("jobs") == store.of("configmaps") == []
    with unreachable(store), pytest.raises(Unreachable):
        run_job(on(store, clock), [FILES, JOB], seconds=120)


def test_job_that_somebody_deletes_does_not_wait_forever(store: Store, clock: FakeClock) -> None:
    clock.on_sleep = lambda _: store.objects.clear()
    assert run_job(on(store, clock), [JOB], seconds=120) == (None, "")
    assert job_ended(JOB) is None
