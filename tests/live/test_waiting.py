"""Waiting for an instance: when it ends, and what it tells."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import attrs
import pytest

from cdk8s_spicedb import PostgreSQL
from cdk8s_spicedb.live.poll import sometimes
from cdk8s_spicedb.live.record import Record, RecordFile
from cdk8s_spicedb.live.waiting import settled, wait_until_safe, wait_until_settled
from cdk8s_spicedb.plans.planner import plan_upgrade
from tests.apiserver import ApiServer, Object
from tests.live.clock import FakeClock
from tests.live.installed import deploy, migration_job, props, running_in, server, servers

REFUSED = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}


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


@pytest.mark.parametrize(("late", "reason"), [(-30, "1 older server draining"), (6, None)])
@pytest.mark.parametrize("wrong", [timedelta(days=-1), timedelta(days=1)])
def test_a_server_whose_node_is_gone_is_not_waited_for(
    api: ApiServer, wrong: timedelta, late: int, reason: str | None
) -> None:
    """Also if the clock of this machine is wrong."""
    end = datetime.now(timezone.utc) + wrong
    old = api.put("pods", server("old", servers(api)[0]["metadata"]["labels"]))
    old["metadata"]["deletionTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    api.now = lambda: end + timedelta(seconds=late)
    assert settled(api.cluster(), running_in(api)) == reason


def test_waiting_ends_with_the_reason(api: ApiServer, clock: FakeClock) -> None:
    api.get("deployments", "spicedb")["status"]["updatedReplicas"] = 0
    told: list[str] = []
    running = running_in(api)
    assert wait_until_settled(api.cluster(clock=clock), running, 60, told.append) == "0 of 2 new servers ready"
    assert (told, clock.seconds) == (["0 of 2 new servers ready"], 60)
    other = attrs.evolve(running, name="other")
    assert wait_until_settled(api.cluster(clock=clock), other, 0) == "there is no Deployment other"
    assert clock.seconds == 60


def test_each_reason_is_told_once(api: ApiServer, clock: FakeClock) -> None:
    migration_job(api)
    api.get("deployments", "spicedb")["status"]["updatedReplicas"] = 0

    def work(seconds: float) -> None:
        if seconds == 5:
            api.remove("jobs")
        if seconds == 8:
            api.get("deployments", "spicedb")["status"]["updatedReplicas"] = 2

    clock.on_sleep, told = work, list[str]()
    assert wait_until_safe(api.cluster(clock=clock), "spicedb", 60, told.append) is None
    assert told == ["the migration spicedb-migration runs: migrating", "0 of 2 new servers ready"]
    assert clock.seconds == 8


def test_waiting_that_does_not_help_ends_at_once(api: ApiServer, clock: FakeClock) -> None:
    api.get("deployments", "spicedb")["status"]["conditions"].append(REFUSED)
    told: list[str] = []
    reason = wait_until_safe(api.cluster(clock=clock), "spicedb", 60, told.append)
    assert (reason, told, clock.seconds) == ("the roll-out is stuck: exceeded quota", [], 0)


def test_the_step_that_a_commit_applies_is_awaited(api: ApiServer, clock: FakeClock) -> None:
    """Until then, healthy servers are those of the step before."""
    running, kube = running_in(api), api.cluster(clock=clock)
    plan = plan_upgrade(PostgreSQL, str(running.version), "v1.57.1")
    file = RecordFile(kube, "spicedb")
    assert wait_until_safe(kube, "spicedb", 60) is None
    file.write(Record.start(plan, running, "1").begin(1))
    reason = wait_until_safe(kube, "spicedb", 60)
    assert reason == (
        f"step 1 of 1 is not applied yet: version of the servers is {running.version}, but this step needs v1.57.1"
    )
    deploy(api, props("v1.57.1"))
    assert wait_until_safe(kube, "spicedb", 60) is None


@pytest.mark.parametrize("verb", ["get", ""])
def test_a_step_that_stopped_or_cannot_be_read_is_not_awaited(api: ApiServer, clock: FakeClock, verb: str) -> None:
    running, kube = running_in(api), api.cluster(clock=clock)
    begun = Record.start(plan_upgrade(PostgreSQL, str(running.version), "v1.57.1"), running, "1").begin(1)
    RecordFile(kube, "spicedb").write(begun if verb else begun.stop("it broke", running=1))
    if verb:
        api.deny("configmaps", verb)
    assert wait_until_safe(kube, "spicedb", 60) is None


def test_progress_is_told_sometimes(clock: FakeClock) -> None:
    told: list[int] = []
    tell = sometimes(told.append, clock, 5)
    for number in range(20):
        tell(number)
        clock.sleep(1)
    assert told == [5, 10, 15]
