"""The values of a chart: one table, from which values.yaml, its schema, the templates and the README come."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, cast, get_args

from attrs import frozen

from ..files.folder import MARK
from ..files.schema import field_schema, field_texts
from ..files.words import for_files
from ..files.yaml import dump
from ..labels import Component
from ..props import Resources, SpiceDBProps, Toleration, secret_keys
from ..props.annotations import camel
from ..props.image import image_parts
from ..props.kinds import Schema
from ..props.secrets import SecretKey
from ..props.types import PullPolicy
from .places import Place, argument, field, optional_field, pod_annotations

_TEXT: Schema = {"type": "string"}
_OBJECT: Schema = {"type": "object"}
_LIST: Schema = {"type": "array", "items": _OBJECT}
_POD = "spec.template.spec"
_CONTAINER = f"{_POD}.containers.0"
_TO_YAML = "- toYaml {} | nindent 12"


@frozen
class Value:
    """One value of a chart."""

    path: str
    """Its path in values.yaml, such as ``migrations.logLevel``."""
    default: Any
    schema: Schema
    text: str
    """Its documentation."""
    places: tuple[Place, ...] = ()
    """Where the templates use it. Empty: `templates` uses it in a way of its own."""


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


_SERVER, _MIGRATION, _CLEANUP = Component.SERVER, Component.MIGRATION, Component.CLEANUP


def _servers(props: SpiceDBProps) -> Iterator[_Row]:
    if props.server.autoscaling:
        prop, kind = "server.autoscaling", "HorizontalPodAutoscaler"
        yield _Row("autoscaling.minReplicas", f"{prop}.min_replicas", field(_SERVER, "spec.minReplicas", kind))
        yield _Row("autoscaling.maxReplicas", f"{prop}.max_replicas", field(_SERVER, "spec.maxReplicas", kind))
    else:
        maximum = props.datastore.max_replicas
        schema = {"type": "integer", "minimum": 1, **({"maximum": maximum} if maximum else {})}
        yield _Row("replicas", "server.replicas", field(_SERVER, "spec.replicas"), schema, props.replicas)
    yield _Row("logLevel", "server.log_level", argument(_SERVER, "--log-level"))
    yield from _pods("", "server", _SERVER)


def _migrations() -> Iterator[_Row]:
    path, prop = "migrations", "migration"
    yield _Row(f"{path}.enabled", f"{prop}.enabled")
    yield _Row(f"{path}.logLevel", f"{prop}.log_level", argument(_MIGRATION, "--log-level", ".Values.logLevel"))
    yield _Row(f"{path}.targetMigration", f"{prop}.target_migration")
    yield _Row(f"{path}.targetPhase", f"{prop}.target_phase")
    yield _Row(f"{path}.restartPolicy", f"{prop}.restart_policy", field(_MIGRATION, f"{_POD}.restartPolicy"))
    yield _Row(f"{path}.backoffLimit", f"{prop}.backoff_limit", field(_MIGRATION, "spec.backoffLimit"))
    deadline = field(_MIGRATION, "spec.activeDeadlineSeconds")
    yield _Row(f"{path}.activeDeadlineSeconds", f"{prop}.active_deadline_seconds", deadline)
    yield from _pods("migrations.", "migration", _MIGRATION)
    yield _Row(f"{path}.cleanup.enabled", "cleanup.enabled", schema={"type": "boolean"}, default=True)
    yield _Row(f"{path}.cleanup.image", "cleanup.image", field(_CLEANUP, f"{_CONTAINER}.image", form="{} | quote"))
    yield from _pods("migrations.cleanup.", "cleanup", _CLEANUP)


def _pods(path: str, prop: str, component: Component) -> Iterator[_Row]:
    """The values of a component's pods."""
    yield _Row(
        f"{path}resources", f"{prop}.resources", field(component, f"{_CONTAINER}.resources", form=_TO_YAML), _OBJECT
    )
    yield _Row(f"{path}podAnnotations", f"{prop}.pod_annotations", pod_annotations(component))
    for name in ("node_selector", "tolerations", "affinity", "priority_class_name"):
        place = optional_field(component, f"{_POD}.{camel(name)}")
        yield _Row(f"{path}{camel(name)}", f"{prop}.{name}", place, _LIST if name == "tolerations" else None)


def chart_values(props: SpiceDBProps) -> list[Value]:
    """The values of a chart, in the order of values.yaml."""
    return [
        *_image(props),
        *(_value(props, row) for row in _servers(props)),
        *_secrets(props),
        *(_value(props, row) for row in (_migrations() if props.datastore.migrates else ())),
    ]


