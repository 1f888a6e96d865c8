"""``cdk8s-spicedb plan``: prints the steps of an upgrade."""

from __future__ import annotations

import argparse
import shutil

from ..errors import InvalidProps
from ..plans.planner import plan_upgrade
from ..plans.tables import markdown, table
from ..props.datastores import ENGINES
from .options import by_option, releases
from .output import as_json, say

_OPTIONS = {
    "current": "--from",
    "target": "--to",
    "schema_mode": "--schema-mode",
    "current_schema_mode": "--current-schema-mode",
    "relationships": "--relationships",
}
"""The option for each parameter of `plan_upgrade`."""


def run(options: argparse.Namespace) -> int:
    """Prints the plan, in the chosen format."""
    say(_text(options))
    return 0


def _text(options: argparse.Namespace) -> str:
    known = releases(options)
    options.target = options.target or known.newest
    try:
        arguments = {name: getattr(options, name) for name in _OPTIONS}
        plan = plan_upgrade(ENGINES[options.engine], releases=known, **arguments)
    except InvalidProps as error:
        raise by_option(error, "plan", _OPTIONS) from None
    if options.output == "json":
        return as_json(plan)
    if options.output == "markdown":
        return markdown(plan)
    return table(plan, width=shutil.get_terminal_size((100, 0)).columns)
