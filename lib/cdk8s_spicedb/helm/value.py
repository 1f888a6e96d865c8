"""One value of a chart: its path, default, schema and documentation, and where the templates use it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any, cast

from attrs import evolve, frozen

from ..files.schema import field_schema, field_texts, for_files
from ..manifests.backup import FINISHES, PREPARES
from ..manifests.jobs import plain
from ..props import SpiceDBProps, config_map_keys, secret_keys
from ..props.fields import camel, type_of
from ..props.fieldtypes import Schema
from ..props.secrets import ConfigMapKey, SecretKey
from .places import Place

FULLNAME = "cdk8s-spicedb-fullname"
"""The name of the SpiceDB, which the value ``fullnameOverride`` can change."""
TEXT: Schema = {"type": "string"}
# From 1,000,000, Helm writes numbers as 1e+06.
COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 100_000}
OBJECT: Schema = {"type": "object"}
BOOLEAN: Schema = {"type": "boolean"}
LIST: Schema = {"type": "array", "items": OBJECT}


def objects_with(*fields: str, **others: Schema) -> Schema:
    """The schema of a list of objects, each with some fields that are texts, and perhaps others."""
    text = {**TEXT, "minLength": 1}
    properties = {**dict.fromkeys(fields, text), **others}
    return {"type": "array", "items": {**OBJECT, "required": list(fields), "properties": properties}}


PULL_SECRETS: Schema = {"type": "array", "items": {"type": ["object", "string"], "required": ["name"]}}
"""Names of Secrets, alone or as in a pod."""
POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"
BESIDE_ZED = (f"{POD}.initContainers.{PREPARES}", f"{POD}.containers.{FINISHES}")
"""The other containers of a backup."""
PATHS = {
    "server": "",
    "migration": "migrations.",
    "cleanup": "migrations.cleanup.",
    "schema": "schema.",
    "test": "test.",
    "backup": "backup.",
    "pods": "pods.",
}
"""With what the paths of the values begin that stand for a part of the props."""


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
    nullable: bool = False
    """Whether `templates` can do without it."""
    prop: str = ""
    """The prop that it stands for, such as ``server.replicas``."""
    renders: bool = False
    """Whether `templates` renders templates in its texts."""

    @property
    def optional(self) -> bool:
        """Whether it may be missing, as after a null in Helm."""
        return self.nullable or (bool(self.places) and all(place.optional for place in self.places))

    def with_templates(self) -> Value:
        """The value as a chart has it: its schema accepts templates where Helm renders them, and its default has none,
        because braces in props are text."""
        if not (self.renders or any(place.renders for place in self.places)):
            return self
        return evolve(self, default=_literal(self.default), schema=_with_templates(self.schema))


def _literal(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _literal(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return list(map(_literal, value))
    return value.replace("{{", '{{ "{{" }}') if isinstance(value, str) else value


def _with_templates(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    found = {
        name: [_with_templates(each) for each in inner] if name == "anyOf" else _with_templates(inner)
        for name, inner in schema.items()
    }
    if isinstance(found.get("pattern"), str) and found.get("type") == "string":
        return {"anyOf": [found, {"type": "string", "pattern": r"\{\{"}]}
    return found


def schema_of(annotation: Any) -> Schema:
    return type_of(annotation).schema(lambda _: {})


def or_empty(schema: Schema) -> Schema:
    """The schema of a value whose default is the empty text."""
    return {"anyOf": [schema, {"const": ""}]}


def value_of(
    props: SpiceDBProps,
    prop: str,
    place: Place | None = None,
    schema: Schema | None = None,
    empty: Any = "",
    *,
    path: str | None = None,
    note: str = "",
) -> Value:
    """A value that stands for a prop, which gives its path, default, schema and documentation.

    ``schema`` and ``path`` are for a value that needs others. ``empty`` is the default if the prop is None. ``note`` is
    a sentence after the prop's documentation.
    """
    part, *names = prop.split(".")
    *parts, name = part, *names
    owner: Any = reduce(getattr, parts, props)
    kind, default = cast(Any, type(owner)), plain(getattr(owner, name))
    schema = schema or field_schema(kind, name)
    text, _, meaning = for_files(field_texts(kind).get(name, "")).partition(" Defaults")
    if {"type": "null"} in schema.get("anyOf", ()):
        # A chart's value is never null: to Helm, null removes the key.
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]
        default, schema = "" if default is None else default, {"anyOf": [*options, {"const": ""}]}
    default = empty if default is None else default
    if default == "" and meaning:
        # An empty value means the default of the prop.
        text = f"{text} Defaults{meaning.partition('. ')[0].rstrip('.')}."
    path = path or PATHS[part] + ".".join(map(camel, names))
    return Value(path, default, schema, f"{text} {note}".rstrip(), (place,) if place else (), prop=prop)


def secrets(props: SpiceDBProps) -> dict[SecretKey, str]:
    """The name of the value for each Secret key."""
    return {key: name if name.startswith("env_") else camel(name) for key, name in secret_keys(props).items()}


def config_maps(props: SpiceDBProps) -> dict[ConfigMapKey, str]:
    """The name of the value for each key of a ConfigMap."""
    return {key: camel(name) for key, name in config_map_keys(props).items()}
