"""Charts as folders on disk."""

from __future__ import annotations

import json
import re
from os import PathLike
from pathlib import Path

from cdk8s import App

from .chart import SpiceDBChart
from .checks import require
from .errors import InvalidProps, Problem
from .folder import replace_folder
from .props import SpiceDBProps
from .runbook import MARK, runbook, step_names
from .upgrade import SCHEMA_MODES, UpgradePlan


def write_upgrade(folder: str | PathLike[str], props: SpiceDBProps, plan: UpgradePlan) -> None:
    """Writes the steps of a plan as Helm charts, ``1-…``, ``2-…``, with a README that says what to run and to check.

    ``props`` are those of the release; each step takes what it needs from the plan (`SpiceDBProps.at`). The folder
    is complete or as it was. Raises `InvalidProps` when the props cannot be rendered at a step or are of another
    engine than the plan, and `SpiceDBError` when the folder holds what this function did not write.
    """
    require(props)
    engine = props.datastore.engine
    if engine != plan.engine:
        problem = Problem("datastore", engine, f"{plan.engine}, the plan's", "plan the upgrade with the same datastore")
        raise InvalidProps(type(props).__name__, [problem])
    steps = [props.at(step) for step in plan.steps]
    _require_planned_mode(props, plan)

    def write(fresh: Path) -> None:
        for number, (name, step) in enumerate(zip(step_names(plan), steps, strict=True), 1):
            _write_chart(fresh / name, step, f"{number}.0.0")
        (fresh / "README.md").write_text(runbook(plan, props), "utf-8")

    replace_folder(Path(folder), write, own=_is_own)


def _require_planned_mode(props: SpiceDBProps, plan: UpgradePlan) -> None:
    """A mode that the plan does not lead to would be reached in one jump, and schemas would be missing."""
    mode, first = props.server.schema_mode, next(iter(SCHEMA_MODES))
    last = plan.steps[-1].schema_mode if plan.steps else mode
    if mode is not None and mode != (last or first):
        fix = "plan the upgrade with schema_mode=, and current_schema_mode= where servers have one already"
        problem = Problem("server.schema_mode", repr(mode), f"None, or the plan's last mode, {last or first}", fix)
        raise InvalidProps(type(props).__name__, [problem])


def _is_own(path: str, file: Path) -> bool:
    if path == "README.md":
        return file.read_bytes().startswith(MARK.encode())
    return re.fullmatch(r"\d+-v\d[^/]*/(Chart\.yaml|templates/spicedb\.yaml)", path) is not None


def _write_chart(folder: Path, props: SpiceDBProps, version: str) -> None:
    app = App()
    SpiceDBChart(app, props.name, props)
    manifests = app.synth_yaml()
    metadata = {
        "apiVersion": "v2",
        "name": props.name,
        "description": f"SpiceDB {props.version}",
        "version": version,
        "appVersion": props.version,
        "kubeVersion": ">=1.30.0-0",
    }
    (folder / "templates").mkdir(parents=True)
    lines = (f"{key}: {json.dumps(value)}" for key, value in metadata.items())
    (folder / "Chart.yaml").write_text("\n".join([*lines, ""]), "utf-8")
    (folder / "templates" / "spicedb.yaml").write_text(_literal(manifests), "utf-8")


def _literal(text: str) -> str:
    """Text that Helm's templates leave as it is."""
    return text.replace("{{", '{{ "{{" }}')
