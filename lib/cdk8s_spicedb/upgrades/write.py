"""Writes the steps of an upgrade as Helm charts."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ..errors import InvalidProps, Problem
from ..files.folder import write_files
from ..helm import chart_files, require_helm
from ..props import SpiceDBProps
from ..releases import SCHEMA_MODES
from .plan import UpgradePlan
from .runbook import runbook, step_names


def write_upgrade(folder: str | PathLike[str], props: SpiceDBProps, plan: UpgradePlan) -> None:
    """Writes a Helm chart for each step of a plan, ``1-…``, ``2-…``, and a README that says what to run and check.

    The chart of a step has ``props`` with the changes of that step (`SpiceDBProps.at`). If anything fails, the folder
    stays as it is. Raises `InvalidProps` if the props are invalid at a step, or have another engine than the plan, and
    `SpiceDBError` if the folder contains a file that this package did not write.
    """
    require_helm(props)
    engine = props.datastore.engine
    if engine != plan.engine:
        fix = "plan the upgrade with the same datastore"
        problem = Problem("datastore", engine, f"{plan.engine}, as in the plan", fix)
        raise InvalidProps(type(props).__name__, [problem])
    steps = [props.at(step) for step in plan.steps]
    _require_planned_mode(props, plan)

    files = {"README.md": runbook(plan, props)}
    for number, (name, step) in enumerate(zip(step_names(plan), steps, strict=True), 1):
        chart = chart_files(step, step.name, f"{number}.0.0")
        files.update({f"{name}/{path}": text for path, text in chart.items()})
    write_files(Path(folder), files.items())


def _require_planned_mode(props: SpiceDBProps, plan: UpgradePlan) -> None:
    """Rejects a mode that the plan does not reach: servers would skip modes and not find the whole schema."""
    mode, first = props.server.schema_mode, next(iter(SCHEMA_MODES))
    last = plan.steps[-1].schema_mode if plan.steps else mode
    if mode is not None and mode != (last or first):
        fix = "pass schema_mode to plan_upgrade, and current_schema_mode if servers already run in a mode"
        problem = Problem("server.schema_mode", repr(mode), f"None, or the plan's last mode, {last or first}", fix)
        raise InvalidProps(type(props).__name__, [problem])
