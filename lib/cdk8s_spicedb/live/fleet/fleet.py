"""Upgrades many releases, in waves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum
from threading import Event, Lock

from attrs import evolve, field, frozen

from ...errors import SpiceDBError
from ...manifests.objects import Manifest
from ...plans.words import rolls_back
from ...props import SpiceDBProps
from ...text import some_of
from ..check.check import CheckReport, check
from ..check.finding import Finding, Level
from ..cluster import (
    DEPLOYMENT,
    Cluster,
    Unreachable,
)
from ..diff import diff
from ..instance import Running, describe
from ..poll import parallel
from ..upgrade.record import Progress, Record
from ..upgrade.target import deliverer_of, require_own, require_same_delivery, start_or_continue
from ..upgrade.upgrade import UpgradeOptions, UpgradeStoppedError, upgrade
from ..workload import RolloutState, rollout_of
from .waves import Crew, Schedule, waves_of


@frozen(kw_only=True)
class Member:
    """One of many releases."""

    cluster: Cluster
    """Its namespace of the cluster. Several members can share a client."""
    props: SpiceDBProps
    """What it is upgraded to."""

    @property
    def title(self) -> str:
        """Its namespace and name, as in ``tenant-a/spicedb``."""
        return f"{self.cluster.namespace}/{self.props.name}"


@frozen(kw_only=True)
class CheckOptions:
    """What is checked before an upgrade. The parameters of `check` have the same names."""

    database: bool = True
    """Whether to ask the database, with a pod that runs for a moment."""
    database_image: str | None = None
    """Image of that pod. Defaults to the official image of the engine."""
    pull_images: bool = False
    """Whether to pull each image, with pods that run for a moment."""


@frozen(kw_only=True)
class FleetOptions:
    """How many releases are upgraded."""

    canary: int = 1
    """Number of members in the first wave. 0: there is no such wave."""
    wave_size: int = 10
    """Number of members in each later wave."""
    parallel: int = 4
    """Number of upgrades that run at the same time."""
    upgrade: UpgradeOptions = field(factory=UpgradeOptions)
    """How each upgrade runs."""
    check: CheckOptions | None = field(factory=CheckOptions)
    """What is checked before each upgrade, when its turn comes. None: nothing."""

    def __attrs_post_init__(self) -> None:
        for name, least in (("canary", 0), ("wave_size", 1), ("parallel", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")


class MemberState(Enum):
    """What became of a member."""

    UPGRADED = "upgraded"
    SKIPPED = "skipped"
    """It already was at the target."""
    UNCHANGED = "unchanged"
    """It was refused before anything changed, such as by a failed check."""
    ROLLED_BACK = "rolled back"
    """A step failed and was rolled back. Steps before it stay."""
    FAILED = "failed"
    """A step failed, and was not rolled back."""
    INTERRUPTED = "interrupted"
    """It was interrupted while it ran."""
    NOT_BEGUN = "not begun"


PROBLEMS = (MemberState.UNCHANGED, MemberState.ROLLED_BACK, MemberState.FAILED)
"""What stops the waves."""


@frozen(kw_only=True)
class MemberReport:
    """One of many SpiceDBs: its plan, and what became of it."""

    name: str
    """Name of the SpiceDB."""
    namespace: str
    """Its namespace."""
    wave: int
    """Number of its wave, from 1."""
    current: str | None
    """SpiceDB release of the servers when the command began. None if it is not known."""
    target: str
    """SpiceDB release of the file."""
    steps: int
    """Number of steps that were left when the command began. 0: it already was at the target."""
    rolls_back: bool | None
    """Whether a rollback of all these steps works. None: it is not known."""
    state: MemberState = MemberState.NOT_BEGUN
    """What became of it. ``skipped``: it already was at the target. ``unchanged``: it was refused before anything
    changed, such as by a failed check. ``rolled back``: a step failed and was rolled back, and steps before it stay.
    ``failed``: a step failed, and was not rolled back."""
    reason: str | None = None
    """Why it did not succeed. None: it did, or did not begin."""
    seconds: float | None = None
    """How long it took. None: it did not begin."""

    @property
    def title(self) -> str:
        """Its namespace and name, as in ``tenant-a/spicedb``."""
        return f"{self.namespace}/{self.name}"


@frozen(kw_only=True)
class FleetReport:
    """What became of an upgrade of many SpiceDBs."""

    members: Sequence[MemberReport]
    """The SpiceDBs, in the order of their files."""
    interrupted: bool = False
    """Whether it was interrupted."""

    @property
    def ok(self) -> bool:
        """Whether all members are at the target."""
        return len(self.of(MemberState.UPGRADED, MemberState.SKIPPED)) == len(self.members)

    def of(self, *states: MemberState) -> Sequence[MemberReport]:
        """The members with one of these states."""
        return [each for each in self.members if each.state in states]


_SHOWN = 20
"""How many releases with problems an error names."""


@frozen
class _Problem:
    """Why a member cannot be upgraded."""

    title: str
    text: str
    missing: bool = False


def preview(members: Sequence[Member], options: FleetOptions) -> FleetReport:
    """The waves, and the steps of each member. Those that are at the target already are skipped.

    Nothing changes. Raises one `SpiceDBError` about all members that do not run or cannot be upgraded.
    """
    _require_different(members)
    waves = waves_of(len(members), options.canary, options.wave_size)
    numbers = {member: wave for wave, numbers in enumerate(waves, 1) for member in numbers}
    for member in members[:1]:
        # Members that share a client share what the first request costs, such as a program that gets a token.
        member.cluster.resource(DEPLOYMENT)
    found = parallel(lambda number: _preview(members[number], numbers[number]), range(len(members)))
    problems = [each for each in found if isinstance(each, _Problem)]
    if problems:
        raise SpiceDBError("\n".join(_text(problems)))
    return FleetReport(members=tuple(each for each in found if isinstance(each, MemberReport)))


def _require_different(members: Sequence[Member]) -> None:
    twice = [title for title, count in Counter(member.title for member in members).items() if count > 1]
    if twice:
        raise SpiceDBError(
            f"several files describe {some_of(twice, _SHOWN)}; give each SpiceDB in a namespace a different name, or "
            "its own namespace"
        )


def _preview(member: Member, wave: int) -> MemberReport | _Problem:
    try:
        deployment = member.cluster.get(DEPLOYMENT, member.props.name)
        if deployment is None:
            return _Problem(member.title, "", missing=True)
        return _planned(member, deployment, wave)
    except Unreachable:
        raise
    except SpiceDBError as error:
        return _Problem(member.title, str(error))


def _planned(member: Member, deployment: Manifest, wave: int) -> MemberReport:
    cluster, props, running = member.cluster, member.props, describe(deployment)
    applies = deliverer_of(cluster, running)
    require_same_delivery(props, running)
    require_own(cluster, running)
    record = start_or_continue(cluster, props, running, applies.revision)
    done = _is_done(member, record, deployment)
    left = () if done else record.plan.steps[record.sound[-1].step :]
    return MemberReport(
        name=props.name,
        namespace=running.namespace,
        wave=wave,
        current=running.version,
        target=props.version,
        steps=len(left),
        rolls_back=rolls_back(left),
        state=MemberState.SKIPPED if done else MemberState.NOT_BEGUN,
    )


def _is_done(member: Member, record: Record, deployment: Manifest) -> bool:
    """Whether a release is at its target: no upgrade is under way, its servers are ready, and no object differs."""
    plan = record.plan
    return (
        plan.current == plan.target
        and record.running is None
        and rollout_of(deployment).state is RolloutState.DONE
        and not diff(member.cluster, member.props).changes
    )


def _text(problems: Sequence[_Problem]) -> list[str]:
    missing = [each.title for each in problems if each.missing]
    others = [each for each in problems if not each.missing]
    lines = [f"{each.title}: {each.text}" for each in others[:_SHOWN]]
    if len(others) > _SHOWN:
        lines.append(f"{len(others) - _SHOWN} more SpiceDBs have problems")
    if missing:
        lines.insert(
            0,
            f"the cluster has no Deployment for {some_of(missing, _SHOWN)}; install these first, leave out their "
            "files, or check --namespace and --context",
        )
    return [*lines, "Nothing was changed."]


FleetProgress = Callable[[Member, Progress], None]
"""Gets what a member does at the moment."""


def upgrade_fleet(
    members: Sequence[Member],
    *,
    options: FleetOptions | None = None,
    confirm: Callable[[FleetReport], bool] = lambda _: True,
    report: FleetProgress = lambda _, __: None,
    on_end: Callable[[MemberReport], None] = lambda _: None,
    on_interrupt: Callable[[], None] = lambda: None,
) -> FleetReport:
    """Upgrades many releases in waves, each as `upgrade` does. Returns what became of each one.

    A wave begins when all of the wave before have succeeded. When one fails, no new upgrade begins, and those that run
    go on to their end. If you run this again, those that are done are skipped.

    ``confirm`` gets the plan before anything changes; if it returns False, nothing does. Each release is checked when
    its turn comes, and a failed check counts as its failure. After Ctrl-C, the upgrades that run stop where they are,
    and ``on_interrupt`` is called. ``on_end`` gets what became of each member that began. Only one thread calls
    ``report`` or ``on_end`` at a time. Raises one `SpiceDBError` about all members that do not run or cannot be
    upgraded.
    """
    chosen = options or FleetOptions()
    plan = preview(members, chosen)
    if not confirm(plan):
        return plan
    work = _Work(members, chosen, plan, report, on_end)
    done = [number for number, each in enumerate(plan.members) if each.state is MemberState.SKIPPED]
    waves = waves_of(len(members), chosen.canary, chosen.wave_size)
    schedule = Schedule(waves=waves, parallel=chosen.parallel, done=frozenset(done))
    Crew(schedule, work.run, work.interrupted).run(on_interrupt)
    return work.report()


class _Work:
    """The upgrade of each member, and what became of it."""

    def __init__(
        self,
        members: Sequence[Member],
        options: FleetOptions,
        plan: FleetReport,
        report: FleetProgress,
        on_end: Callable[[MemberReport], None],
    ) -> None:
        self._members, self._options, self._report, self._on_end = members, options, report, on_end
        self._reports = list(plan.members)
        self._lock = Lock()
        self.interrupted = Event()

    def report(self) -> FleetReport:
        """What became of the members so far."""
        return FleetReport(members=tuple(self._reports), interrupted=self.interrupted.is_set())

    def run(self, number: int) -> bool:
        """Upgrades a member, and returns whether that succeeded."""
        start, before = time.monotonic(), self._reports[number]
        # What is known if the program ends before the upgrade does.
        self._reports[number] = evolve(before, state=MemberState.INTERRUPTED)
        state, reason = self._upgrade(_Turn(self._members[number], self._options, self._tell))
        seconds = round(time.monotonic() - start, 1)
        self._reports[number] = ended = evolve(before, state=state, reason=reason, seconds=seconds)
        with self._lock:
            self._on_end(ended)
        return state is MemberState.UPGRADED

    def _upgrade(self, turn: _Turn) -> tuple[MemberState, str | None]:
        try:
            turn.run()
        except UpgradeStoppedError as error:
            return (MemberState.ROLLED_BACK if error.rolled_back else MemberState.FAILED), str(error)
        except SpiceDBError as error:
            return (MemberState.FAILED if turn.began else MemberState.UNCHANGED), str(error)
        except _InterruptedError:
            return MemberState.INTERRUPTED, None
        except Exception as error:  # What became of the others must not be lost.
            return (MemberState.FAILED if turn.began else MemberState.UNCHANGED), f"{type(error).__name__}: {error}"
        return MemberState.UPGRADED, None

    def _tell(self, member: Member, progress: Progress) -> None:
        if self.interrupted.is_set():
            raise _InterruptedError
        with self._lock:
            self._report(member, progress)


class _InterruptedError(BaseException):
    """Ends the upgrade of a member where it is, as Ctrl-C ends that of a single one."""


class _Turn:
    """The turn of one member."""

    def __init__(self, member: Member, options: FleetOptions, tell: FleetProgress) -> None:
        self._member, self._options, self._tell = member, options, tell
        self.began = False
        """Whether a step began."""

    def run(self) -> None:
        member = self._member
        upgrade(
            member.cluster, member.props, options=self._options.upgrade, confirm=self._confirm, report=self._progress
        )

    def _progress(self, progress: Progress) -> None:
        self.began = self.began or progress.step > 0
        self._tell(self._member, progress)

    def _confirm(self, _: Record, __: Running) -> bool:
        if self._options.check is not None:
            self._prepare("checking")
            self._check(self._options.check)
            self._prepare("the check found no failure")
        return True

    def _check(self, options: CheckOptions) -> None:
        """Raises `SpiceDBError` if a check fails."""
        found = check(
            self._member.cluster,
            self._member.props,
            database=options.database,
            database_image=options.database_image,
            pull_images=options.pull_images,
        )
        if not found.ok:
            raise SpiceDBError("\n".join(["the check failed, and nothing was changed:", *_lines(found, Level.FAILURE)]))
        for line in _lines(found, Level.WARNING):
            self._prepare(line.strip())

    def _prepare(self, text: str) -> None:
        self._tell(self._member, Progress(step=0, steps=0, activity="prepare", text=text))


def _lines(found: CheckReport, level: Level) -> list[str]:
    return [_line(each) for each in found.findings if each.level is level]


def _line(finding: Finding) -> str:
    fix = f"; fix: {finding.fix}" if finding.fix else ""
    return " ".join(f"{finding.level.value} {finding.subject}: {finding.text}{fix}".split())
