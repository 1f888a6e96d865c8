"""``cdk8s-spicedb plan``: prints the steps of an upgrade."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from decimal import Decimal

import attrs

from ..errors import InvalidProps
from ..plans.planner import plan_upgrade
from ..plans.tables import markdown, table
from ..props.datastores import ENGINES
from ..versions import SCHEMA_MODES, known_releases
from .options import Commands, add_releases, by_option, printing, releases

_OPTIONS = {
    "current": "--from",
    "target": "--to",
    "schema_mode": "--schema-mode",
    "current_schema_mode": "--current-schema-mode",
    "relationships": "--relationships",
}
"""The option for each parameter of `plan_upgrade`."""


_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
_NUMBER = re.compile(r"([0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?)([kmb]?)", re.IGNORECASE)


def add_to(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "plan",
        help="print the steps from one release of SpiceDB to another",
        description="Prints the steps from one release of SpiceDB to another. SpiceDB keeps serving during all steps.",
        epilog="Exit code: 0 with a plan, 1 if there is none (see stderr for the reason), 2 for wrong usage.",
    )
    modes, newest = tuple(SCHEMA_MODES), known_releases().newest
    parser.add_argument("--engine", required=True, choices=sorted(ENGINES), help="engine of the datastore")
    parser.add_argument("--from", required=True, dest="current", metavar="VERSION", help="release that runs now")
    parser.add_argument("--to", dest="target", metavar="VERSION", help=f"release to upgrade to; defaults to {newest}")
    parser.add_argument("--schema-mode", choices=modes, help="schema mode after the last step")
    text = "schema mode in which the servers run now; defaults to SpiceDB's default"
    parser.add_argument("--current-schema-mode", choices=modes, help=text)
    text = "number of relationships in your database, such as 10M: estimates how long the migrations of each step take"
    parser.add_argument("--relationships", type=_count, metavar="NUMBER", help=text)
    text = "output format; defaults to table. Use markdown for a comment on a pull request"
    parser.add_argument("--output", choices=("table", "json", "markdown"), default="table", help=text)
    add_releases(parser)
    parser.set_defaults(run=printing(_run))


def _run(options: argparse.Namespace) -> str:
    table_of_releases = releases(options)
    try:
        plan = plan_upgrade(
            ENGINES[options.engine],
            options.current,
            options.target or table_of_releases.newest,
            schema_mode=options.schema_mode,
            current_schema_mode=options.current_schema_mode,
            releases=table_of_releases,
            relationships=options.relationships,
        )
    except InvalidProps as error:
        raise by_option(error, "plan", _OPTIONS) from None
    if options.output == "json":
        return json.dumps(attrs.asdict(plan), indent=2)
    if options.output == "markdown":
        return markdown(plan)
    return table(plan, width=shutil.get_terminal_size((100, 0)).columns)


def _count(text: str) -> int:
    """A number such as 10000000, 10_000_000, 10M, 1.5M or 500k."""
    found = _NUMBER.fullmatch(text.strip())
    value = Decimal(found[1].replace("_", "")) * _UNITS[found[2].lower()] if found else Decimal(0)
    if value < 1 or value != value.to_integral_value():
        allowed = "write it as 10000000, 10_000_000, 10M, 1.5M or 500k"
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of relationships; {allowed}")
    return int(value)
