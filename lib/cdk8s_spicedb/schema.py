"""Props as JSON Schema, with what is written under each field."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from enum import Enum
from functools import cache
from itertools import pairwise
from typing import Any, cast

import attrs

from .checks import Schema, class_of, schema_of
from .datastore.base import Datastore
from .datastore.engines import ENGINES
from .props import SpiceDBProps

DURATION = r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+"
"""Durations as SpiceDB and Kubernetes write them: ``90s``, ``1h30m``."""


def camel(name: str) -> str:
    """A field's name as files have it: ``log_level`` is ``logLevel``."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def props_schema() -> Schema:
    """The JSON Schema of a file that holds `SpiceDBProps`."""
    found: dict[str, Schema] = {}

    def refer(kind: type) -> Schema:
        if kind.__name__ not in found:
            found[kind.__name__] = {}
            found[kind.__name__] = _of_class(kind, refer)
        return {"$ref": f"#/$defs/{kind.__name__}"}

    root = _of_class(SpiceDBProps, refer)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "SpiceDB on Kubernetes"}
    return {**head, **root, "$defs": found}


def field_schema(kind: type, name: str) -> Schema:
    """The JSON Schema of one field, complete in itself."""
    setting = cast("attrs.Attribute[Any]", getattr(attrs.fields(cast(Any, kind)), name))
    return resolved(setting.metadata)


def resolved(metadata: Mapping[str, Any]) -> Schema:
    """The JSON Schema of a check, complete in itself."""

    def inline(kind: type) -> Schema:
        return _of_class(kind, inline)

    return cast(Schema, _with_kinds(schema_of(metadata), inline))


def settings(kind: type) -> Iterator[attrs.Attribute[Any]]:
    """The fields that a file can set; what is known of releases is given in Python alone."""
    return (setting for setting in attrs.fields(cast(Any, kind)) if setting.name != "releases")


@cache
def field_texts(kind: type) -> Mapping[str, str]:
    """What is written under each field, by its name; nothing where there are no sources."""
    found: dict[str, str] = {}
    for owner in kind.__mro__:
        for field, text in _under_fields(owner) if attrs.has(owner) else ():
            found.setdefault(field, text)
    return found


def _under_fields(kind: type) -> Iterator[tuple[str, str]]:
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except OSError:
        return
    body = cast(ast.ClassDef, node).body
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            yield cast(ast.Name, field.target).id, " ".join(str(text.value.value).split())


def for_files(text: str) -> str:
    """A text about props in the words of a file: names of fields as files have them, no Python."""
    for pattern, words in _PYTHON.items():
        text = re.sub(pattern, words, text)
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda match: camel(match[0]), text)


_PYTHON = {
    "``": "`",
    r"\bTrue\b": "true",
    r"\bFalse\b": "false",
    r"\bNone\b": "null",
    r"a tuple or list\b": "a list",
    r"a datetime\.timedelta\b": "a duration",
    r"\ba str\b": "a text",
    r"timedelta\(minutes=(\d+)\)": r"\1m",
    r"timedelta\(seconds=(\d+)\)": r"\1s",
    r"SecretKey\('([^']+)', '([^']+)'\)": r"{name: \1, key: \2}",
    r"SecretKey\([^)]*\)": "{name: …, key: …}",
    r"\bToleration\(([^)]*)\)": r"{\1}",
    r"(?<=[a-z])=(?=\{name|true|false|null|')": ": ",
}


def _of_class(kind: type, refer: Callable[[type], Schema]) -> Schema:
    if kind is timedelta:
        return {"type": "string", "pattern": f"^{DURATION}$"}
    if issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if kind is Datastore:
        return {"oneOf": [_of_engine(engine, refer) for engine in ENGINES.items()]}
    return _of_fields(kind, refer)


def _of_engine(engine: tuple[str, type[Datastore]], refer: Callable[[type], Schema]) -> Schema:
    name, kind = engine
    schema = _of_fields(kind, refer)
    properties = {"engine": {"const": name}, **schema["properties"]}
    return {**schema, "title": kind.__name__, "properties": properties, "required": ["engine"]}


def _of_fields(kind: type, refer: Callable[[type], Schema]) -> Schema:
    texts = field_texts(kind)
    properties = {
        camel(setting.name): {
            "description": for_files(texts.get(setting.name, "")),
            **_with_kinds(schema_of(setting.metadata), refer),
        }
        for setting in settings(kind)
    }
    required = [camel(setting.name) for setting in settings(kind) if setting.default is attrs.NOTHING]
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _with_kinds(schema: Any, refer: Callable[[type], Schema]) -> Any:
    """A schema with the schemas of the classes in it."""
    if isinstance(schema, dict):
        if "kind" in schema:
            return refer(class_of(schema["kind"]))
        return {key: _with_kinds(value, refer) for key, value in schema.items()}
    return [_with_kinds(value, refer) for value in schema] if isinstance(schema, list) else schema
