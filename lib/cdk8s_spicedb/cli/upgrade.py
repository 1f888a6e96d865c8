"""``cdk8s-spicedb upgrade``: upgrades a live release, step by step."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from attrs import asdict, fields, frozen

from ..text import count
from .options import (
    OF_FLEETS,
    STEM,
    Commands,
    add_cluster,
    add_file,
    add_releases,
    as_json,
    at_least,
    connect,
    option_of,
    read_file,
    require_yes,
)

if TYPE_CHECKING:
    from ..live.check.check import CheckOptions, CheckReport
    from ..live.cluster import Cluster
    from ..live.upgrade.upgrade import Preflight, UpgradeOptions
    from ..props import SpiceDBProps
    from .display import Display


def add_to(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "upgrade",
        help="upgrade a live release: check, ask, then run each step, watch it, and go back if it fails",
        description="Upgrades the SpiceDB that runs to what the file says. Checks first and asks. Then runs each step: "
        "it applies the step, waits until no older server is left, runs the permission test, and observes the servers' "
        "metrics. If you run it again after it was interrupted, it continues where it stopped. With --each, it does "
        "this for many SpiceDBs, wave by wave.",
        epilog="Exit code: 0 if the target is reached, 1 if nothing was changed (see stderr for the reason), 2 for "
        "wrong usage, 3 if a step failed and was rolled back, 4 if a step failed and was not rolled back, 130 "
        "if you interrupted it.",
    )
    add_file(parser)
    add_cluster(parser)
    _add_fleet(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before the first step")
    text = "time for which to observe the servers' metrics after each step, in seconds; defaults to 30. 0: not at all"
    parser.add_argument("--observe", type=at_least(0), default=30, metavar="SECONDS", help=text)
    text = (
        "what to do if a step fails; defaults to rollback if the plan says that a rollback works, and otherwise to stop"
    )
    parser.add_argument("--on-failure", choices=("rollback", "stop"), help=text)
    text = "for Argo CD and Flux: write the files of the next step to this folder, and stop. You commit them"
    parser.add_argument("--write", metavar="FOLDER", help=text)
    add_checks(parser)
    add_releases(parser)
    parser.set_defaults(run=_run)


def add_checks(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the check before an upgrade."""
    parser.add_argument("--no-check", action="store_true", help="do not check before the first step")
    parser.add_argument("--no-database", action="store_true", help="do not ask the database in the check")
    text = "image of the database's client; defaults to the official image of the engine"
    parser.add_argument("--database-image", metavar="IMAGE", help=text)
    parser.add_argument("--no-pull", action="store_true", help="do not check that the images can be pulled")


def _add_fleet(parser: argparse.ArgumentParser) -> None:
    """Adds the options for many releases."""
    text = (
        "upgrade many SpiceDBs in waves: files that describe one each. Each is first merged with the files of --file. "
        f"In --namespace, {STEM} stands for the name of the file without its ending"
    )
    parser.add_argument("--each", nargs="+", metavar="FILE", help=text)
    text = "with --each: number of files in the first wave; defaults to 1"
    parser.add_argument("--canary", type=at_least(0), metavar="N", help=text)
    text = "with --each: number of files in each later wave; defaults to 10"
    parser.add_argument("--wave-size", type=at_least(1), metavar="N", help=text)
    text = "with --each: number of upgrades that run at the same time; defaults to 4"
    parser.add_argument("--parallel", type=at_least(1), metavar="N", help=text)
    parser.set_defaults(usage=parser.error)


def _require_fitting(options: argparse.Namespace) -> None:
    """Ends the program if options do not fit together."""
    if options.each is None:
        for name in OF_FLEETS:
            if getattr(options, name) is not None:
                options.usage(f"use {option_of(name)} and --each together")
        if STEM in (options.namespace or ""):
            options.usage(f"{STEM} in --namespace stands for the name of a file of --each; add --each")
    elif options.write is not None:
        options.usage("--write writes the files of one SpiceDB, and --each upgrades many; use one of them")


