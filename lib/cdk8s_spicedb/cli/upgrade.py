"""``cdk8s-spicedb upgrade``: upgrades a live release, step by step."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from ..live.check.check import CheckOptions, CheckReport, check
from ..live.check.finding import Level
from ..live.cluster import Cluster
from ..live.upgrade.commit import write_next_step
from ..live.upgrade.outcome import CheckFailedError, State, UpgradeStoppedError
from ..live.upgrade.upgrade import Preflight, UpgradeOptions, upgrade
from ..props import SpiceDBProps
from ..text import count
from .check import lines
from .destination import connect
from .display import Display
from .files import read_release
from .fleet import OF_FLEETS, upgrade_each
from .options import FILE, STEM, require_yes
from .output import DATA, as_data, say_after, say_error
from .safety import Backups, steps, unrehearsed

if TYPE_CHECKING:
    from rich.text import Text


@attrs.frozen(kw_only=True)
class Options:
    """The options of the command. `options` has their meaning."""

    file: Sequence[str] | None
    releases: str | None
    namespace: str | None
    context: str | None
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
        checks = CheckOptions(
            database=not parsed.no_database,
            database_image=parsed.database_image,
            pull_images=parsed.pull_images,
            schema=not parsed.no_schema,
        )
        check = None if parsed.no_check else checks
        backups = Backups.of(parsed.backup, none=parsed.no_backup)
        chosen = UpgradeOptions(
            observe_seconds=parsed.observe,
            on_failure=parsed.on_failure,
            check=check,
            back_up=backups.back_up,
            questions=parsed.answers,
        )
        given = {name: value for name, value in vars(parsed).items() if name in attrs.fields_dict(cls)}
        return cls(**given, backups=backups, upgrade=chosen)

    @property
    def quiet(self) -> bool:
        """Whether only JSON is printed."""
        return self.output in DATA


def run(parsed: argparse.Namespace) -> int:
    """Upgrades one release, or many, or writes the next step."""
    options = Options.of(parsed)
    if options.each is not None:
        return upgrade_each(options)
    props, destination = read_release(options)
    props, cluster = options.backups.chosen(props), connect(options, destination)
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
    elif options.write is not None:
        options.usage("--write writes the files of one SpiceDB, and --each upgrades many; use one of them")
    if options.write is not None and options.answers:
        options.usage("--answers asks a new server before a roll-out, and --write only writes files; use one of them")


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
            _refuse(outcome.error.report, display)
        else:
            display.end(outcome)
    if outcome.state is State.DONE and options.quiet:
        say_after(as_data(outcome.record, options.output))
    return outcome.state.exit_code


def _confirm(options: Options, cluster: Cluster, props: SpiceDBProps, preflight: Preflight, display: Display) -> bool:
    """Asks whether to upgrade. Raises `SpiceDBError` if that needs a backup that cannot be made, or a rehearsal."""
    options.backups.require(props, due=bool(preflight.unsure), servers=preflight.running.replicas)
    more: list[str] = []
    if preflight.unrehearsed:
        more += unrehearsed(options, "this upgrade", cluster, options.file or [FILE])
    if preflight.unsure:
        more.append(options.backups.sentence(props, steps(preflight.unsure)))
    intention = [*_intention(cluster, preflight), *(f"  {sentence}" for sentence in more)]
    return display.confirms(intention, "Continue?", yes=options.yes)


def _intention(cluster: Cluster, preflight: Preflight) -> Iterator[str | Text]:
    """What the check found that is not ok, and what the upgrade does."""
    if preflight.check is not None:
        yield from lines(preflight.check, but=Level.OK)
    running, record = preflight.running, preflight.record
    change = f"SpiceDB {record.plan.current} to {record.plan.target}, {count(len(record.plan.steps), 'step')}"
    more = f" Continues with step {record.next_step}." if record.sound[-1].step or record.running else ""
    yield f"{running.name} in {running.namespace}, {cluster.place}: {change}.{more}"
    yield from (f"  {sentence}" for sentence in preflight.meaning)


def _refuse(report: CheckReport, display: Display) -> None:
    display.line(*lines(report, but=Level.OK))
    say_error("Nothing was changed. Fix the failures, then run the same command again.")


def _write(options: Options, cluster: Cluster, props: SpiceDBProps, folder: str) -> int:
    display, checks = Display(quiet=options.quiet), options.upgrade.check
    if checks is not None:
        report = check(cluster, props, **attrs.asdict(checks))
        if not report.ok:
            _refuse(report, display)
            return State.REFUSED.exit_code
        display.line(*lines(report, but=Level.OK))
    try:
        written = write_next_step(
            cluster, props, folder, back_up=options.upgrade.back_up, notify=lambda text: display.line(text)
        )
    except UpgradeStoppedError as error:
        say_error(str(error))
        return State.STOPPED.exit_code
    say_after(as_data(written, options.output) if options.quiet else written.text)
    return State.DONE.exit_code
