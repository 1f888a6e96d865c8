"""``upgrade --each``: upgrades many live releases, in waves."""

from __future__ import annotations

import glob
import shlex
import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.spinner import Spinner
from rich.table import Table

from ..files.read import Destination
from ..live.fleet.fleet import FleetOptions, FleetReport, Member, MemberReport, MemberState, upgrade_fleet
from ..live.upgrade.outcome import Progress, State
from ..plans.words import WAY_BACK
from ..text import columns, count, some_of
from .destination import connect_each
from .display import News, Screen, sentence
from .files import SHOWN, paths_of, read_each, warn
from .options import require_yes
from .output import FAINT, as_data, say_after, say_error, styled
from .safety import unrehearsed

if TYPE_CHECKING:
    from rich.text import Text

    from .upgrade import Options

OF_FLEETS = ("canary", "wave_size", "parallel")
"""Options that belong to ``--each``."""


def upgrade_each(options: Options) -> int:
    """Upgrades all SpiceDBs of ``--each``, and returns the exit code."""
    destinations: dict[str, Destination] = {}
    found = read_each(options, destinations=destinations)
    warn(found)
    clusters = connect_each(options, destinations)
    require_yes(options)
    members = [Member(cluster=clusters[name], props=options.backups.chosen(props)) for name, props in found.items()]
    given = {name: getattr(options, name) for name in OF_FLEETS if getattr(options, name) is not None}
    chosen = FleetOptions(**given, upgrade=options.upgrade)
    with FleetDisplay(quiet=options.quiet) as display:
        display.line(f"Looking at {len(members)} SpiceDBs in {members[0].cluster.place}.")
        try:
            report = upgrade_fleet(
                members,
                options=chosen,
                confirm=lambda plan: _confirm(options, members, plan, chosen, display),
                report=display.report,
                on_end=display.end,
                on_interrupt=display.interrupt,
            )
        except KeyboardInterrupt:
            display.stop()
            say_error("Interrupted. Nothing was changed.")
            return State.INTERRUPTED.exit_code
    code = report.state.exit_code
    if options.quiet:
        say_after(as_data(report, options.output))
    text = "\n".join(_ending(report, _command_again(options)))
    if code:
        say_error(text)
    elif not options.quiet:
        say_after(text)
    return code


def _confirm(
    options: Options, members: Sequence[Member], plan: FleetReport, chosen: FleetOptions, display: FleetDisplay
) -> bool:
    """Asks whether to upgrade all. Raises `SpiceDBError` if one needs a backup that cannot be made, or a rehearsal."""
    more = [*_rehearsals(options, members, plan), *_backups(options, members, plan)]
    return display.confirms([*_intention(plan, chosen), *more], "Continue?", yes=options.yes or plan.ok)


def _backups(options: Options, members: Sequence[Member], plan: FleetReport) -> Iterator[str]:
    """Which backups are made."""
    found: Counter[str] = Counter()
    for member, each in zip(members, plan.members, strict=True):
        options.backups.require(member.props, due=each.backup_due)
        if each.backup_due:
            found[options.backups.sentence(member.props, "a step whose rollback does not work, or may not")] += 1
    return (f"{count(number, 'SpiceDB')}: {sentence}" for sentence, number in found.items())


def _rehearsals(options: Options, members: Sequence[Member], plan: FleetReport) -> Sequence[str]:
    """What to say about upgrades that nobody has rehearsed, with the command for the first of them."""
    paths = dict(zip(plan.members, zip(members, paths_of(options.each or ()).values(), strict=True), strict=True))
    found = [each for each in plan.members if each.unrehearsed]
    if not found:
        return ()
    member, path = paths[found[0]]
    names = some_of([each.title for each in found], SHOWN)
    return unrehearsed(options, f"the upgrade of {names}", member.cluster, [*(options.file or ()), path])


def _command_again(options: Options) -> str:
    """The command line, with one pattern in place of many files if it stands for them in the same order."""
    command, paths = shlex.join(["cdk8s-spicedb", *options.words]), list(options.each or ())
    pattern = str(Path(paths[0]).with_name(f"*{Path(paths[0]).suffix}"))
    if len(paths) > 1 and sorted(glob.glob(pattern)) == paths:
        return command.replace(shlex.join(paths), shlex.quote(pattern), 1)
    return command


