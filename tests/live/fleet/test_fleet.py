"""Upgrades of many releases: the waves, and what becomes of each release."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import attrs
import pytest

from cdk8s_spicedb import ServerProps, SpiceDBError, SpiceDBProps
from cdk8s_spicedb.live import (
    BusyError,
    CheckOptions,
    CheckReport,
    ClusterError,
    Finding,
    FleetOptions,
    FleetReport,
    Member,
    MemberState,
    upgrade_fleet,
)
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.fleet.waves import Schedule, waves_of
from cdk8s_spicedb.live.instance import Applier, Observed, find_running
from cdk8s_spicedb.live.upgrade.deliver import Deliverer, Notify, StepError, silent
from cdk8s_spicedb.live.upgrade.prepare import Prepared
from tests.apiserver import ApiServer
from tests.live.installed import deploy, helm_revision, props
from tests.live.upgrade.program import NEW, OLD, PREPARE, QUICK, UPGRADE, Program, World

NAMES = ("a", "b", "c", "d", "e", "f", "g")

# ---------------------------------------------------------------- the waves


@pytest.mark.parametrize(
    ("count", "canary", "size", "waves"),
    [
        (6, 1, 2, ["0", "12", "34", "5"]),
        (6, 2, 10, ["01", "2345"]),
        (3, 0, 2, ["01", "2"]),
        (2, 5, 10, ["01"]),
        (1, 1, 10, ["0"]),
        (0, 1, 10, []),
    ],
)
def test_waves(count: int, canary: int, size: int, waves: Sequence[str]) -> None:
    assert ["".join(map(str, wave)) for wave in waves_of(count, canary, size)] == waves


def schedule(count: int = 5, canary: int = 1, size: int = 3, parallel: int = 2) -> Schedule:
    return Schedule(waves=waves_of(count, canary, size), parallel=parallel)


def test_a_wave_begins_when_the_one_before_is_done() -> None:
    state = schedule()
    assert [*state.ready] == [0]
    state = state.begin(0)
    assert not state.ready
    state = state.end(0, succeeded=True)
    assert [*state.ready] == [1, 2]
    state = state.begin(1).begin(2)
    assert not state.ready
    state = state.end(2, succeeded=True)
    assert [*state.ready] == [3]
    state = state.begin(3).end(1, succeeded=True)
    assert not state.ready, "3 is of the same wave as 1 and 2, and 4 is of the next"
    state = state.end(3, succeeded=True)
    assert [*state.ready] == [4]
    assert not state.over
    assert state.begin(4).end(4, succeeded=True).over


def test_after_a_failure_nothing_begins_and_the_others_go_on() -> None:
    state = schedule().skip([0]).begin(1).begin(2).end(1, succeeded=False)
    assert (state.ready, state.over) == ((), False)
    state = state.end(2, succeeded=True)
    assert (state.ready, state.over) == ((), True)


def test_what_is_done_is_left_out_and_keeps_its_wave() -> None:
    assert [*schedule(parallel=9).skip([0, 2]).ready] == [1, 3]
    assert [*schedule(parallel=9).skip([0, 1, 2, 3]).ready] == [4]
    assert schedule().skip(range(5)).over


# ---------------------------------------------------------------- the upgrades


def _work(_: Deliverer) -> None:
    time.sleep(0.01)


class Fleet:
    """Releases in a cluster, and a program that upgrades them at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api = ApiServer()
        self.api.deny("pods/proxy")  # The metrics, which nobody observes here.
        helm_revision(self.api, 1)
        for name in NAMES:
            deploy(self.api, props(OLD, name=name))
        self.members = [Member(cluster=self.api.cluster(), props=props(NEW, name=name)) for name in NAMES]
        self.acts: dict[str, Callable[[Deliverer], None]] = {}
        """What the program does when it applies a step of a release."""
        self.events: list[str] = []
        self.most = self._running = 0
        self._lock = threading.Lock()
        fleet = self

        class OfName(Program):
            """The program of one release."""

            def __init__(self, cluster: Cluster, seen: Observed, notify: Notify = silent, **more: Any) -> None:
                super().__init__(cluster, seen, notify, **more)
                object.__setattr__(self, "world", fleet.world_of(seen.name))

            def apply(self, settings: SpiceDBProps, label: str, number: int) -> None:
                with fleet.at_work(settings.name):
                    fleet.acts.get(settings.name, _work)(self)
                    with fleet.alone():
                        super().apply(settings, label, number)

            def roll_back(self, revision: str) -> None:
                with fleet.alone():
                    super().roll_back(revision)

        self._worlds: dict[str, World] = {}
        monkeypatch.setitem(PREPARE._DELIVERERS, Applier.HELM, OfName)

    def world_of(self, name: str) -> World:
        """The history of one release, in the one cluster."""
        with self._lock:
            if name not in self._worlds:
                self._worlds[name] = World(api=self.api, history={"1": props(OLD, name=name)})
            return self._worlds[name]

    def alone(self) -> AbstractContextManager[object]:
        """No request is answered meanwhile: what controllers do is none, and would be half done."""
        return self.api._lock

    @contextmanager
    def at_work(self, name: str) -> Iterator[None]:
        """A step of a release is applied."""
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
            self.events.append(f"begin {name}")
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                self.events.append(f"end {name}")

    def run(self, canary: int = 1, size: int = 3, parallel: int = 2, **more: Any) -> FleetReport:
        how = attrs.evolve(QUICK, check=more.pop("check", None), on_failure=more.pop("on_failure", None))
        options = FleetOptions(canary=canary, wave_size=size, parallel=parallel, upgrade=how)
        return upgrade_fleet(self.members, options=options, **more)

    @property
    def begun(self) -> str:
        return "".join(event[-1] for event in self.events if event.startswith("begin"))


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(monkeypatch)


