"""``cdk8s-spicedb upgrade``: upgrades a live release, step by step."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import attrs
from rich.text import Text

from ..live.check.check import CheckOptions, CheckReport, check
from ..live.check.finding import Level
from ..live.cluster import Cluster
from ..live.upgrade.commit import write_next_step
from ..live.upgrade.outcome import CheckFailedError, State, UpgradeStoppedError
from ..live.upgrade.upgrade import Preflight, UpgradeOptions, upgrade
from ..props import SpiceDBProps
from ..text import count
from .check import lines
from .display import EXIT_CODES, Display
from .files import read_file
from .fleet import OF_FLEETS, upgrade_each
from .live import as_json, connect, require_yes
from .options import STEM


def run(options: argparse.Namespace) -> int:
    """Upgrades one release, or many, or writes the next step."""
    _require_fitting(options)
    checks = CheckOptions(
        database=not options.no_database, database_image=options.database_image, pull_images=not options.no_pull
    )
    chosen = UpgradeOptions(
        observe_seconds=options.observe, on_failure=options.on_failure, check=None if options.no_check else checks
    )
    if options.each is not None:
        return upgrade_each(options, chosen)
    cluster, props = connect(options), read_file(options)
    if options.write is not None:
        return _write(options, cluster, props, chosen.check)
    return _upgrade(options, cluster, props, chosen)


def _require_fitting(options: argparse.Namespace) -> None:
    if options.each is None:
        for name in OF_FLEETS:
            if getattr(options, name) is not None:
                options.usage(f"use --{name.replace('_', '-')} and --each together")
        if STEM in (options.namespace or ""):
            options.usage(f"{STEM} in --namespace stands for the name of a file of --each; add --each")
    elif options.write is not None:
        options.usage("--write writes the files of one SpiceDB, and --each upgrades many; use one of them")


def _upgrade(options: argparse.Namespace, cluster: Cluster, props: SpiceDBProps, chosen: UpgradeOptions) -> int:
    require_yes(options)
    quiet = options.output == "json"
    with Display(quiet=quiet) as display:
        outcome = upgrade(
            cluster,
            props,
            options=chosen,
            confirm=lambda preflight: display.confirms(_intention(preflight), "Continue?", yes=options.yes),
            report=display.report,
        )
        if isinstance(outcome.error, CheckFailedError):
            display.stop()
            _refuse(outcome.error.report, display)
        else:
            display.end(outcome)
    if outcome.state is State.DONE and quiet:
        print(as_json(outcome.record))
    return EXIT_CODES[outcome.state]


def _intention(preflight: Preflight) -> Iterator[str | Text]:
    """What the check found that is not ok, and what the upgrade does."""
    if preflight.check is not None:
        yield from lines(preflight.check, but=Level.OK)
    running, record = preflight.running, preflight.record
    change = f"SpiceDB {record.plan.current} to {record.plan.target}, {count(len(record.plan.steps), 'step')}"
    more = f" Continues with step {record.next_step}." if record.sound[-1].step or record.running else ""
    yield f"{running.name} in {running.namespace}: {change}.{more}"
    yield from (f"  {sentence}" for sentence in preflight.meaning)


def _refuse(report: CheckReport, display: Display) -> None:
    display.line(*lines(report, but=Level.OK))
    display.error("Nothing was changed. Fix the failures, then run the same command again.")


def _write(options: argparse.Namespace, cluster: Cluster, props: SpiceDBProps, checks: CheckOptions | None) -> int:
    display = Display(quiet=options.output == "json")
    if checks is not None:
        report = check(cluster, props, **attrs.asdict(checks))
        if not report.ok:
            _refuse(report, display)
            return EXIT_CODES[State.REFUSED]
        display.line(*lines(report, but=Level.OK))
    try:
        written = write_next_step(cluster, props, options.write)
    except UpgradeStoppedError as error:
        display.error(str(error))
        return EXIT_CODES[State.STOPPED]
    print(as_json(written) if options.output == "json" else written.text)
    return EXIT_CODES[State.DONE]