_ENDINGS = {
    MemberState.UPGRADED: "Upgraded",
    MemberState.SKIPPED: "Already at the target",
    MemberState.UNCHANGED: "Failed, and not changed",
    MemberState.ROLLED_BACK: "Failed, and rolled back",
    MemberState.FAILED: "Failed, and not rolled back",
    MemberState.INTERRUPTED: "Interrupted",
    MemberState.NOT_BEGUN: "Not begun",
}
"""What became of members, in the order in which the end names it."""
_HEADINGS = ("WAVE", "UPGRADE", "ROLLBACK", "SPICEDBS")
_INTERRUPTED = (
    "Interrupted: no new upgrade begins. Waiting for those that run to stop where they are; press Ctrl-C again to "
    "leave at once."
)


def _intention(plan: FleetReport, options: FleetOptions) -> Iterator[str]:
    left, done = plan.of(MemberState.NOT_BEGUN), plan.of(MemberState.SKIPPED)
    if done:
        yield f"Already at the target: {_number(done)}: {some_of([each.title for each in done], SHOWN)}."
    if not left:
        return
    groups: dict[tuple[str, str, str], list[str]] = {}
    for each in left:
        change = f"settings of {each.target}" if each.current == each.target else f"{each.current} to {each.target}"
        row = (str(each.wave), f"{change}, {count(each.steps, 'step')}", WAY_BACK[each.rolls_back])
        groups.setdefault(row, []).append(each.title)
    yield from columns([_HEADINGS, *((*row, ", ".join(titles)) for row, titles in groups.items())])
    waves = count(len({each.wave for each in left}), "wave")
    checked = " Each one is checked when its turn comes." if options.upgrade.check else ""
    yield f"{_number(left)} in {waves}, at most {options.parallel} at the same time.{checked}"


def _ending(report: FleetReport, again: str) -> Iterator[str]:
    if not report.ok and len(report.of(MemberState.NOT_BEGUN, MemberState.SKIPPED)) == len(report.members):
        yield "Nothing was changed."
        return
    for state, heading in _ENDINGS.items():
        found = report.of(state)
        if found:
            yield f"{heading}: {_number(found)}: {', '.join(each.title for each in found)}."
        for each in found:
            if each.reason:
                yield textwrap.indent(f"{each.title}: {each.reason}", "  ")
    if not report.ok:
        cause = "To continue" if report.interrupted else "Fix the cause. To continue"
        yield f"{cause}, run this command again; it skips those that are done:"
        yield f"  {again}"


def _number(found: Sequence[MemberReport]) -> str:
    return count(len(found), "SpiceDB")


class FleetDisplay(Screen):
    """Shows what the upgrades do: a line for each that runs on a terminal, and plain lines elsewhere.

    Only one thread may report at a time.
    """

    transient = True
    soft_wrap = True

    def __init__(self, *, quiet: bool = False, to: Console | None = None) -> None:
        self._news: dict[str, News] = {}
        self._running: dict[str, tuple[float, str]] = {}
        self._ended = 0
        super().__init__(quiet=quiet, to=to)

    def report(self, member: Member, progress: Progress) -> None:
        """Shows what a member does."""
        title, text = member.title, sentence(progress)
        start, _ = self._running.get(title, (time.monotonic(), ""))
        self._running = {**self._running, title: (start, text)}
        if self._live is None and self._news.setdefault(title, News()).is_new(progress):
            self.line(f"{title}: {text}")

    def end(self, report: MemberReport) -> None:
        """Shows what became of a member."""
        self._running = {title: text for title, text in self._running.items() if title != report.title}
        self._ended += 1
        reason = (report.reason or "").partition("\n")[0]
        self.line(f"{report.title}: {report.state.value} after {report.seconds} s{f': {reason}' if reason else ''}")

    def interrupt(self) -> None:
        """Says what happens after Ctrl-C."""
        say_error(_INTERRUPTED)

    def render(self) -> Group | Text:
        """A line for each member that runs."""
        running = self._running  # Another thread may replace it meanwhile.
        table = Table.grid(padding=(0, 2))
        for title, (start, text) in running.items():
            table.add_row(
                Spinner("dots"), styled(title, style="bold"), f"{time.monotonic() - start:.0f} s", styled(text)
            )
        return Group(table, styled(f"{self._ended} ended", style=FAINT)) if running else styled()
