"""``upgrade --each``: upgrades many live releases, in waves."""

from __future__ import annotations

import argparse
import glob
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from ..errors import SpiceDBError
from .cluster import as_json, connect
from .many import read_each, warn
from .upgrade import INTERRUPTED, NOT_ROLLED_BACK, OF_FLEETS, ROLLED_BACK, STEM, option_of

if TYPE_CHECKING:
    from ..live.fleet.report import FleetOptions, FleetReport
    from .fleet_text import FleetDisplay

_VALUES = ("namespace", "context", *OF_FLEETS, "observe", "on_failure", "database_image", "releases")
_SWITCHES = ("yes", "no_check", "no_database", "no_pull")
_OBSERVE = 30


def upgrade_each(options: argparse.Namespace) -> int:
    """Upgrades all SpiceDBs of ``--each``, and returns the exit code."""
    found = read_each(options)
    warn(found)
    cluster = connect(options)
    from ..live.fleet.report import Member
    from ..live.fleet.upgrade import upgrade_fleet
    from .fleet_text import FleetDisplay, ending

    quiet = options.output == "json"
    if quiet and not options.yes:
        raise SpiceDBError("--output json cannot ask for confirmation: add --yes")
    members = [
        Member(cluster=attrs.evolve(cluster, namespace=cluster.namespace.replace(STEM, name)), props=props)
        for name, props in found.items()
    ]
    with FleetDisplay(quiet=quiet) as display:
        display.line(f"Looking at {len(members)} SpiceDBs in the cluster.")
        try:
            report = upgrade_fleet(
                members,
                options=_fleet_options(options),
                confirm=lambda plan: _confirm(options, plan, display),
                report=display.report,
                on_end=display.end,
                on_interrupt=display.interrupt,
            )
        except KeyboardInterrupt:
            display.stop()
            print("Interrupted. Nothing was changed.", file=sys.stderr)
            return INTERRUPTED
    code = exit_code(report)
    if quiet:
        print(as_json(report))
    if code or not quiet:
        print("\n".join(ending(report, command_again(options))), file=sys.stderr if code else sys.stdout)
    return code


def _fleet_options(options: argparse.Namespace) -> FleetOptions:
    from ..live.fleet.report import CheckOptions, FleetOptions
    from ..live.steps.upgrade import UpgradeOptions

    given = {name: getattr(options, name) for name in OF_FLEETS if getattr(options, name) is not None}
    checks = CheckOptions(
        database=not options.no_database, database_image=options.database_image, pull_images=not options.no_pull
    )
    return FleetOptions(
        **given,
        upgrade=UpgradeOptions(observe_seconds=options.observe, on_failure=options.on_failure),
        check=None if options.no_check else checks,
    )


def _confirm(options: argparse.Namespace, plan: FleetReport, display: FleetDisplay) -> bool:
    from .fleet_text import plan_lines
    from .progress import ask

    with display.paused():
        for line in plan_lines(plan, _fleet_options(options)):
            display.line(line)
        return options.yes or plan.ok or ask("Continue?")


def exit_code(report: FleetReport) -> int:
    """The exit code of an upgrade of many releases."""
    from ..live.fleet.report import MemberState

    if report.ok:
        return 0
    if report.interrupted:
        return INTERRUPTED
    if report.of(MemberState.FAILED):
        return NOT_ROLLED_BACK
    return ROLLED_BACK if report.of(MemberState.ROLLED_BACK, MemberState.UPGRADED) else 1


def command_again(options: argparse.Namespace) -> str:
    """The command with these options."""
    return shlex.join(["cdk8s-spicedb", "upgrade", *_words(options)])


def _words(options: argparse.Namespace) -> Iterator[str]:
    for file in options.file or ():
        yield from ("--file", file)
    yield from ("--each", *_short(options.each))
    for name in _VALUES:
        value = getattr(options, name)
        if value is not None and (name, value) != ("observe", _OBSERVE):
            yield from (option_of(name), str(value))
    yield from (option_of(name) for name in _SWITCHES if getattr(options, name))
    if options.output != "text":
        yield from ("--output", options.output)


def _short(paths: Sequence[str]) -> Sequence[str]:
    """One pattern instead of many paths, if it stands for the same paths in the same order."""
    first = Path(paths[0])
    pattern = str(first.with_name(f"*{first.suffix}"))
    return [pattern] if len(paths) > 1 and sorted(glob.glob(pattern)) == [*paths] else paths
