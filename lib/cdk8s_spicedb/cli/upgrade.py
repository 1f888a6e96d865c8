"""``cdk8s-spicedb upgrade``: upgrades a live release, step by step."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from ..live.check.check import CheckReport, check
from ..live.check.finding import Level
from ..live.cluster import Cluster
from ..live.diff import Diff, diff
from ..live.upgrade.commit import write_next_step
from ..live.upgrade.outcome import CheckFailedError, State, UpgradeStoppedError
from ..live.upgrade.preflight import Preflight, preview
from ..live.upgrade.upgrade import UpgradeOptions, upgrade
from ..plans.plan import UpgradePlan
from ..plans.tables import table
from ..props import SpiceDBProps
from ..text import count
from .check import chosen, lines
from .destination import connect
from .diff import lines as changed
from .diff import styled_lines
from .display import Display
from .each import Found, look_at
from .files import read_release
from .fleet import OF_FLEETS, upgrade_each
from .options import FILE, STEM, require_no_name, require_yes
from .output import DATA, DRY_RUN, as_data, say_after, say_error, styled
from .safety import Backups, steps, unrehearsed

if TYPE_CHECKING:
    from rich.text import Text


_UNCHANGED = "Nothing was changed. Fix the failures, then run the same command again."


@attrs.frozen(kw_only=True)
class Options:
    """The options of the command. `options` has their meaning."""

    file: Sequence[str] | None
    releases: str | None
    namespace: str | None
    context: str | None
    kubeconfig: str | None
    verbose: bool
    output: str
    yes: bool
    no_rehearsal: bool
    each: Sequence[str] | None
    canary: int | None
    wave_size: int | None
    parallel: int | None
    write: str | None
    backups: Backups
    upgrade: UpgradeOptions
    words: Sequence[str]
    """The whole command line."""

    @classmethod
    def of(cls, parsed: argparse.Namespace) -> Options:
        """The options that argparse has found. Ends the program if they do not fit together."""
        _require_fitting(parsed)
        backups = Backups.of(parsed.backup, none=parsed.no_backup)
        upgrade = UpgradeOptions(
            observe_seconds=parsed.observe,
            on_failure=parsed.on_failure,
            check=None if parsed.no_check else chosen(parsed),
            back_up=backups.back_up,
            questions=parsed.answers,
        )
        given = {name: value for name, value in vars(parsed).items() if name in attrs.fields_dict(cls)}
        return cls(**given, backups=backups, upgrade=upgrade)

    @property
    def quiet(self) -> bool:
        """Whether only JSON is printed."""
        return self.output in DATA


def run(parsed: argparse.Namespace) -> int:
    """Upgrades one release, or many, or writes the next step."""
    options = Options.of(parsed)
    if parsed.dry_run:
        return look_at(parsed, lambda cluster, props: _preview(options, cluster, options.backups.chosen(props)))
    if options.each is not None:
        return upgrade_each(options)
    props, destination = read_release(parsed)
    props, cluster = options.backups.chosen(props), connect(parsed, destination)
    if options.write is not None:
        return _write(options, cluster, props, options.write)
    return _upgrade(options, cluster, props)


def _require_fitting(options: argparse.Namespace) -> None:
    if options.each is None:
        for name in OF_FLEETS:
            if getattr(options, name) is not None:
                options.usage(f"use --{name.replace('_', '-')} and --each together")
        if STEM in (options.namespace or ""):
            options.usage(f"{STEM} in --namespace stands for the name of a file of --each; add --each")
    else:
        require_no_name(options)
        if options.write is not None:
            options.usage("--write writes the files of one SpiceDB, and --each upgrades many; use one of them")
    if options.write is not None and options.dry_run:
        options.usage("--write writes files, and --dry-run writes nothing; use one of them")
    if options.write is not None and options.answers:
        options.usage("--answers asks a new server before a roll-out, and --write only writes files; use one of them")


@attrs.frozen(kw_only=True)
class DryRun:
    """What an upgrade would do."""

    check: CheckReport | None
    """What the check found. None: nothing was checked."""
    plan: UpgradePlan | None
    """The steps. None: the check failed before they were known."""
    changes: Diff | None
    """What would change in the cluster. None: the check failed."""


def _preview(options: Options, cluster: Cluster, props: SpiceDBProps) -> Found:
    """Checks, and says what an upgrade would change."""
    try:
        found = preview(cluster, props, options.upgrade.check)
    except CheckFailedError as error:
        failed = error.report
        data = DryRun(check=failed, plan=failed.plan, changes=None)
        return Found(data, lambda: [*lines(failed, options, but=Level.OK), styled(DRY_RUN)], State.REFUSED.exit_code)
    changes = diff(cluster, props)

    def texts() -> Iterator[Text]:
        yield from map(styled, _intention(options, cluster, found))
        yield from map(styled, ["", *table(found.record.plan, width=100).splitlines(), ""])
        yield from styled_lines(changed(changes))
        yield from map(styled, ["", DRY_RUN])

    return Found(DryRun(check=found.check, plan=found.record.plan, changes=changes), texts, State.DONE.exit_code)


def _upgrade(options: Options, cluster: Cluster, props: SpiceDBProps) -> int:
    require_yes(options)
    with Display(quiet=options.quiet) as display:
        outcome = upgrade(
            cluster,
            props,
            options=options.upgrade,
            confirm=lambda preflight: _confirm(options, cluster, props, preflight, display),
            report=display.report,
        )
        if isinstance(outcome.error, CheckFailedError):
            display.stop()
            _refuse(options, outcome.error.report, display)
        else:
            display.end(outcome, options)
    if outcome.state is State.DONE and options.quiet:
        say_after(as_data(outcome.record, options.output))
    return outcome.exit_code


def _confirm(options: Options, cluster: Cluster, props: SpiceDBProps, preflight: Preflight, display: Display) -> bool:
    """Asks whether to upgrade. Raises `SpiceDBError` if that needs a backup that cannot be made, or a rehearsal."""
    options.backups.require(props, due=bool(preflight.unsure), servers=preflight.running.replicas)
    more: list[str] = []
    if preflight.unrehearsed:
        more += unrehearsed(options, "this upgrade", cluster, options.file or [FILE])
    if preflight.unsure:
        more.append(options.backups.sentence(props, steps(preflight.unsure)))
    intention = [*_intention(options, cluster, preflight), *(f"  {sentence}" for sentence in more)]
    return display.confirms(intention, "Continue?", yes=options.yes)


def _intention(options: Options, cluster: Cluster, preflight: Preflight) -> Iterator[str | Text]:
    """What the check found that is not ok, and what the upgrade does."""
    if preflight.check is not None:
        yield from lines(preflight.check, options, but=Level.OK)
    running, record = preflight.running, preflight.record
    change = f"SpiceDB {record.plan.current} to {record.plan.target}, {count(len(record.plan.steps), 'step')}"
    more = f" Continues with step {record.next_step}." if record.sound[-1].step or record.running else ""
    yield f"{running.name} in {running.namespace}, {cluster.place}: {change}.{more}"
    yield from (f"  {sentence}" for sentence in preflight.meaning)


def _refuse(options: Options, report: CheckReport, display: Display) -> None:
    display.line(*lines(report, options, but=Level.OK))
    say_error(f"error: the check failed. {_UNCHANGED}")


def _write(options: Options, cluster: Cluster, props: SpiceDBProps, folder: str) -> int:
    display, checks = Display(quiet=options.quiet), options.upgrade.check
    if checks is not None:
        report = check(cluster, props, **attrs.asdict(checks))
        if not report.ok:
            _refuse(options, report, display)
            return State.REFUSED.exit_code
        display.line(*lines(report, options, but=Level.OK))
    try:
        written = write_next_step(
            cluster, props, folder, back_up=options.upgrade.back_up, notify=lambda text: display.line(text)
        )
    except UpgradeStoppedError as error:
        say_error(f"error: {error}")
        return State.STOPPED.exit_code
    say_after(as_data(written, options.output) if options.quiet else written.text)
    return State.DONE.exit_code