def states(report: FleetReport) -> dict[str, str]:
    """The names of the members by their states."""
    found: dict[str, str] = {}
    for each in report.members:
        found[each.state.value] = found.get(each.state.value, "") + each.name
    return found


def failing(error: BaseException) -> Callable[[Deliverer], None]:
    def act(_: Deliverer) -> None:
        raise error

    return act


def find(fleet: Fleet, name: str) -> str | None:
    """The version that runs."""
    running = find_running(fleet.api.cluster(), name)
    return running.version if running else None


def test_members_are_upgraded_in_waves(fleet: Fleet) -> None:
    told: list[str] = []
    both = threading.Barrier(2)

    def meet(_: Deliverer) -> None:
        both.wait(60)

    # The first two of the second wave wait for each other.
    fleet.acts = dict.fromkeys("bc", meet)
    report = fleet.run(report=lambda member, progress: told.append(f"{member.title} {progress.text}"))
    assert report.ok
    assert [each.wave for each in report.members] == [1, 2, 2, 2, 3, 3, 3]
    assert states(report) == {"upgraded": "abcdefg"}
    assert fleet.most == 2
    for first, later in (("a", "bcd"), ("bcd", "efg")):
        ends = max(fleet.events.index(f"end {name}") for name in first)
        assert ends < min(fleet.events.index(f"begin {name}") for name in later)
    assert told.count("authz/a SpiceDB v1.56.0 serves") == 1
    assert {find(fleet, name) for name in NAMES} == {NEW}
    assert all(each.seconds is not None for each in report.members)


def test_the_plan_is_confirmed_first(fleet: Fleet) -> None:
    plans: list[FleetReport] = []

    def refuse(plan: FleetReport) -> bool:
        plans.append(plan)
        return False

    report = fleet.run(confirm=refuse)
    assert fleet.events == []
    assert report == plans[0]
    (first, *_) = report.members
    assert (first.title, first.current, first.target, first.steps) == ("authz/a", OLD, NEW, 1)
    assert first.rolls_back
    assert states(report) == {"not begun": "abcdefg"}


def test_a_failure_stops_the_waves_and_the_next_run_goes_on(fleet: Fleet) -> None:
    fails = threading.Event()

    def fail(_: object) -> None:
        fails.set()
        raise StepError("it failed")

    def go_on(_: object) -> None:
        assert fails.wait(5)
        time.sleep(0.05)

    fleet.acts = {"b": fail, "c": go_on}
    ended: list[str] = []
    report = fleet.run(on_end=lambda each: ended.append(each.name))
    assert states(report) == {"upgraded": "ac", "rolled back": "b", "not begun": "defg"}
    reason = report.members[1].reason or ""
    assert reason.startswith("step 1 stopped: it failed\nThe servers are back at v1.52.0, and ready.")
    assert ended == ["a", "b", "c"]
    fleet.acts, fleet.events = {}, []
    report = fleet.run()
    assert states(report) == {"skipped": "ac", "upgraded": "bdefg"}, [each.reason for each in report.members]
    assert report.ok
    assert fleet.begun[0] in "bd"
    fleet.events = []
    assert states(fleet.run()) == {"skipped": "abcdefg"}
    assert fleet.events == [], "neither a Lease nor a check is needed"


@pytest.mark.parametrize(
    "error",
    [
        StepError("x"),
        ClusterError("cannot reach the API server"),
        BusyError("lost the Lease"),
        OSError("no space left"),
    ],
)
def test_errors_of_a_step(fleet: Fleet, error: Exception) -> None:
    fleet.acts = {"a": failing(error)}
    report = fleet.run(on_failure="stop")
    assert report.members[0].state is MemberState.FAILED
    assert str(error) in (report.members[0].reason or "")
    assert fleet.begun == "a"


def test_errors_before_the_first_step_change_nothing(fleet: Fleet) -> None:
    fleet.api.deny("leases", "create")
    report = fleet.run()
    assert states(report) == {"unchanged": "a", "not begun": "bcdefg"}
    assert "leases" in (report.members[0].reason or "")
    assert fleet.events == []


