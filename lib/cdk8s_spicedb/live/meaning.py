"""What changes of a release mean, in sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import evolve, frozen

from ..delivery import misfit
from ..errors import InvalidProps
from ..labels import CHECKSUM, VERSION
from ..plans.plan import UpgradePlan
from ..plans.planner import plan_upgrade
from ..plans.words import BACKUP, old_servers, rollback, sentence
from ..props import SpiceDBProps
from ..props.server import SCHEMA_MODE
from ..text import count
from ..versions import SCHEMA_MODES
from . import compare
from .compare import FieldDiff, ObjectDiff
from .instance import Running

_MODES = list(SCHEMA_MODES)
_TEMPLATE = "spec.template."
_PARTS = {"containers": "container", "initContainers": "init container", "volumes": "volume"}
_PART = re.compile(rf"(?P<path>spec\.(?P<kind>{'|'.join(_PARTS)})\[(?P<name>[^\]]+)\])\.name")
_MOST_REASONS = 12


@frozen(kw_only=True)
class Change:
    """What would change, for people who want to know what it means."""

    running: Running | None
    """What runs. None: nothing is installed."""
    props: SpiceDBProps
    """What is wanted."""
    objects: Sequence[ObjectDiff]
    """The objects of the release."""
    deletes: Sequence[str]
    """Objects that Helm deletes."""
    leaves: Sequence[str]
    """Objects that stay, although the release no longer has them."""
    foreign: Sequence[str]
    """Other objects of the same Helm release."""
    values: Sequence[str] = ()
    """Names of the values that somebody set for the Helm release."""
    plan: UpgradePlan | None = None
    """The plan that this is about. None: a new one, from what runs to the props."""
    unknown: str
    """Why it is unknown what was released before. Empty if it is known."""


def meaning(change: Change) -> Iterator[str]:
    """What the changes mean: restarts, migrations, what cannot be undone, and what else to know."""
    if change.running is None:
        yield from _install(change.props)
    else:
        yield from _origin(change, change.running)
        yield from _servers(change)
        yield from _datastore(change, change.running)
        yield from _mode_changes(change.props, change.running)
    yield from _jobs(change)
    yield from _objects(change)


def _install(props: SpiceDBProps) -> Iterator[str]:
    yield (
        f"Nothing of {props.name} is installed: this installs SpiceDB {props.version} on {props.datastore.engine} "
        f"with {count(props.replicas, 'server')}."
    )
    if props.migrates:
        known = props.releases.engines.get(props.datastore.engine)
        head = (known.heads.get(props.version) if known else None) or f"the newest revision of {props.version}"
        target = props.migration.target_migration or head
        yield f"The migration first migrates the datastore to {target}. SpiceDB cannot undo a migration."
    elif props.datastore.migrates:
        yield "The release does not migrate. Migrate the datastore yourself before you install it."


def _origin(change: Change, running: Running) -> Iterator[str]:
    if not running.ours:
        yield (
            f"Another program or chart made the Deployment {running.name}. Do not apply this file over it: move to "
            "this package as the documentation describes."
        )
    wrong = misfit(change.props.delivery, running.applier)
    if wrong is not None and running.ours:
        yield f"{sentence(wrong.text)} To fix this: {wrong.fix}."
    if running.engine and running.engine != change.props.datastore.engine:
        yield (
            f"The datastore changes from {running.engine} to {change.props.datastore.engine}. No relationships are "
            "copied: move the data yourself first."
        )


def _datastore(change: Change, running: Running) -> Iterator[str]:
    """What happens to the datastore: its migrations, the steps that they need, and what cannot be undone."""
    props = change.props
    if not props.datastore.migrates:
        if any(each.change is not compare.Change.UNCHANGED for each in change.objects):
            yield "The memory engine stores nothing: new servers start without schema and relationships."
        return
    if running.version is None:
        yield "The release that runs is unknown, so it is unknown whether the datastore is migrated."
        return
    before, after = running.schema_mode, props.server.schema_mode
    try:
        plan = change.plan or plan_upgrade(
            props.datastore,
            running.version,
            props.version,
            schema_mode=after if _position(after) >= _position(before) else None,
            current_schema_mode=before if props.releases.takes(SCHEMA_MODE, running.version) else None,
            releases=props.releases,
        )
    except InvalidProps as error:
        if not props.migrates:
            yield (
                "The datastore's schema does not change, because the migration is turned off. If it is newer than "
                f"{props.version}, the servers become ready only if they allow it."
            )
            return
        for problem in error.problems:
            text = f"There is no plan from {running.version} to {props.version}: {problem.allowed}."
            yield f"{text} To fix this: {problem.fix}."
    else:
        yield from _migrations(plan, props)


def _position(mode: str | None) -> int:
    return _MODES.index(mode) if mode in _MODES else 0


def _migrations(plan: UpgradePlan, props: SpiceDBProps) -> Iterator[str]:
    steps, known = [step for step in plan.steps if step.migrates], props.releases.engines.get(plan.engine)
    if not steps:
        stays = (known.heads.get(plan.target) if known else None) or "the revision that it has"
        yield f"The datastore's schema does not change: it stays at {stays}."
    last = known.head(plan.current) if known else None
    for step in steps:
        if step.revision is None or known is None:
            yield f"{step.version} is an unknown release, so it is unknown whether it migrates the datastore."
        else:
            revisions = known.between(last, step.revision)
            path = f" ({len(revisions)} migrations: {', '.join(revisions)})" if len(revisions) > 1 else ""
            subject = "The migration changes" if props.migrates else "Before you apply this, you must migrate"
            yield f"{subject} the datastore from {last or 'its revision'} to {step.revision}{path}."
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
        if step.migrates or not step.rolls_back:
            verdict = rollback(step, f"step {number} ({step.version})")
            then = "the migration itself cannot be undone" if step.rolls_back else BACKUP
            yield f"{sentence(f'{verdict}: {old_servers(step, plan.before(number))}')} {sentence(then)}"
    yield from (f"Warning: {warning}." for warning in plan.warnings)


def _mode_changes(props: SpiceDBProps, running: Running) -> Iterator[str]:
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


def _servers(change: Change) -> Iterator[str]:
    props = change.props
    fields: Sequence[FieldDiff] = next((each.fields for each in change.objects if each.kind == "Deployment"), ())
    of_pods = [evolve(field, path=field.path[len(_TEMPLATE) :]) for field in fields if field.path.startswith(_TEMPLATE)]
    whole = dict(found for field in of_pods if (found := _whole(field)))
    parts = [field for field in of_pods if not field.path.startswith(tuple(f"{path}." for path in whole))]
    reasons = [reason for reason in dict.fromkeys((*map(_reason, parts), *whole.values())) if reason]
    if reasons:
        rest = len(reasons) - _MOST_REASONS
        more = f"; and {rest} more" if rest > 0 else ""
        servers = f"{props.replicas} servers are" if props.replicas > 1 else "The server is"
        yield f"{servers} replaced in a rolling update: {'; '.join(reasons[:_MOST_REASONS])}{more}."
        if props.max_surge == 0:
            yield f"During the update, up to {props.server.max_unavailable} of {props.replicas} are not available."
        elif props.replicas == 1:
            yield "With one server, clients reconnect to the new one."
    else:
        yield "No server restarts."
    for field in fields:
        if field.path == "spec.replicas":
            yield f"The number of servers changes from {field.before} to {field.after}."


def _whole(field: FieldDiff) -> tuple[str, str] | None:
    """The path of a container or volume that is new or gone, and a sentence about it, from the field of its name."""
    found = _PART.fullmatch(field.path)
    if not found or None not in (field.before, field.after):
        return None
    change = "new" if field.before is None else "gone"
    return found["path"], f"{_PARTS[found['kind']]} {found['name']} is {change}"


def _reason(field: FieldDiff) -> str:
    """Why a field of the pods restarts the servers, in a few words."""
    path = field.path
    if CHECKSUM in path:
        return f"a setting of the migration changed ({CHECKSUM})"
    if path == f"metadata.labels[{VERSION}]":
        return ""
    if path.endswith(".image"):
        return f"image {_value(field.before)} to {_value(field.after)}"
    if ".args[--" in path:
        return _changed(path.rpartition(".args[")[2].rstrip("]"), field)
    if ".env[" in path:
        # The value of a variable is only in the list of fields.
        return f"variable {path.rpartition('.env[')[2].partition(']')[0]}"
    if ".resources." in path:
        return _changed(f"resources.{path.rpartition('.resources.')[2]}", field)
    return _changed(path.removeprefix("spec.").removeprefix("containers[spicedb]."), field)


def _changed(name: str, field: FieldDiff) -> str:
    if field.before is None:
        return f"{name}{_value(field.after, '=')} is new"
    if field.after is None:
        return f"{name}{_value(field.before, '=')} is gone"
    return f"{name} changes from {_value(field.before)} to {_value(field.after)}"


def _value(value: Any, before: str = "") -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"{before}{text if len(text) <= 80 else f'{text[:77]}...'}" if text else ""


def _jobs(change: Change) -> Iterator[str]:
    props = change.props
    if not props.migrates_first:
        jobs = (each for each in change.objects if each.kind == "Job" and each.change is compare.Change.CREATED)
        yield from (f"The Job {job.name} runs." for job in jobs)
    elif props.migrates and change.running is not None and change.running.version == props.version:
        yield (
            "The migration Job runs before the servers change, as in every release. It has nothing to do if the "
            "datastore is already migrated."
        )
    if props.schema and props.delivery.has_hooks:
        yield "The schema Job writes the SpiceDB schema when the servers are ready."


def _objects(change: Change) -> Iterator[str]:
    if change.deletes:
        yield f"Helm deletes {', '.join(change.deletes)}."
    if change.leaves:
        yield (
            f"{', '.join(change.leaves)} {'stay' if len(change.leaves) > 1 else 'stays'} in the cluster, unless your "
            "delivery tool deletes what is no longer in the file, as Argo CD and Flux do with `prune: true`. If any "
            "remain, delete them yourself."
        )
    if change.foreign:
        yield (
            f"The Helm release also has {', '.join(change.foreign)}, which the file does not describe. Helm deletes "
            "them if you upgrade the release with a chart of this file alone."
        )
    if change.values:
        yield (
            f"The Helm release has its own values ({', '.join(change.values)}), which are not in the file. "
            "`cdk8s-spicedb upgrade` and `helm upgrade --reset-then-reuse-values` keep them: they take precedence over "
            "the file, although this comparison shows the file."
        )
    if change.unknown:
        yield f"It is unknown what is removed: {change.unknown}."
