"""Upgrades many releases, in waves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Event, Lock

from attrs import evolve

from ...errors import SpiceDBError
from ..checks.check import CheckReport, check
from ..finding import Finding, Level
from ..release.record import Record
from ..release.running import Running
from ..steps.progress import Progress
from ..steps.upgrade import UpgradeStoppedError, upgrade
from .crew import Crew
from .preview import preview
from .report import CheckOptions, FleetOptions, FleetReport, Member, MemberReport, MemberState
from .waves import Schedule, waves_of

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
