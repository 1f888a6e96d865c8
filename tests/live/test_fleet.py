"""Upgrades of many releases: the waves, and what becomes of each release."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.live import (
    BusyError,
    CheckReport,
    ClusterError,
    Finding,
    FleetOptions,
    FleetReport,
    Member,
    MemberState,
    Progress,
    UpgradeStoppedError,
    upgrade_fleet,
)
from cdk8s_spicedb.live.fleet.waves import Schedule, waves_of
from tests.apiserver import ApiServer
from tests.live.installed import deploy, helm_revision, props

OLD, NEW = "v1.52.0", "v1.56.0"
NAMES = ("a", "b", "c", "d", "e", "f", "g")
_fleet = _preview = import_module("cdk8s_spicedb.live.fleet.fleet")

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


def _work(_: Callable[[str], None]) -> None:
    time.sleep(0.01)


class Fleet:
    """Releases in a cluster, and a program that upgrades them at once."""

    def __init__(self, names: Sequence[str] = NAMES) -> None:
        self.store = ApiServer()
        helm_revision(self.store, 1)
        for name in names:
            deploy(self.store, props(OLD, name=name))
        self.members = [Member(cluster=self.store.cluster(), props=props(NEW, name=name)) for name in names]
        self.acts: dict[str, Callable[[Callable[[str], None]], None]] = {}
        """What the upgrade of a release does. It gets a function that reports."""
        self.events: list[str] = []
        self.most = self._running = 0
        self._lock = threading.Lock()

    def upgrade(self, _: Any, wanted: Any, *, options: Any, confirm: Callable[..., bool], report: Any) -> None:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
            self.events.append(f"begin {wanted.name}")
        try:
            report(Progress(step=0, steps=0, activity="prepare", text="x"))
            assert confirm(None, None)
            act = self.acts.get(wanted.name, _work)
            act(lambda text: report(Progress(step=1, steps=1, activity="apply", text=text)))
            deploy(self.store, wanted)
        finally:
            with self._lock:
                self._running -= 1
                self.events.append(f"end {wanted.name}")

    def run(self, canary: int = 1, size: int = 3, parallel: int = 2, **more: Any) -> FleetReport:
        options = FleetOptions(canary=canary, wave_size=size, parallel=parallel, check=more.pop("check", None))
        return upgrade_fleet(self.members, options=options, **more)

    @property
    def begun(self) -> str:
        return "".join(event[-1] for event in self.events if event.startswith("begin"))


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    made = Fleet()
    monkeypatch.setattr(_fleet, "upgrade", made.upgrade)
    monkeypatch.setattr(_preview, "diff", lambda *_: SimpleNamespace(changes=False))
    return made


def states(report: FleetReport) -> dict[str, str]:
    """The names of the members by their states."""
    found: dict[str, str] = {}
    for each in report.members:
        found[each.state.value] = found.get(each.state.value, "") + each.name
    return found


def rolled_back(text: str = "it failed") -> UpgradeStoppedError:
    return UpgradeStoppedError(1, text, "", "Do this.", rolled_back=True)


def failing(error: BaseException) -> Callable[[Callable[[str], None]], None]:
    def act(tell: Callable[[str], None]) -> None:
        tell("begins")
        raise error

    return act


def test_members_are_upgraded_in_waves(fleet: Fleet) -> None:
    told: list[str] = []
    report = fleet.run(report=lambda member, progress: told.append(f"{member.title} {progress.text}"))
    assert report.ok
    assert [each.wave for each in report.members] == [1, 2, 2, 2, 3, 3, 3]
    assert states(report) == {"upgraded": "abcdefg"}
    assert fleet.most == 2
    for first, later in (("a", "bcd"), ("bcd", "efg")):
        ends = max(fleet.events.index(f"end {name}") for name in first)
        assert ends < min(fleet.events.index(f"begin {name}") for name in later)
    assert told.count("authz/a x") == 1
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

    def fail(tell: Callable[[str], None]) -> None:
        tell("begins")
        fails.set()
        raise rolled_back()

    def go_on(_: object) -> None:
        assert fails.wait(5)
        time.sleep(0.05)

    fleet.acts = {"b": fail, "c": go_on}
    ended: list[str] = []
    report = fleet.run(on_end=lambda each: ended.append(each.name))
    assert states(report) == {"upgraded": "ac", "rolled back": "b", "not begun": "defg"}
    assert report.members[1].reason == "step 1 stopped: it failed\nDo this."
    assert ended == ["a", "b", "c"]
    fleet.acts, fleet.events = {}, []
    report = fleet.run()
    assert states(report) == {"skipped": "ac", "upgraded": "bdefg"}
    assert report.ok
    assert fleet.begun[0] in "bd"
    fleet.events = []
    assert states(fleet.run()) == {"skipped": "abcdefg"}
    assert fleet.events == [], "neither a Lease nor a check is needed"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (UpgradeStoppedError(1, "x", "", "", rolled_back=False), MemberState.FAILED),
        (ClusterError("cannot reach the API server"), MemberState.FAILED),
        (BusyError("lost the Lease"), MemberState.FAILED),
        (OSError("no space left"), MemberState.FAILED),
    ],
)
def test_errors_of_a_step(fleet: Fleet, error: Exception, state: MemberState) -> None:
    fleet.acts = {"a": failing(error)}
    report = fleet.run()
    assert report.members[0].state is state
    assert str(error) in (report.members[0].reason or "")
    assert fleet.begun == "a"


def test_errors_before_the_first_step_change_nothing(fleet: Fleet) -> None:
    def busy(_: object) -> None:
        raise BusyError("somebody upgrades this release")

    fleet.acts = {"a": busy}
    assert states(fleet.run()) == {"unchanged": "a", "not begun": "bcdefg"}


def test_each_member_is_checked_when_its_turn_comes(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    bad = Finding.failure("Secret b", "does not exist", "create it")
    worth = Finding.warning("Database", "is slow", "wait")

    def check(_: object, wanted: Any, **options: Any) -> CheckReport:
        asked.append(wanted.name)
        assert options == {"database": True, "database_image": None, "pull_images": False}
        return CheckReport(findings=(bad,) if wanted.name == "b" else (worth,), plan=None)

    monkeypatch.setattr(_fleet, "check", check)
    told: list[str] = []
    report = fleet.run(parallel=1, check=FleetOptions().check, report=lambda _, progress: told.append(progress.text))
    assert states(report) == {"upgraded": "a", "unchanged": "b", "not begun": "cdefg"}
    reason = "the check failed, and nothing was changed:\nfailure Secret b: does not exist; fix: create it"
    assert report.members[1].reason == reason
    assert asked == ["a", "b"]
    assert told == [
        "x",
        "checking",
        "warning Database: is slow; fix: wait",
        "the check found no failure",
        "x",
        "checking",
    ]


def test_an_interruption_ends_what_runs(fleet: Fleet) -> None:
    """The one that runs ends at its next report, as Ctrl-C would end it."""
    said: list[str] = []

    def interrupt(tell: Callable[[str], None]) -> None:
        tell("begins")
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(500):
            time.sleep(0.01)
            tell("goes on")
        raise AssertionError

    fleet.acts = {"b": interrupt}
    report = fleet.run(parallel=1, on_interrupt=lambda: said.append("interrupted"))
    assert report.interrupted
    assert said == ["interrupted"]
    assert states(report) == {"upgraded": "a", "interrupted": "b", "not begun": "cdefg"}
    fleet.acts = {}
    assert fleet.run().ok


def test_a_second_interruption_leaves_at_once(fleet: Fleet) -> None:
    free = threading.Event()

    def hang(_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert free.wait(5)

    fleet.acts = {"a": hang}
    report = fleet.run(on_interrupt=lambda: os.kill(os.getpid(), signal.SIGINT))
    free.set()
    assert report.interrupted
    assert states(report) == {"interrupted": "a", "not begun": "bcdefg"}
    for thread in threading.enumerate():
        if thread.daemon and thread is not threading.current_thread():
            thread.join(5)


# ---------------------------------------------------------------- the plan


def test_one_error_names_all_that_are_missing_or_refused(fleet: Fleet) -> None:
    fleet.store.remove("deployments", "c")
    fleet.store.remove("deployments", "e")
    deploy(fleet.store, props(NEW, name="b"), helm=False)
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
    with fleet.store.unreachable(), pytest.raises(ClusterError, match="cannot reach the API server"):
        fleet.run()


def test_other_settings_are_a_step(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(fleet.store, props(NEW, name="a"))
    monkeypatch.setattr(_preview, "diff", lambda *_: SimpleNamespace(changes=True))
    plan = fleet.run(confirm=lambda _: False)
    assert (plan.members[0].current, plan.members[0].steps, plan.members[0].state.value) == (NEW, 1, "not begun")


def test_servers_that_are_not_ready_are_not_at_the_target(fleet: Fleet) -> None:
    deploy(fleet.store, props(NEW, name="a"))
    assert states(fleet.run(confirm=lambda _: False))["skipped"] == "a"
    fleet.store.get("deployments", "a")["status"]["availableReplicas"] = 0
    assert "skipped" not in states(fleet.run(confirm=lambda _: False))


@pytest.mark.parametrize("wrong", [{"canary": -1}, {"wave_size": 0}, {"parallel": 0}])
def test_numbers_have_limits(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        FleetOptions(**wrong)
