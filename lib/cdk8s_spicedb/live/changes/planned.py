"""What changes of a release mean for its datastore, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import InvalidProps
from ...props import SpiceDBProps
from ...releases import SCHEMA_MODES
from ...upgrades.plan import UpgradePlan, UpgradeStep
from ...upgrades.planner import plan_upgrade
from ..release.running import Running

_FLAG = "experimental-schema-mode"
_MODES = list(SCHEMA_MODES)


def datastore_meaning(props: SpiceDBProps, running: Running, *, changes: bool) -> Iterator[str]:
    """What happens to the datastore: its migrations, the steps that they need, and what cannot be undone."""
    if not props.datastore.migrates:
        if changes:
            yield "The memory engine stores nothing: new servers start without schema and relationships."
        return
    if running.version is None:
        yield "The release that runs is unknown, so it is unknown whether the datastore is migrated."
        return
    try:
        plan = plan_upgrade(
            props.datastore,
            running.version,
            props.version,
            schema_mode=_wanted_mode(props, running),
            current_schema_mode=running.schema_mode if props.releases.takes(_FLAG, running.version) else None,
            releases=props.releases,
        )
    except InvalidProps as error:
        for problem in error.problems:
            yield (
                f"There is no plan from {running.version} to {props.version}: {problem.allowed}. To fix this: "
                f"{problem.fix}."
            )
        return
    yield from _migrations(plan, props)


def _wanted_mode(props: SpiceDBProps, running: Running) -> str | None:
    """The mode to plan for. None: the plan has no modes."""
    mode = props.server.schema_mode
    return mode if mode is not None and _position(mode) >= _position(running.schema_mode) else None


def _position(mode: str | None) -> int:
    return _MODES.index(mode) if mode in _MODES else 0


def _migrations(plan: UpgradePlan, props: SpiceDBProps) -> Iterator[str]:
    steps = [(number, step) for number, step in enumerate(plan.steps, 1) if step.migrates]
    if not steps:
        yield f"The datastore's schema does not change: it stays at {_head(plan, props)}."
    known = props.releases.engines.get(plan.engine)
    last = known.head(plan.current) if known else None
    for _, step in steps:
        yield from _migration(step, last, props)
        last = step.revision
    if len(plan.steps) > 1:
        versions = ", ".join(
            f"{step.version} with {step.schema_mode}" if step.schema_mode else step.version for step in plan.steps
        )
        yield (
            f"The plan from {plan.current} to {plan.target} has {len(plan.steps)} steps ({versions}). Do not apply "
            "this file at once: run the steps with `cdk8s-spicedb upgrade`, or see them with `cdk8s-spicedb plan`."
        )
    for number, step in enumerate(plan.steps, 1):
        yield from (f"Before step {number}: {caution}." for caution in step.cautions)
        if step.rolls_back is False:
            yield (
                f"Step {number} ({step.version}) has no rollback: older servers do not start on {step.revision}. Make "
                "a backup of the datastore first."
            )
        elif step.rolls_back is None:
            yield f"It is unknown whether a rollback of step {number} ({step.version}) works."
        elif step.migrates:
            yield (
                f"A rollback of step {number} ({step.version}) works: older servers also start on {step.revision}. The "
                "migration itself cannot be undone."
            )
    yield from (f"Warning: {warning}." for warning in plan.warnings)


def _head(plan: UpgradePlan, props: SpiceDBProps) -> str:
    known = props.releases.engines.get(plan.engine)
    return (known.heads.get(plan.target) if known else None) or "the revision that it has"


def _migration(step: UpgradeStep, start: str | None, props: SpiceDBProps) -> Iterator[str]:
    known = props.releases.engines.get(props.datastore.engine)
    if step.revision is None or known is None:
        yield f"{step.version} is an unknown release, so it is unknown whether it migrates the datastore."
        return
    revisions = known.between(start, step.revision)
    path = f" ({len(revisions)} migrations: {', '.join(revisions)})" if len(revisions) > 1 else ""
    subject = "The migration changes" if props.migrates else "Before you apply this, you must migrate"
    yield f"{subject} the datastore from {start or 'its revision'} to {step.revision}{path}."


def mode_meaning(props: SpiceDBProps, running: Running) -> Iterator[str]:
    """How the schema mode and the datastore migration phase change."""
    before, after = running.schema_mode, props.server.schema_mode
    if before != after:
        default = "SpiceDB's default"
        yield f"The schema mode changes from {before or default} to {after or default}."
        if _position(after) > _position(before) + 1:
            yield "That skips a schema mode, and servers with these modes do not work together: take one at a time."
        elif _position(after) < _position(before):
            yield "That is a step back: go back one mode at a time."
    one, two = running.migration_phase, props.server.datastore_migration_phase
    if one != two:
        yield f"The datastore migration phase changes from {one or 'none'} to {two or 'none'}."
