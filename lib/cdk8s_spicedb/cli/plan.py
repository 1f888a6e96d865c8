"""``cdk8s-spicedb plan``: prints the steps of an upgrade."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
from attrs import frozen

from ..errors import InvalidProps
from ..plans.plan import UpgradePlan
from ..plans.planner import plan_upgrade
from ..plans.tables import markdown, table
from ..props.datastores import ENGINES
from ..versions import Concern, ReleaseTable, by_weight, concerns
from .options import by_option, releases
from .output import DATA, as_data, say

_OPTIONS = {
    "current": "--from",
    "target": "--to",
    "schema_mode": "--schema-mode",
    "current_schema_mode": "--current-schema-mode",
    "relationships": "--relationships",
}
"""The option for each parameter of `plan_upgrade`."""


@frozen(kw_only=True)
class PlanReport(UpgradePlan):
    """The steps from one release to another, and what is known to be wrong with the last one."""

    advisories: Sequence[Concern] = ()
    """Known faults of the target that concern its engine, or that may, the most severe first."""


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
    report = with_advisories(plan, known)
    if options.output in DATA:
        return as_data(report, options.output)
    faults = list(_faults(report))
    if options.output == "markdown":
        return "\n".join([markdown(plan), *(f"\n> [!WARNING]\n> {each}" for each in faults)])
    width = shutil.get_terminal_size((100, 0)).columns
    lines = (
        textwrap.wrap(f"Warning: {each}", width, subsequent_indent="  ", break_on_hyphens=False) for each in faults
    )
    return "\n".join([table(plan, width=width), *("\n" + "\n".join(each) for each in lines)])


def with_advisories(plan: UpgradePlan, known: ReleaseTable) -> PlanReport:
    """A plan with the known faults of its target."""
    fields: dict[str, Any] = attrs.asdict(plan, recurse=False)
    return PlanReport(**fields, advisories=concerns(known.advisories, plan.target, plan.engine, {}))


def _faults(report: PlanReport) -> Iterator[str]:
    """What is wrong with the target: what stands out by itself, and the others in one sentence."""
    outstanding, others = by_weight(report.advisories)
    for each in outstanding:
        yield f"{report.target} has a known fault. {each.text}. {each.fix[0].upper()}{each.fix[1:]}."
    if others:
        more = "more " if outstanding else ""
        yield f"{report.target} has {more}known faults, which `cdk8s-spicedb releases` explains: {', '.join(others)}."