@frozen(kw_only=True)
class Options:
    """The options of the command."""

    file: Sequence[str] | None
    releases: str | None
    namespace: str | None
    context: str | None
    output: str
    each: Sequence[str] | None
    canary: int | None
    wave_size: int | None
    parallel: int | None
    yes: bool
    observe: int
    on_failure: Literal["rollback", "stop"] | None
    write: str | None
    no_check: bool
    no_database: bool
    database_image: str | None
    no_pull: bool
    words: Sequence[str]
    """The whole command line."""

    @classmethod
    def of(cls, parsed: argparse.Namespace) -> Options:
        """The options that argparse has found."""
        return cls(**{each.name: getattr(parsed, each.name) for each in fields(cls)})

    @property
    def quiet(self) -> bool:
        """Whether only JSON is printed."""
        return self.output == "json"

    @property
    def check(self) -> CheckOptions:
        """What is checked."""
        from ..live.check.check import CheckOptions

        return CheckOptions(
            database=not self.no_database, database_image=self.database_image, pull_images=not self.no_pull
        )

    @property
    def upgrade(self) -> UpgradeOptions:
        """How an upgrade runs."""
        from ..live.upgrade.upgrade import UpgradeOptions

        check = None if self.no_check else self.check
        return UpgradeOptions(observe_seconds=self.observe, on_failure=self.on_failure, check=check)


def _run(parsed: argparse.Namespace) -> int:
    _require_fitting(parsed)
    options = Options.of(parsed)
    if options.each is not None:
        from .fleet import upgrade_each

        return upgrade_each(options)
    cluster, props = connect(options), read_file(options)
    if options.write is not None:
        return _write(options, cluster, props)
    require_yes(options)
    from ..live.upgrade.outcome import CheckFailedError, State
    from ..live.upgrade.upgrade import upgrade
    from .display import EXIT_CODES, Display

    with Display(quiet=options.quiet) as display:
        outcome = upgrade(
            cluster,
            props,
            options=options.upgrade,
            confirm=lambda preflight: _confirm(options, preflight, display),
            report=display.report,
        )
        display.stop()
        if isinstance(outcome.error, CheckFailedError):
            _show(outcome.error.report, display)
        elif outcome.state is State.INTERRUPTED:
            display.error("Interrupted. Run the same command again to continue.")
        elif outcome.error is not None:
            display.error(outcome.reason)
    if outcome.state is State.DONE and options.quiet:
        print(as_json(outcome.record))
    return EXIT_CODES[outcome.state]


def _confirm(options: Options, preflight: Preflight, display: Display) -> bool:
    from .display import ask

    with display.paused():
        if preflight.check is not None:
            _show(preflight.check, display)
        display.line(_intention(preflight))
        for sentence in preflight.meaning:
            display.line(f"  {sentence}")
        return options.yes or ask("Continue?")


def _show(report: CheckReport, display: Display) -> None:
    """Shows what a check found that is not ok."""
    from ..live.check.finding import Level
    from .check import lines

    for line in lines(report, but=Level.OK):
        display.line(line)
    if not report.ok:
        display.error("Nothing was changed. Fix the failures, then run the same command again.")


def _intention(preflight: Preflight) -> str:
    running, record = preflight.running, preflight.record
    plan, done = record.plan, record.sound[-1].step
    text = f"{running.name} in {running.namespace}: SpiceDB {plan.current} to {plan.target}"
    steps = count(len(plan.steps), "step")
    if done or record.running:
        return f"{text}, {steps}. Continues with step {record.next_step}."
    return f"{text}, {steps}."


def _write(options: Options, cluster: Cluster, props: SpiceDBProps) -> int:
    from ..live.check.check import check
    from ..live.upgrade.commit import write_next_step
    from ..live.upgrade.outcome import State, UpgradeStoppedError
    from .display import EXIT_CODES, Display

    display = Display(quiet=options.quiet)
    if not options.no_check:
        report = check(cluster, props, **asdict(options.check))
        _show(report, display)
        if not report.ok:
            return EXIT_CODES[State.REFUSED]
    try:
        written = write_next_step(cluster, props, options.write or "")
    except UpgradeStoppedError as error:
        display.error(str(error))
        return EXIT_CODES[State.STOPPED]
    print(as_json(written) if options.quiet else written.text)
    return EXIT_CODES[State.DONE]
