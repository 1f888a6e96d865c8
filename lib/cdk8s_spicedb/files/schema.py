"""The JSON Schema of files, and the documentation of each field."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, cast

import attrs

from ..props import SpiceDBProps
from ..props.datastores import ENGINES, Datastore
from ..props.fields import camel, fields_of, settings, short_form, short_type
from ..props.fieldtypes import Refer, Schema
from .read import DESTINATION, Destination, yaml_word

OF_OTHERS = (
    "app_kubernetes_io_instance",
    "application_name",
    "from_secret",
    "grafana_dashboard",
    "round_robin",
    "track_commit_timestamp",
)
"""Names in docstrings that look like fields, but are not."""
_PYTHON = re.compile(rf"\b(?:None|True|False|(?!(?:{'|'.join(OF_OTHERS)})\b)[a-z]+(?:_[a-z]+)+)\b")


def props_schema() -> Schema:
    """The JSON Schema of a file with `SpiceDBProps`."""
    found: dict[str, Schema] = {}

    def refer(kind: type) -> Schema:
        if kind.__name__ not in found:
            found[kind.__name__] = {}
            found[kind.__name__] = _of_class(kind, refer)
        return {"$ref": f"#/$defs/{kind.__name__}"}

    root = _of_class(SpiceDBProps, refer)
    texts = field_texts(Destination)
    root["properties"] |= {
        name: {"description": for_files(texts.get(name, "")), "type": ["string", "null"], "minLength": 1}
        for name in DESTINATION
    }
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "SpiceDB on Kubernetes"}
    return {**head, **root, "$defs": found}


def field_schema(kind: type, name: str) -> Schema:
    """The JSON Schema of one field, complete in itself."""

    def inline(inner: type) -> Schema:
        return _of_class(inner, inline)

    return fields_of(kind)[name].schema(inline)


def _of_class(kind: type, refer: Refer) -> Schema:
    if kind is Datastore:
        return {"oneOf": [_of_engine(name, engine, refer) for name, engine in ENGINES.items()]}
    texts, types = field_texts(kind), fields_of(kind)
    properties = {
        camel(field.name): {"description": for_files(texts.get(field.name, "")), **types[field.name].schema(refer)}
        for field in settings(kind)
    }
    required = [camel(field.name) for field in settings(kind) if field.default is attrs.NOTHING]
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    schema |= {"required": required} if required else {}
    return {"oneOf": [schema, _short_schema(kind, refer)]} if short_form(kind) else schema


def _short_schema(kind: Any, refer: Refer) -> Schema:
    """The schema of the short form of a class."""
    key, text = short_form(kind), " ".join((inspect.getdoc(getattr(kind, kind.short)) or "").split())
    properties = {key: {"description": for_files(text), **short_type(kind).schema(refer)}}
    return {"type": "object", "properties": properties, "additionalProperties": False, "required": [key]}


def _of_engine(name: str, kind: type, refer: Refer) -> Schema:
    schema = _of_class(kind, refer)
    properties = {"engine": {"const": name}, **schema["properties"]}
    return {**schema, "title": kind.__name__, "properties": properties, "required": ["engine"]}


def for_files(docstring: str) -> str:
    """A docstring of a field in the words of files."""
    return _PYTHON.sub(lambda found: yaml_word(found[0]), docstring).replace("``", "`")


@cache
def field_texts(kind: type) -> Mapping[str, str]:
    """The docstring of each field, by its name. Empty without the source code."""
    found: dict[str, str] = {}
    for owner in kind.__mro__:
        for field, text in docstrings(owner) if attrs.has(owner) else ():
            found.setdefault(field, text)
    return found


def docstrings(kind: type) -> Iterator[tuple[str, str]]:
    """The name of each field of a class, or of each member of an enumeration, and the docstring below it."""
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except OSError:
        return
    for field, text in pairwise(cast(ast.ClassDef, node).body):
        if not isinstance(text, ast.Expr) or not isinstance(text.value, ast.Constant):
            continue
        if isinstance(field, (ast.AnnAssign, ast.Assign)):
            target = field.target if isinstance(field, ast.AnnAssign) else field.targets[0]
            yield cast(ast.Name, target).id, " ".join(str(text.value.value).split())
