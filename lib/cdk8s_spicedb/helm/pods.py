"""The values that all kinds of pods have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from attrs import evolve

from ..labels import Component
from ..props import SpiceDBProps
from ..props.backup import BackupProps
from ..props.fields import camel
from ..props.fieldtypes import Schema
from ..props.pod import KEYS
from ..props.types import ObjectName, StorageSize
from .places import Place, entries, field, named_items, optional_field, tolerations
from .value import BESIDE_ZED, CONTAINER, LIST, OBJECT, PATHS, POD, Value, objects_with, or_empty, schema_of, value_of


def job_image(props: SpiceDBProps, part: str, name: str = "image") -> Value:
    """The image of a Job. Its default is in the templates, because an upgrade with --reuse-values keeps values."""
    image = value_of(props, f"{part}.{name}")
    text = f"{image.text} Defaults to {image.default}."
    return evolve(image, default="", schema=or_empty(image.schema), text=text, nullable=True, renders=True)


def backup_values(props: SpiceDBProps, backup: BackupProps) -> Iterator[Value]:
    """The values of the backups."""
    component, cron_job, claim = Component.BACKUP, "CronJob", "PersistentVolumeClaim"

    def value(name: str, *places: Place, **given: Any) -> Value:
        return evolve(value_of(props, f"backup.{name}", **given), places=places)

    alert = "The alert about late backups does not follow this value: write the chart again."
    note = alert if props.monitoring.alerts else ""
    yield value("schedule", field(component, "spec.schedule", cron_job, text=True), note=note)
    yield value("time_zone", optional_field((component,), "spec.timeZone", kind=cron_job))
    yield value("suspend", field(component, "spec.suspend", cron_job))
    yield value("keep", field(component, f"{BESIDE_ZED[1]}.env.KEEP.value", cron_job, text=True))
    yield evolve(value("claim"), nullable=True, renders=True)
    size = field(component, "spec.resources.requests.storage", claim, text=True)
    yield evolve(value("storage", size, schema=schema_of(StorageSize)), default=backup.size)
    yield value("storage_class", optional_field((component,), "spec.storageClassName", kind=claim))
    yield job_image(props, "backup")
    yield job_image(props, "backup", "shell_image")
    deadline = field(component, f"{BESIDE_ZED[0]}.env.DEADLINE_SECONDS.value", cron_job, text=True)
    yield value("active_deadline_seconds", field(component, "spec.activeDeadlineSeconds"), deadline)
    yield from pod_values(props, "backup")


def client_values(props: SpiceDBProps, part: str) -> Iterator[Value]:
    """The values of a Job that connects to the servers."""
    yield job_image(props, part)
    yield value_of(props, f"{part}.active_deadline_seconds", field(Component(part), "spec.activeDeadlineSeconds"))
    yield from pod_values(props, part)


_LISTS = {
    "extra_volume_mounts": (f"{CONTAINER}.volumeMounts", objects_with("name", "mountPath")),
    "extra_volumes": (f"{POD}.volumes", objects_with("name")),
    "init_containers": (f"{POD}.initContainers", objects_with("name", "image")),
    "extra_containers": (f"{POD}.containers", objects_with("name", "image")),
}
"""Where the lists of objects are, and their schemas."""
_ENV = objects_with("name", value={"type": ["string", "null"]})


_REPLACED: Mapping[str, tuple[Callable[[Collection[Component], str, str], Place], Schema | None]] = {
    "tolerations": (tolerations, LIST),
    "affinity": (optional_field, None),
    "priority_class_name": (optional_field, None),
}
"""Values that replace those of all pods: how each gets its place, and its schema if it is not that of the prop."""


def pod_values(props: SpiceDBProps, part: str) -> Iterator[Value]:
    """The values of a component's pods, or of all pods: with ``part`` ``pods``."""
    own, metadata, shared = getattr(props, part), "spec.template.metadata", part == "pods"
    components = tuple(Component) if shared else (Component(part),)

    def value(name: str, *places: Place, schema: Schema | None = None, note: str = "") -> Value:
        return evolve(value_of(props, f"{part}.{name}", None, schema, note=note), places=places, nullable=shared)

    if not shared:
        note = "To render no resources, set null. {} keeps the defaults, because Helm merges maps."
        where = (CONTAINER, *(BESIDE_ZED if part == "backup" else ()))
        yield value(
            "resources", *(optional_field(components, f"{each}.resources") for each in where), schema=OBJECT, note=note
        )
    for kind in ("labels", "annotations"):
        yield value(f"pod_{kind}", entries(components, f"{metadata}.{kind}", getattr(own, f"pod_{kind}")))
    yield value("node_selector", entries(components, f"{POD}.nodeSelector", own.node_selector))
    for name, (made, form) in _REPLACED.items():
        # The values of all pods are the default of those of one kind of pod.
        place = made(components, f"{POD}.{camel(name)}", f".Values.pods.{camel(name)}")
        yield value(name, *(() if shared else (place,)), schema=form)
    yield _account(props, part)
    text = (
        "More environment variables, as in a container's env. You cannot set those that the chart itself sets. They "
        "take precedence over those of pods."
    )
    place = named_items(components, f"{CONTAINER}.env", "name")
    yield Value(f"{PATHS[part]}extraEnv", [], _ENV, text.partition(" They")[0] if shared else text, (place,))
    for name, (path, schema) in _LISTS.items():
        key = KEYS[name]
        place = named_items(components, path, key, [item[key] for item in getattr(own, name)])
        yield value(name, place, schema=schema)


def _account(props: SpiceDBProps, part: str) -> Value:
    """The value with the name of a ServiceAccount that exists."""
    path, own = f"{PATHS[part]}serviceAccount.name", getattr(props, part).service_account
    whose = {"pods": "all pods", "server": "the servers, and for the migration if it has none of its own"}
    text = f"Existing ServiceAccount for {whose.get(part, f'the {part}')}."
    if part == "server":
        text += " Defaults to a new one with the name of the Deployment."
    schema, prop = or_empty(schema_of(ObjectName)), f"{part}.service_account"
    where, default = f"{POD}.serviceAccountName", ".Values.pods.serviceAccount.name"
    # The templates of the others also decide whether the release has a ServiceAccount of their own.
    places = (optional_field((Component(part),), where, default),) if part in ("schema", "test", "backup") else ()
    return Value(path, str(own or ""), schema, text, places, nullable=True, renders=True, prop=prop)
