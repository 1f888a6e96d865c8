"""The command line, ``cdk8s-spicedb``; it starts no node where none is needed."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence

import attrs

from .datastore import ENGINES
from .errors import InvalidProps, SpiceDBError
from .plan import plan_upgrade
from .releases import known_releases
from .table import table
from .upgrade import SCHEMA_MODES

_OPTIONS = {
    "current": "--from",
    "target": "--to",
    "schema_mode": "--schema-mode",
    "current_schema_mode": "--current-schema-mode",
}
"""By what `plan_upgrade` calls it, the option."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0 when it is done and 1 when it was refused. Wrong usage exits with 2, as ever."""
    options = _parser().parse_args(arguments)
    try:
        print(options.run(options))
    except SpiceDBError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cdk8s-spicedb", description="SpiceDB on Kubernetes: plan its upgrades.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_plan(
        commands.add_parser(
            "plan",
            help="the steps from one release of SpiceDB to another",
            description="Prints the steps that lead from one release of SpiceDB to another while it serves.",
            epilog="Exit code: 0 with a plan, 1 where there is no way (the reason is on stderr), 2 for wrong usage.",
        )
    )
    return parser


def _add_plan(parser: argparse.ArgumentParser) -> None:
    modes = tuple(SCHEMA_MODES)
    newest = known_releases().newest
    parser.add_argument("--engine", required=True, choices=sorted(ENGINES), help="the datastore's engine")
    parser.add_argument("--from", required=True, dest="current", metavar="VERSION", help="the release that runs")
    parser.add_argument("--to", default=newest, dest="target", metavar="VERSION", help=f"default: {newest}")
    parser.add_argument("--schema-mode", choices=modes, help="move to unified schema storage, up to this mode")
    parser.add_argument("--current-schema-mode", choices=modes, help="the mode that runs; default: SpiceDB's own")
    parser.add_argument("--output", choices=("table", "json"), default="table", help="default: table")
    parser.set_defaults(run=_plan)


def _plan(options: argparse.Namespace) -> str:
    try:
        plan = plan_upgrade(
            ENGINES[options.engine],
            options.current,
            options.target,
            schema_mode=options.schema_mode,
            current_schema_mode=options.current_schema_mode,
        )
    except InvalidProps as error:
        problems = [attrs.evolve(problem, field=_OPTIONS[problem.field]) for problem in error.problems]
        raise InvalidProps("cdk8s-spicedb plan", problems) from None
    if options.output == "json":
        return json.dumps(attrs.asdict(plan), indent=2)
    return table(plan, width=shutil.get_terminal_size((100, 0)).columns)
