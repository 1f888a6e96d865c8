"""``cdk8s-spicedb upgrade``: upgrades a live release, step by step."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import SpiceDBError
from ..text import count
from .options import (
    INTERRUPTED,
    NOT_ROLLED_BACK,
    OF_FLEETS,
    ROLLED_BACK,
    STEM,
    Commands,
    add_cluster,
    add_file,
    add_releases,
    as_json,
    connect,
    option_of,
    read_file,
)

if TYPE_CHECKING:
    from ..live.cluster import Cluster
    from ..live.instance import Running
    from ..live.upgrade.record import Record
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
    parser.add_argument("--observe", type=_number, default=30, metavar="SECONDS", help=text)
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
    parser.add_argument("--canary", type=_number, metavar="N", help=text)
    text = "with --each: number of files in each later wave; defaults to 10"
    parser.add_argument("--wave-size", type=_positive, metavar="N", help=text)
    text = "with --each: number of upgrades that run at the same time; defaults to 4"
    parser.add_argument("--parallel", type=_positive, metavar="N", help=text)
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


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _run(options: argparse.Namespace) -> str | int:
    _require_fitting(options)
    if options.each is not None:
        from .fleet import upgrade_each

        return upgrade_each(options)
    cluster, props = connect(options), read_file(options)
    from ..live.upgrade.upgrade import UpgradeOptions, UpgradeStoppedError, upgrade
    from .display import Display

    quiet = options.output == "json"
    if options.write is not None:
        return _write(options, cluster, props, Display(quiet=quiet))
    if not options.yes and quiet:
        raise SpiceDBError("--output json cannot ask for confirmation: add --yes")
    chosen = UpgradeOptions(observe_seconds=options.observe, on_failure=options.on_failure)
    with Display(quiet=quiet) as display:

        def confirm(record: Record, running: Running) -> bool:
            return _confirm(options, cluster, props, record, running, display)

        try:
            record = upgrade(cluster, props, options=chosen, confirm=confirm, report=display.report)
        except UpgradeStoppedError as error:
            display.stop()
            display.error(str(error))
            return ROLLED_BACK if error.rolled_back else NOT_ROLLED_BACK
        except KeyboardInterrupt:
            display.stop()
            display.error("Interrupted. Run the same command again to continue.")
            return INTERRUPTED
    if record is None:
        return 1
    return as_json(record) if quiet else 0


def _confirm(
    options: argparse.Namespace,
    cluster: Cluster,
    props: SpiceDBProps,
    record: Record,
    running: Running,
    display: Display,
) -> bool:
    from ..live.diff import diff
    from ..live.upgrade.target import props_at
    from .display import ask

    with display.paused():
        if not _check(options, cluster, props, display):
            return False
        display.line(_intention(record, running))
        for sentence in diff(cluster, props_at(props, record.plan, record.step(record.next_step or 1))).meaning:
            display.line(f"  {sentence}")
        return options.yes or ask("Continue?")


def _check(options: argparse.Namespace, cluster: Cluster, props: SpiceDBProps, display: Display) -> bool:
    """Runs the check, shows what is not ok, and returns whether the upgrade can go on."""
    if options.no_check:
        return True
    from ..live.check.check import check
    from ..live.check.finding import Level
    from .check import lines

    report = check(
        cluster,
        props,
        database=not options.no_database,
        database_image=options.database_image,
        pull_images=not options.no_pull,
    )
    for line in lines(report, but=Level.OK):
        display.line(line)
    if not report.ok:
        display.error("Nothing was changed. Fix the failures, then run the same command again.")
    return report.ok


def _intention(record: Record, running: Running) -> str:
    plan, done = record.plan, record.sound[-1].step
    text = f"{running.name} in {running.namespace}: SpiceDB {plan.current} to {plan.target}"
    steps = count(len(plan.steps), "step")
    if done or record.running:
        return f"{text}, {steps}. Continues with step {record.next_step}."
    return f"{text}, {steps}."


def _write(options: argparse.Namespace, cluster: Cluster, props: SpiceDBProps, display: Display) -> str | int:
    from ..live.upgrade.commit import write_next_step

    if not _check(options, cluster, props, display):
        return 1
    written = write_next_step(cluster, props, options.write)
    return as_json(written) if options.output == "json" else written.text