def test_an_error_of_the_upgrade_itself_does_not_hide_the_others(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(cluster: Cluster, settings: SpiceDBProps, *_: object) -> Prepared:
        if settings.name == "b":
            raise RuntimeError("nobody expects this")
        return PREPARE.prepare(cluster, settings)  # type: ignore[no-any-return]

    monkeypatch.setattr(UPGRADE, "prepare", prepare)
    report = fleet.run(parallel=1)
    assert states(report) == {"upgraded": "a", "unchanged": "b", "not begun": "cdefg"}
    assert report.members[1].reason == "RuntimeError: nobody expects this"


def test_each_member_is_checked_when_its_turn_comes(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    bad = Finding.failure("Secret b", "does not exist", "create it")
    worth = Finding.warning("Database", "is slow", "wait")

    def check(_: object, wanted: SpiceDBProps, options: CheckOptions, *__: object) -> CheckReport:
        asked.append(wanted.name)
        assert options == CheckOptions()
        return CheckReport(findings=(bad,) if wanted.name == "b" else (worth,), plan=None)

    monkeypatch.setattr(PREPARE, "check_planned", check)
    told: list[str] = []
    report = fleet.run(parallel=1, check=CheckOptions(), report=lambda _, progress: told.append(progress.text))
    assert states(report) == {"upgraded": "a", "unchanged": "b", "not begun": "cdefg"}
    reason = "the check failed, and nothing was changed:\nfailure Secret b: does not exist; fix: create it"
    assert report.members[1].reason == reason
    assert asked == ["a", "b"]
    assert told[:2] == ["checking", "warning Database: is slow; fix: wait"]
    assert told[-2:] == ["SpiceDB v1.56.0 serves", "checking"]


def test_an_interruption_ends_what_runs(fleet: Fleet) -> None:
    """The one that runs ends when it waits next, as Ctrl-C would end it."""
    said: list[str] = []

    def interrupt(deliverer: Deliverer) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(500):
            deliverer.cluster.clock.sleep(0.01)
        raise AssertionError

    fleet.acts = {"b": interrupt}
    report = fleet.run(parallel=1, on_interrupt=lambda: said.append("interrupted"))
    assert report.interrupted
    assert said == ["interrupted"]
    assert states(report) == {"upgraded": "a", "interrupted": "b", "not begun": "cdefg"}
    assert not fleet.api.of("leases"), "the lock is free, so that the next run can go on"
    fleet.acts = {}
    assert fleet.run().ok


def test_a_second_interruption_leaves_at_once(fleet: Fleet) -> None:
    free, before = threading.Event(), threading.enumerate()

    def hang(_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert free.wait(5)

    fleet.acts = {"a": hang}
    report = fleet.run(on_interrupt=lambda: os.kill(os.getpid(), signal.SIGINT))
    free.set()
    assert report.interrupted
    assert states(report) == {"interrupted": "a", "not begun": "bcdefg"}
    for thread in set(threading.enumerate()) - set(before):
        thread.join(5)


# ---------------------------------------------------------------- the plan


def test_one_error_names_all_that_are_missing_or_refused(fleet: Fleet) -> None:
    for name in "ce":
        fleet.api.remove("deployments", name)
    deploy(fleet.api, props(NEW, name="b"), helm=False)
    fleet.members[3] = attrs.evolve(fleet.members[3], props=props("v1.30.0", name="d"))
    with pytest.raises(SpiceDBError) as error:
        fleet.run()
    lines = str(error.value).splitlines()
    assert lines[0].startswith("the cluster has no Deployment for authz/c, authz/e; install these first")
    assert lines[1].startswith("authz/b: the file has delivery: helm, but the release was applied with kubectl")
    assert lines[2].startswith("authz/d: ")
    assert lines[-1] == "Nothing was changed."
    assert fleet.events == []


def test_two_files_cannot_describe_one_release(fleet: Fleet) -> None:
    fleet.members.append(fleet.members[0])
    with pytest.raises(SpiceDBError, match="several files describe authz/a; give each SpiceDB"):
        fleet.run()


def test_an_api_server_that_is_away_is_one_error(fleet: Fleet) -> None:
    with fleet.api.unreachable(), pytest.raises(ClusterError, match="cannot reach the API server"):
        fleet.run()


def test_other_settings_are_a_step(fleet: Fleet) -> None:
    deploy(fleet.api, props(NEW, name="a", server=ServerProps(replicas=5)))
    plan = fleet.run(confirm=lambda _: False)
    assert (plan.members[0].current, plan.members[0].steps, plan.members[0].state.value) == (NEW, 1, "not begun")


def test_servers_that_are_not_ready_are_not_at_the_target(fleet: Fleet) -> None:
    deploy(fleet.api, props(NEW, name="a"))
    assert states(fleet.run(confirm=lambda _: False))["skipped"] == "a"
    fleet.api.get("deployments", "a")["status"]["availableReplicas"] = 0
    assert "skipped" not in states(fleet.run(confirm=lambda _: False))


@pytest.mark.parametrize("wrong", [{"canary": -1}, {"wave_size": 0}, {"parallel": 0}])
def test_numbers_have_limits(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        FleetOptions(**wrong)
