"""Charts as folders on disk."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from .checks import Metadata, passes, problem, require, show, text
from .delivery import Delivery
from .dump import dump
from .errors import InvalidProps, Problem
from .folder import MARK, write_files
from .helm import chart_files
from .manifests import release_manifests
from .modes import SCHEMA_MODES
from .props import SpiceDBProps
from .runbook import runbook, step_names
from .upgrade import UpgradePlan

_CHART = text(
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
    "a chart's name: lower-case letters, digits and '-'",
    "leave it out; the props' name is one",
)
_VERSION = text(
    r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?",
    "a version as Semantic Versioning has it",
    "write it as '1.0.0': it is the chart's own, SpiceDB's is SpiceDBProps.version",
)


def write_helm_chart(
    folder: str | PathLike[str], props: SpiceDBProps, *, version: str = "0.1.0", name: str | None = None
) -> None:
    """Writes a complete Helm chart of one SpiceDB, for people who install it without Python.

    It has values (image, replicas, resources, log levels, Secrets, migration and clean-up) whose defaults are what the
    props say, so that without any it renders what the constructs do. ``version`` is the chart's own; its default is
    for charts that nobody publishes. ``name`` is the chart's; default: the props' name. The folder is complete or as
    it was. Raises `InvalidProps` when the props cannot be rendered or are not for Helm, or for a name or version that
    Helm does not take, and `SpiceDBError` when the folder holds what was not written here.
    """
    _require_helm(props)
    given: dict[str, tuple[str, Metadata]] = {"name": (name or props.name, _CHART), "version": (version, _VERSION)}
    found = [problem(check, path, value) for path, (value, check) in given.items() if not passes(check, value)]
    if found:
        raise InvalidProps("write_helm_chart", found)
    write_files(Path(folder), chart_files(props, name or props.name, version))


def write_manifests(folder: str | PathLike[str], props: SpiceDBProps) -> None:
    """Writes the manifests of one SpiceDB, for Argo CD, Flux or ``kubectl apply``, into a folder of their own.

    The folder is complete or as it was. Raises `InvalidProps` when the props cannot be rendered, and `SpiceDBError`
    when the folder holds what was not written here.
    """
    require(props)
    write_files(Path(folder), {f"{props.name}.k8s.yaml": f"# {MARK}\n{dump(*release_manifests(props))}"})


def _require_helm(props: SpiceDBProps) -> None:
    require(props)
    if props.delivery is not Delivery.HELM:
        fix = "leave delivery out; Argo CD and Flux install Helm charts too, and heed their hooks"
        raise InvalidProps(
            type(props).__name__, [Problem("delivery", show(props.delivery), "helm: a chart is for Helm", fix)]
        )


def write_upgrade(folder: str | PathLike[str], props: SpiceDBProps, plan: UpgradePlan) -> None:
    """Writes the steps of a plan as Helm charts, ``1-…``, ``2-…``, with a README that says what to run and to check.

    ``props`` are those of the release; each step takes what it needs from the plan (`SpiceDBProps.at`). The folder
    is complete or as it was. Raises `InvalidProps` when the props cannot be rendered at a step or are of another
    engine than the plan, and `SpiceDBError` when the folder holds what this function did not write.
    """
    _require_helm(props)
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
    """A mode that the plan does not lead to would be reached in one jump, and schemas would be missing."""
    mode, first = props.server.schema_mode, next(iter(SCHEMA_MODES))
    last = plan.steps[-1].schema_mode if plan.steps else mode
    if mode is not None and mode != (last or first):
        fix = "plan the upgrade with schema_mode=, and current_schema_mode= where servers have one already"
        problem = Problem("server.schema_mode", repr(mode), f"None, or the plan's last mode, {last or first}", fix)
        raise InvalidProps(type(props).__name__, [problem])
