"""Writes the steps of an upgrade as Helm charts."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ..errors import InvalidProps, Problem
from ..files.folder import write_files
from ..helm import chart_files, require_helm
from ..props import SpiceDBProps
from ..releases import SCHEMA_MODES
from .runbook import runbook, step_names
from .steps import UpgradePlan


def write_upgrade(folder: str | PathLike[str], props: SpiceDBProps, plan: UpgradePlan) -> None:
    """Writes the steps of a plan as Helm charts, ``1-…``, ``2-…``, with a README of what to run and what to check.

    ``props`` are those of the release; each step changes them as the plan says (`SpiceDBProps.at`). Either the whole
    folder is written or nothing changes. Raises `InvalidProps` if the props are invalid at a step or have another
    engine than the plan, and `SpiceDBError` if the folder contains a file that this package did not write.
    """
    require_helm(props)
    engine = props.datastore.engine
    if engine != plan.engine:
        problem = Problem("datastore", engine, f"{plan.engine}, the plan's", "plan the upgrade with the same datastore")
        raise InvalidProps(type(props).__name__, [problem])
    steps = [props.at(step) for step in plan.steps]
    _require_planned_mode(props, plan)

    files = {"README.md": runbook(plan, props)}
    for number, (name, step) in enumerate(zip(step_names(plan), steps, strict=True), 1):
        chart = chart_files(step, step.name, f"{number}.0.0")
        files.update({f"{name}/{path}": text for path, text in chart.items()})
    write_files(Path(folder), files)


def _require_planned_mode(props: SpiceDBProps, plan: UpgradePlan) -> None:
    """Refuses a mode that the plan does not reach: servers would skip modes, and schemas would be missing."""
    mode, first = props.server.schema_mode, next(iter(SCHEMA_MODES))
    last = plan.steps[-1].schema_mode if plan.steps else mode
    if mode is not None and mode != (last or first):
        fix = "plan the upgrade with schema_mode=, and current_schema_mode= where servers have one already"
        problem = Problem("server.schema_mode", repr(mode), f"None, or the plan's last mode, {last or first}", fix)
        raise InvalidProps(type(props).__name__, [problem])
