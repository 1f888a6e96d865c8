"""The values of a chart that stand for props, one line each: path, prop, and place in the manifests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from attrs import frozen

from ..files.schema import field_schema, field_texts
from ..files.words import for_files
from ..labels import Component
from ..manifests.checksum import plain
from ..props import SpiceDBProps
from ..props.annotations import camel
from ..props.kinds import Schema
from ..props.pod import PodProps
from ..props.server import ServerProps
from ..props.types import Revision
from .places import Place, argument, entries, field, optional_argument, optional_field
from .value import CLEANUP, CONTAINER, LIST, MIGRATION, OBJECT, POD, SERVER, Value, schema_of


@frozen
class _Row:
    """A value that stands for a prop, which gives its default, schema and documentation."""

    path: str
    prop: str
    place: Place | None = None
    schema: Schema | None = None
    """Its schema, if charts need another one than the prop's."""
    default: Any = None
    """Its default, if the prop's own is None."""
    note: str = ""
    """A sentence after the prop's documentation."""


def servers(props: SpiceDBProps) -> Iterator[Value]:
    """The values of the servers."""
    return _values(props, _servers(props))


def migrations(props: SpiceDBProps) -> Iterator[Value]:
    """The values of the migration."""
    return _values(props, _migrations(props))


def cleanup(props: SpiceDBProps) -> Iterator[Value]:
    """The values of the clean-up."""
    return _values(props, _cleanup(props))


def _servers(props: SpiceDBProps) -> Iterator[_Row]:
    if props.server.autoscaling:
        prop, kind = "server.autoscaling", "HorizontalPodAutoscaler"
        yield _Row("autoscaling.minReplicas", f"{prop}.min_replicas", field(SERVER, "spec.minReplicas", kind))
        yield _Row("autoscaling.maxReplicas", f"{prop}.max_replicas", field(SERVER, "spec.maxReplicas", kind))
    else:
        maximum = props.datastore.max_replicas
        schema = {"type": "integer", "minimum": 1, **({"maximum": maximum} if maximum else {})}
        yield _Row("replicas", "server.replicas", field(SERVER, "spec.replicas"), schema, props.replicas)
    if props.datastore.max_replicas != 1:
        update = "spec.strategy.rollingUpdate"
        surge, share = field(SERVER, f"{update}.maxSurge"), field_schema(ServerProps, "max_unavailable")
        yield _Row("rollingUpdate.maxSurge", "server.max_surge", surge, share, props.max_surge)
        yield _Row("rollingUpdate.maxUnavailable", "server.max_unavailable", field(SERVER, f"{update}.maxUnavailable"))
        budget = field(SERVER, "spec.maxUnavailable", "PodDisruptionBudget")
        schema = {"type": "integer", "minimum": 1}
        yield _Row("podDisruptionBudget.maxUnavailable", "server.disruption_budget", budget, schema, 1)
    yield _Row("logLevel", "server.log_level", argument(SERVER, "--log-level"))
    yield from _phases(props)
    seconds = {"type": "integer", "minimum": 1}
    grace = field(SERVER, f"{POD}.terminationGracePeriodSeconds")
    prop, default = "server.termination_grace_period_seconds", props.server.termination_seconds
    yield _Row("terminationGracePeriodSeconds", prop, grace, seconds, default)
    yield from _pods("", "server", SERVER, props.server)


def _phases(props: SpiceDBProps) -> Iterator[_Row]:
    """The servers' settings for phases of a migration, as far as the release has their flags."""
    if not props.datastore.migrates:
        return
    flags = {
        "schema_mode": "experimental-schema-mode",
        "datastore_migration_phase": "datastore-migration-phase",
    }
    for name, flag in flags.items():
        if props.releases.takes(flag, props.version):
            yield _Row(camel(name), f"server.{name}", optional_argument(SERVER, f"--{flag}"))
    flag = "datastore-allowed-migrations"
    if props.releases.takes(flag, props.version):
        schema = {"type": "array", "items": schema_of(Revision)}
        place, default = optional_argument(SERVER, f"--{flag}", "range"), list(props.allowed_migrations)
        yield _Row("allowedMigrations", "server.allowed_migrations", place, schema, default)


