"""Upgrades many releases, in waves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from threading import Event, Lock

from attrs import evolve, field, frozen

from ...errors import SpiceDBError
from ...plans.words import rolls_back
from ...props import SpiceDBProps
from ...text import some_of
from ..apierror import Unreachable
from ..check.finding import Level
from ..cluster import DEPLOYMENT, Cluster
from ..diff import diff
from ..instance import MissingError
from ..poll import InterruptibleClock, parallel
from ..rehearsed import lacks_rehearsal
from ..upgrade.outcome import Activity, Progress, State
from ..upgrade.preflight import Preflight
from ..upgrade.prepare import Prepared, prepare
from ..upgrade.upgrade import UpgradeOptions, upgrade
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
class FleetOptions:
    """How many releases are upgraded."""

    canary: int = 1
    """Number of members in the first wave. 0: there is no such wave."""
    wave_size: int = 10
    """Number of members in each later wave."""
    parallel: int = 4
    """Number of upgrades that run at the same time."""
    upgrade: UpgradeOptions = field(factory=UpgradeOptions)
    """How each upgrade runs, and what is checked before it, when its turn comes."""

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


_STATES = {
    State.DONE: MemberState.UPGRADED,
    State.REFUSED: MemberState.UNCHANGED,
    State.ROLLED_BACK: MemberState.ROLLED_BACK,
    State.STOPPED: MemberState.FAILED,
    State.INTERRUPTED: MemberState.INTERRUPTED,
}


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
    """SpiceDB version of the servers when the command began. None if it is not known."""
    target: str
    """SpiceDB version of the file."""
    steps: int
    """Number of steps that were left when the command began. 0: it already was at the target."""
    rolls_back: bool | None
    """Whether a rollback of all these steps works. None: it is not known."""
    backup_due: bool = False
    """Whether a backup was due before a step when the command began, because it may be impossible to roll the
    step back."""
    unrehearsed: bool = False
    """Whether such a step was left when the command began, and nobody had rehearsed the upgrade in the last day. False
    if the engine of the datastore cannot be rehearsed."""
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

    @property
    def state(self) -> State:
        """What became of all together: the worst of what became of one, or `State.ROLLED_BACK` if some are upgraded and
        others are not."""
        if self.ok:
            return State.DONE
        if self.interrupted:
            return State.INTERRUPTED
        if self.of(MemberState.FAILED):
            return State.STOPPED
        changed = self.of(MemberState.ROLLED_BACK, MemberState.UPGRADED)
        return State.ROLLED_BACK if changed else State.REFUSED

    def of(self, *states: MemberState) -> Sequence[MemberReport]:
        """The members with one of these states."""
        return [each for each in self.members if each.state in states]


_SHOWN = 20
"""How many releases with problems an error names."""


def preview(members: Sequence[Member], options: FleetOptions) -> FleetReport:
    """The waves, and the steps of each member. Those that are at the target already are skipped.

    Nothing changes. Raises one `SpiceDBError` about all members that do not run or cannot be upgraded.
    """
    twice = [title for title, number in Counter(member.title for member in members).items() if number > 1]
    if twice:
        raise SpiceDBError(
            f"several files describe {some_of(twice, _SHOWN)}; give each SpiceDB in a namespace a different name, or "
            "its own namespace"
        )
    waves = waves_of(len(members), options.canary, options.wave_size)
    numbers = {member: wave for wave, numbers in enumerate(waves, 1) for member in numbers}
    for member in members[:1]:
        # Members that share a client share what the first request costs, such as a program that gets a token.
        member.cluster.get(DEPLOYMENT, member.props.name)
    found = parallel(lambda number: _look(members[number], numbers[number]), range(len(members)))
    errors = {each.title: seen for each, seen in zip(members, found, strict=True) if isinstance(seen, SpiceDBError)}
    if errors:
        refused = SpiceDBError("\n".join(_text(errors)))
        refused.unanswered = any(each.unanswered for each in errors.values())
        raise refused
    return FleetReport(members=tuple(each for each in found if isinstance(each, MemberReport)))


def _look(member: Member, wave: int) -> MemberReport | SpiceDBError:
    """The plan of a member, or why it cannot be upgraded."""
    try:
        prepared = prepare(member.cluster, member.props)
        done = _is_done(prepared)
    except Unreachable:
        raise
    except SpiceDBError as error:
        return error
    running, record = prepared.running, prepared.record
    left, unsure = ((), ()) if done else (record.plan.steps[record.sound[-1].step :], record.unsure)
    return MemberReport(
        name=running.name,
        namespace=running.namespace,
        wave=wave,
        current=running.version,
        target=member.props.version,
        steps=len(left),
        rolls_back=rolls_back(left),
        backup_due=bool(unsure),
        unrehearsed=lacks_rehearsal(member.cluster, member.props, unsure),
        state=MemberState.SKIPPED if done else MemberState.NOT_BEGUN,
    )


def _is_done(prepared: Prepared) -> bool:
    """Whether a release is at its target: no upgrade is under way, its servers are ready, and no object differs."""
    plan, deployment = prepared.record.plan, prepared.seen.deployment
    return (
        plan.current == plan.target
        and prepared.record.running is None
        and deployment is not None
        and rollout_of(deployment).state is RolloutState.DONE
        and not diff(prepared.cluster, prepared.props).changes
    )


def _text(errors: Mapping[str, SpiceDBError]) -> Iterator[str]:
    missing = [title for title, error in errors.items() if isinstance(error, MissingError)]
    others = [f"{title}: {error}" for title, error in errors.items() if title not in missing]
    if missing:
        yield (
            f"the cluster has no Deployment for {some_of(missing, _SHOWN)}; install these first, leave out their "
            "files, or check --namespace and --context"
        )
    yield from others[:_SHOWN]
    if len(others) > _SHOWN:
        yield f"{len(others) - _SHOWN} more SpiceDBs have problems"
    yield "Nothing was changed."


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
    work = _Work(members, chosen, list(plan.members), report, on_end)
    done = [number for number, each in enumerate(plan.members) if each.state is MemberState.SKIPPED]
    waves = waves_of(len(members), chosen.canary, chosen.wave_size)
    schedule = Schedule(waves=waves, parallel=chosen.parallel, done=frozenset(done))
    Crew(schedule, work.run, work.interrupted).run(on_interrupt)
    return FleetReport(members=tuple(work.reports), interrupted=work.interrupted.is_set())


@frozen
class _Work:
    """The upgrade of each member, and what became of it."""

    members: Sequence[Member]
    options: FleetOptions
    reports: list[MemberReport]
    """What became of the members so far."""
    tell: FleetProgress
    on_end: Callable[[MemberReport], None]
    lock: Lock = field(factory=Lock)
    interrupted: Event = field(factory=Event)

    def run(self, number: int) -> bool:
        """Upgrades a member, and returns whether that succeeded."""
        member, before = self.members[number], self.reports[number]
        start = member.cluster.clock.monotonic()
        # What is known if the program ends before the upgrade does.
        self.reports[number] = evolve(before, state=MemberState.INTERRUPTED)
        state, reason = self._upgrade(member)
        seconds = round(member.cluster.clock.monotonic() - start, 1)
        self.reports[number] = ended = evolve(before, state=state, reason=reason, seconds=seconds)
        with self.lock, suppress(Exception, SystemExit):  # As with a report, this must not end the others.
            self.on_end(ended)
        return state is MemberState.UPGRADED

    def _upgrade(self, member: Member) -> tuple[MemberState, str | None]:
        def report(progress: Progress) -> None:
            with self.lock:
                self.tell(member, progress)

        def confirm(preflight: Preflight) -> bool:
            for finding in preflight.check.findings if preflight.check else ():
                if finding.level is Level.WARNING:
                    report(Progress(step=0, steps=0, activity=Activity.PREPARE, text=finding.line()))
            return True

        # What waits ends as soon as somebody interrupts.
        cluster = evolve(member.cluster, clock=InterruptibleClock(self.interrupted))
        try:
            outcome = upgrade(cluster, member.props, options=self.options.upgrade, confirm=confirm, report=report)
        except Exception as error:  # What became of the others must not be lost.
            return MemberState.UNCHANGED, f"{type(error).__name__}: {error}"
        return _STATES[outcome.state], outcome.reason or None
