"""What changes of a release mean, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from ...delivery import Delivery
from ...labels import CHECKSUM
from ...props import SpiceDBProps
from .. import compare
from ..compare import FieldDiff, ObjectDiff
from ..release.running import Applier, Running
from .planned import datastore_meaning, mode_meaning

_DELIVERY = {Applier.HELM: Delivery.HELM, Applier.ARGOCD: Delivery.ARGOCD, Applier.KUBECTL: Delivery.KUBECTL}
_TEMPLATE = "spec.template."
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
    unknown: str
    """Why it is unknown what was released before. Empty if it is known."""

    @property
    def deployment(self) -> ObjectDiff | None:
        """The Deployment of the servers."""
        return next((each for each in self.objects if each.kind == "Deployment"), None)

    @property
    def changes(self) -> bool:
        """Whether any object changes."""
        return any(each.change is not compare.Change.UNCHANGED for each in self.objects)


def meaning(change: Change) -> Iterator[str]:
    """What the changes mean: restarts, migrations, what cannot be undone, and what else to know."""
    if change.running is None:
        yield from _install(change.props)
    else:
        yield from _origin(change, change.running)
        yield from _servers(change)
        yield from datastore_meaning(change.props, change.running, changes=change.changes)
        yield from mode_meaning(change.props, change.running)
    yield from _jobs(change)
    yield from _objects(change)


def _install(props: SpiceDBProps) -> Iterator[str]:
    count = props.replicas
    servers = f"{count} server{'s' if count > 1 else ''}"
    yield (
        f"Nothing of {props.name} is installed: this installs SpiceDB {props.version} on {props.datastore.engine} "
        f"with {servers}."
    )
    if props.migrates:
        yield f"The migration first migrates the datastore to {_target(props)}. SpiceDB cannot undo a migration."
    elif props.datastore.migrates:
        yield "The release does not migrate. Migrate the datastore yourself before you install it."


def _target(props: SpiceDBProps) -> str:
    if props.migration.target_migration:
        return props.migration.target_migration
    known = props.releases.engines.get(props.datastore.engine)
    head = known.heads.get(props.version) if known else None
    return head or f"the newest revision of {props.version}"


def _origin(change: Change, running: Running) -> Iterator[str]:
    if not running.ours:
        yield (
            f"Another program or chart made the Deployment {running.name}. Do not apply this file over it: move to "
            "this package as the documentation describes."
        )
    wanted = _DELIVERY.get(running.applier)
    if wanted is not None and change.props.delivery is not wanted:
        yield (
            f"The release was applied with {running.applier.value}, but the file has the delivery "
            f"{change.props.delivery.value}. Keep the delivery {wanted.value}."
        )
    if running.engine and running.engine != change.props.datastore.engine:
        yield (
            f"The datastore changes from {running.engine} to {change.props.datastore.engine}. No relationships are "
            "copied: move the data yourself first."
        )


def _servers(change: Change) -> Iterator[str]:
    deployment, props = change.deployment, change.props
    fields = deployment.fields if deployment else ()
    reasons = list(dict.fromkeys(_reason(field) for field in fields if field.path.startswith(_TEMPLATE)))
    reasons = [reason for reason in reasons if reason]
    if reasons:
        rest = len(reasons) - _MOST_REASONS
        more = f"; and {rest} more" if rest > 0 else ""
        count = f"{props.replicas} servers are" if props.replicas > 1 else "The server is"
        yield f"{count} replaced in a rolling update: {'; '.join(reasons[:_MOST_REASONS])}{more}."
        if props.max_surge == 0 or props.replicas == 1:
            yield (
                f"During the update, up to {props.server.max_unavailable} of {props.replicas} are not available."
                if props.max_surge == 0
                else "With one server, clients reconnect to the new one."
            )
    else:
        yield "No server restarts."
    for field in fields:
        if field.path == "spec.replicas":
            yield f"The number of servers changes from {field.before} to {field.after}."


def _reason(field: FieldDiff) -> str:
    """Why a field of the pod template restarts the servers, in a few words."""
    path = field.path[len(_TEMPLATE) :]
    if CHECKSUM in path:
        return "a setting of the migration changed (checksum/migration-config)"
    if path == "metadata.labels[app.kubernetes.io/version]":
        return ""
    if path.endswith(".image"):
        return f"image {_value(field.before)} to {_value(field.after)}"
    if ".args[--" in path:
        return _changed(path.rpartition(".args[")[2].rstrip("]"), field)
    for part, words in ((".env[", "variable "), (".resources.", "resources.")):
        if part in path:
            name = path.rpartition(part)[2]
            # The value of a variable is only in the list of fields.
            return f"variable {name.partition(']')[0]}" if part == ".env[" else _changed(f"{words}{name}", field)
    return _changed(path.removeprefix("spec.").removeprefix("containers[spicedb]."), field)


def _changed(name: str, field: FieldDiff) -> str:
    if field.before is None:
        return f"{name}{_value(field.after, '=')} is new"
    if field.after is None:
        return f"{name}{_value(field.before, '=')} is gone"
    return f"{name} changes from {_value(field.before)} to {_value(field.after)}"


def _value(value: Any, before: str = "") -> str:
    if value == "":
        return ""
    text = value if isinstance(value, str) else str(value)
    return f"{before}{text if len(text) <= 80 else f'{text[:77]}...'}"


# ---------------------------------------------------------------- Jobs and other objects


def _jobs(change: Change) -> Iterator[str]:
    props = change.props
    if not props.delivery.has_hooks:
        jobs = [each for each in change.objects if each.kind == "Job"]
        for job in jobs:
            if job.change is compare.Change.CREATED:
                yield f"The Job {job.name} runs."
        return
    if props.migrates and change.running is not None and change.running.version == props.version:
        yield (
            "The migration Job runs before the servers change, as in every release. It has nothing to do if the "
            "datastore is already migrated."
        )
    if props.schema:
        yield "The schema Job writes the SpiceDB schema when the servers are ready."


def _objects(change: Change) -> Iterator[str]:
    if change.deletes:
        yield f"Helm deletes {', '.join(change.deletes)}."
    if change.leaves:
        yield (
            f"{', '.join(change.leaves)} {'stay' if len(change.leaves) > 1 else 'stays'} in the cluster: your delivery "
            "tool might not delete objects that are no longer in the file. If they remain, delete them yourself."
        )
    if change.foreign:
        yield (
            f"The Helm release also has {', '.join(change.foreign)}, which the file does not describe. Helm deletes "
            "them if you upgrade the release with a chart of this file alone."
        )
    if change.values:
        yield (
            f"The Helm release has its own values ({', '.join(change.values)}), which are not in the file. If the next "
            "`helm upgrade` keeps them, they take precedence over the file, and this comparison does not show that."
        )
    if change.unknown:
        yield f"It is unknown what is removed: {change.unknown}."