def _migrations(props: SpiceDBProps) -> Iterator[_Row]:
    path, prop = "migrations", "migration"
    yield _Row(f"{path}.enabled", f"{prop}.enabled")
    yield _Row(f"{path}.logLevel", f"{prop}.log_level", argument(MIGRATION, "--log-level", ".Values.logLevel"))
    known = props.releases.revisions(props.datastore.engine, props.version)
    choice = {"enum": ["", "head", *known]} if known and not props.migration.allow_unknown_target else None
    yield _Row(f"{path}.targetMigration", f"{prop}.target_migration", schema=choice)
    yield _Row(f"{path}.targetPhase", f"{prop}.target_phase")
    flags = {"migration_timeout": "migration-timeout", "backfill_batch_size": "migration-backfill-batch-size"}
    for name, flag in flags.items():
        if props.releases.takes(flag, props.version):
            yield _Row(f"{path}.{camel(name)}", f"{prop}.{name}", optional_argument(MIGRATION, f"--{flag}"))
    yield _Row(f"{path}.restartPolicy", f"{prop}.restart_policy", field(MIGRATION, f"{POD}.restartPolicy"))
    yield _Row(f"{path}.backoffLimit", f"{prop}.backoff_limit", field(MIGRATION, "spec.backoffLimit"))
    deadline = field(MIGRATION, "spec.activeDeadlineSeconds")
    yield _Row(f"{path}.activeDeadlineSeconds", f"{prop}.active_deadline_seconds", deadline)
    yield from _pods("migrations.", "migration", MIGRATION, props.migration)


def _cleanup(props: SpiceDBProps) -> Iterator[_Row]:
    path = "migrations.cleanup"
    yield _Row(f"{path}.enabled", "cleanup.enabled", schema={"type": "boolean"}, default=True)
    yield _Row(f"{path}.image", "cleanup.image")
    deadline = field(CLEANUP, "spec.activeDeadlineSeconds")
    yield _Row(f"{path}.activeDeadlineSeconds", "cleanup.active_deadline_seconds", deadline)
    yield from _pods(f"{path}.", "cleanup", CLEANUP, props.cleanup)


def _pods(path: str, prop: str, component: Component, pod: PodProps) -> Iterator[_Row]:
    """The values of a component's pods."""
    resources = optional_field((component,), f"{CONTAINER}.resources")
    note = "To render no resources, set null. {} keeps the defaults, because Helm merges maps."
    yield _Row(f"{path}resources", f"{prop}.resources", resources, OBJECT, note=note)
    metadata = "spec.template.metadata"
    labels = entries((component,), f"{metadata}.labels", pod.pod_labels)
    yield _Row(f"{path}podLabels", f"{prop}.pod_labels", labels)
    annotations = entries((component,), f"{metadata}.annotations", pod.pod_annotations)
    yield _Row(f"{path}podAnnotations", f"{prop}.pod_annotations", annotations)
    for name in ("node_selector", "tolerations", "affinity", "priority_class_name"):
        place = optional_field((component,), f"{POD}.{camel(name)}")
        yield _Row(f"{path}{camel(name)}", f"{prop}.{name}", place, LIST if name == "tolerations" else None)


def _values(props: SpiceDBProps, rows: Iterator[_Row]) -> Iterator[Value]:
    return (_value(props, row) for row in rows)


def _value(props: SpiceDBProps, row: _Row) -> Value:
    *parts, name = row.prop.split(".")
    owner: Any = props
    for part in parts:
        owner = getattr(owner, part)
    kind, default = cast(Any, type(owner)), plain(getattr(owner, name))
    schema = row.schema or field_schema(kind, name)
    text, _, meaning = for_files(field_texts(kind).get(name, "")).partition(" Defaults")
    if {"type": "null"} in schema.get("anyOf", ()):
        # A chart's value is never null: to Helm, null removes the key.
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]
        default, schema = default or "", {"anyOf": [*options, {"const": ""}]}
    default = row.default if default is None else default
    if default is None:
        default = ""
    if default == "" and meaning:
        # An empty value means the default of the prop.
        text = f"{text} Defaults{meaning.partition('. ')[0].rstrip('.')}."
    return Value(row.path, default, schema, f"{text} {row.note}".rstrip(), (row.place,) if row.place else ())
