"""What the users of a chart can set when they install it: values.yaml and its schema."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from attrs import frozen

from ..checks import Schema
from ..dump import dump
from ..folder import MARK
from ..props import Autoscaling, CleanupProps, MigrationProps, ServerProps, SpiceDBProps, secret_keys
from ..props.image import image_parts
from ..schema import camel, field_schema, field_texts, for_files
from ..secret import SecretKey

POD = {"resources": "resources", "podAnnotations": "pod_annotations", "nodeSelector": "node_selector"}
_OBJECT: Schema = {"type": "object"}
_LIST: Schema = {"type": "array", "items": _OBJECT}


@frozen
class Value:
    """One value of a chart, with the default that the props say."""

    path: str
    """Its place in values.yaml, such as ``migrations.logLevel``."""
    default: Any
    schema: Schema
    text: str
    """What it means."""


def chart_values(props: SpiceDBProps) -> list[Value]:
    """The values of a chart, in the order of values.yaml."""
    return [
        *_image(props),
        *_servers(props),
        *_secrets(props),
        *(_migrations(props) if props.datastore.migrates else ()),
    ]


def secrets(props: SpiceDBProps) -> dict[SecretKey, str]:
    """By Secret key, the name of the value that stands for it."""
    return {key: name if name.startswith("env_") else camel(name) for key, name in secret_keys(props).items()}


def _image(props: SpiceDBProps) -> Iterator[Value]:
    repository, tag, digest = image_parts(props.full_image)
    text = {"type": "string"}
    yield Value("image.repository", repository, {**text, "minLength": 1}, "The image of servers and migration.")
    yield Value(
        "image.tag",
        tag or "",
        text,
        f"Its tag. Flags and rollback are made for {props.version}: have the chart written anew for another release.",
    )
    pattern = {**text, "pattern": "^(sha256:[0-9a-f]{64})?$"}
    yield Value("image.digest", digest or "", pattern, "Its digest, which counts more than the tag.")
    policies = {"enum": ["", "Always", "IfNotPresent", "Never"]}
    yield Value("image.pullPolicy", props.image_pull_policy or "", policies, "When nodes pull images, of every pod.")
    pull_secrets = [{"name": name} for name in props.image_pull_secrets]
    yield Value("imagePullSecrets", pull_secrets, _LIST, "The Secrets with which images are pulled: [{name: …}].")


def _servers(props: SpiceDBProps) -> Iterator[Value]:
    yield from _numbers(props)
    yield _of("logLevel", ServerProps, "log_level", props.server.log_level)
    yield from _pod("", ServerProps, props.server)


def _numbers(props: SpiceDBProps) -> Iterator[Value]:
    autoscaling = props.server.autoscaling
    if autoscaling:
        yield _of("autoscaling.minReplicas", Autoscaling, "min_replicas", autoscaling.min_replicas)
        yield _of("autoscaling.maxReplicas", Autoscaling, "max_replicas", autoscaling.max_replicas)
        return
    most = props.datastore.most_replicas
    count = {"type": "integer", "minimum": 1, **({"maximum": most} if most else {})}
    yield attrs.evolve(_of("replicas", ServerProps, "replicas", props.replicas), schema=count)


def _secrets(props: SpiceDBProps) -> Iterator[Value]:
    for key, name in secrets(props).items():
        path = f"secrets.{name}"
        yield Value(f"{path}.name", str(key.name), field_schema(SecretKey, "name"), "The Secret, which exists already.")
        yield Value(f"{path}.key", key.key, field_schema(SecretKey, "key"), "The key in it.")


def _migrations(props: SpiceDBProps) -> Iterator[Value]:
    migration, cleanup = props.migration, props.cleanup
    phase = migration.target_phase.value if migration.target_phase else None
    for name, value in {
        "enabled": migration.enabled,
        "log_level": migration.log_level,
        "target_migration": migration.target_migration,
        "target_phase": phase,
        "restart_policy": migration.restart_policy,
        "backoff_limit": migration.backoff_limit,
        "active_deadline_seconds": migration.active_deadline_seconds,
    }.items():
        yield _of(f"migrations.{camel(name)}", MigrationProps, name, value)
    yield from _pod("migrations.", MigrationProps, migration)
    enabled = cleanup.enabled is not False
    yield Value("migrations.cleanup.enabled", enabled, {"type": "boolean"}, "Whether a finished migration is removed.")
    yield _of("migrations.cleanup.image", CleanupProps, "image", cleanup.image)
    yield from _pod("migrations.cleanup.", CleanupProps, cleanup)


def _pod(prefix: str, kind: type, pod: Any) -> Iterator[Value]:
    resources = {"requests": dict(pod.resources.requests), "limits": dict(pod.resources.limits)}
    yield attrs.evolve(_of(f"{prefix}resources", kind, "resources", resources), schema=_OBJECT)
    yield _of(f"{prefix}podAnnotations", kind, "pod_annotations", dict(pod.pod_annotations))
    yield _of(f"{prefix}nodeSelector", kind, "node_selector", dict(pod.node_selector))
    tolerations = [toleration.manifest() for toleration in pod.tolerations]
    yield attrs.evolve(_of(f"{prefix}tolerations", kind, "tolerations", tolerations), schema=_LIST)
    yield _of(f"{prefix}affinity", kind, "affinity", dict(pod.affinity))
    yield _of(f"{prefix}priorityClassName", kind, "priority_class_name", pod.priority_class_name)


def _of(path: str, kind: type, field: str, default: Any) -> Value:
    """A value that stands for a field of the props, with its schema and the first sentence under it."""
    text = for_files(field_texts(kind).get(field, "")).split(" Default")[0]
    schema = field_schema(kind, field)
    if "anyOf" not in schema:
        return Value(path, default, schema, text)
    # In a chart, no value is an empty text: Helm takes null for a wish to have the key removed.
    given = [option for option in schema["anyOf"] if option != {"type": "null"}]
    return Value(path, default or "", {"anyOf": [*given, {"const": ""}]}, text)


# ---------------------------------------------------------------- files


def values_yaml(values: list[Value]) -> str:
    """values.yaml: each value with what it means above it."""
    head = f"# {MARK}\n# What can be set when the chart is installed. Without a change it is what it was written for."
    return "\n".join([head, *_lines(values, "", "")]) + "\n"


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
    """Values by the next part of their paths, those that go deeper together."""
    found: dict[str, Any] = {}
    for value in values:
        name, _, deeper = value.path.removeprefix(prefix).partition(".")
        if deeper:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def values_schema(values: list[Value]) -> str:
    """values.schema.json: a misspelt value, or one that cannot be, stops Helm before anything is applied."""
    root = {"$comment": MARK, "$schema": "http://json-schema.org/draft-07/schema#", **_schema(values, "")}
    # Helm hands the values that all charts share down under this name.
    root["properties"]["global"] = _OBJECT
    return json.dumps(root, indent=2, ensure_ascii=False) + "\n"


def _schema(values: list[Value], prefix: str) -> dict[str, Any]:
    properties = {
        name: {"description": inner.text, **inner.schema}
        if isinstance(inner, Value)
        else _schema(inner, f"{prefix}{name}.")
        for name, inner in _grouped(values, prefix).items()
    }
    # Helm takes a value that is set to null away.
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def nested(values: list[Value], prefix: str) -> Mapping[str, Any]:
    """The defaults under a prefix, as Helm sees them."""
    return {
        name: inner.default if isinstance(inner, Value) else nested(inner, f"{prefix}{name}.")
        for name, inner in _grouped([value for value in values if value.path.startswith(prefix)], prefix).items()
    }