def _value(props: SpiceDBProps, row: _Row) -> Value:
    *parts, name = row.prop.split(".")
    owner: Any = props
    for part in parts:
        owner = getattr(owner, part)
    kind, default = cast(Any, type(owner)), _plain(getattr(owner, name))
    schema = row.schema or field_schema(kind, name)
    text, _, meaning = for_files(field_texts(kind).get(name, "")).partition(" Defaults")
    if "anyOf" in schema:
        # A chart's value is never null: to Helm, null removes the key.
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]
        default, schema = default or "", {"anyOf": [*options, {"const": ""}]}
    default = row.default if default is None else default
    if default == "" and meaning:
        # An empty value means the default of the prop.
        text = f"{text} Defaults{meaning.partition('. ')[0].rstrip('.')}."
    return Value(row.path, default, schema, text, (row.place,) if row.place else ())


def _plain(value: Any) -> Any:
    if isinstance(value, Resources):
        return {"requests": dict(value.requests), "limits": dict(value.limits)}
    if isinstance(value, Toleration):
        return value.manifest()
    if isinstance(value, (tuple, list)):
        return list(map(_plain, value))
    if isinstance(value, Enum):
        return value.value
    return dict(value) if isinstance(value, Mapping) else value


def _image(props: SpiceDBProps) -> Iterator[Value]:
    repository, tag, digest = image_parts(props.full_image)
    text = "Image of servers and migration, without its tag."
    yield Value("image.repository", repository, {**_TEXT, "minLength": 1}, text)
    text = (
        f"Image tag. The chart sets flags and allows schemas that belong to {props.version}. For another SpiceDB "
        "release, write the chart again."
    )
    yield Value("image.tag", tag or "", _TEXT, text)
    pattern = {**_TEXT, "pattern": "^(sha256:[0-9a-f]{64})?$"}
    yield Value("image.digest", digest or "", pattern, "Image digest. Takes precedence over the tag.")
    policies = {"enum": ["", *get_args(PullPolicy)]}
    components = (_SERVER, _MIGRATION, _CLEANUP)
    places = tuple(optional_field(component, f"{_CONTAINER}.imagePullPolicy") for component in components)
    text = "Image pull policy of all pods. Defaults to the default of Kubernetes."
    yield Value("image.pullPolicy", props.image_pull_policy or "", policies, text, places)
    pull_secrets = [{"name": name} for name in props.image_pull_secrets]
    places = tuple(optional_field(component, f"{_POD}.imagePullSecrets") for component in components)
    text = "Secrets with which all pods pull images: [{name: …}]."
    yield Value("imagePullSecrets", pull_secrets, _LIST, text, places)


def secrets(props: SpiceDBProps) -> dict[SecretKey, str]:
    """The name of the value for each Secret key."""
    return {key: name if name.startswith("env_") else camel(name) for key, name in secret_keys(props).items()}


def _secrets(props: SpiceDBProps) -> Iterator[Value]:
    for key, name in secrets(props).items():
        path = f"secrets.{name}"
        yield Value(f"{path}.name", str(key.name), field_schema(SecretKey, "name"), "Name of the Secret.")
        yield Value(f"{path}.key", key.key, field_schema(SecretKey, "key"), "Key in the Secret.")


# ---------------------------------------------------------------- files


def values_yaml(values: list[Value]) -> str:
    """values.yaml: each value below its documentation."""
    text = "Set these values when you install or upgrade. Each default is the setting with which the chart was written."
    return f"# {MARK}\n# {text}\n" + "\n".join(_lines(values, "", "")) + "\n"


def _lines(values: list[Value], prefix: str, indent: str) -> Iterator[str]:
    for name, inner in _grouped(values, prefix).items():
        yield from [""] if not indent else []
        if isinstance(inner, Value):
            yield from textwrap.wrap(inner.text, 118, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
            yield textwrap.indent(dump({name: inner.default}).rstrip(), indent)
        else:
            yield f"{indent}{name}:"
            yield from _lines(inner, f"{prefix}{name}.", f"{indent}  ")


def _grouped(values: list[Value], prefix: str) -> dict[str, Value | list[Value]]:
    """Values by the next part of their paths; those with more parts together."""
    found: dict[str, Any] = {}
    for value in values:
        name, _, deeper = value.path.removeprefix(prefix).partition(".")
        if deeper:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def values_schema(values: list[Value]) -> str:
    """values.schema.json: Helm stops at a misspelled or invalid value before it applies anything."""
    root = {"$comment": MARK, "$schema": "http://json-schema.org/draft-07/schema#", **_schema(values, "")}
    # Helm passes the values that all charts share under this name.
    root["properties"]["global"] = _OBJECT
    return json.dumps(root, indent=2, ensure_ascii=False) + "\n"


def _schema(values: list[Value], prefix: str) -> dict[str, Any]:
    properties = {
        name: {"description": inner.text, **inner.schema}
        if isinstance(inner, Value)
        else _schema(inner, f"{prefix}{name}.")
        for name, inner in _grouped(values, prefix).items()
    }
    # Helm removes a value that is set to null.
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def nested(values: list[Value], prefix: str) -> Mapping[str, Any]:
    """The defaults below a prefix, as Helm sees them."""
    return {
        name: inner.default if isinstance(inner, Value) else nested(inner, f"{prefix}{name}.")
        for name, inner in _grouped([value for value in values if value.path.startswith(prefix)], prefix).items()
    }
