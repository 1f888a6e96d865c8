"""values.yaml and values.schema.json of a chart."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from ..files.folder import MARK
from ..files.yaml import dump
from ..props.fieldtypes import Schema
from .values import Value

_GLOBAL: Schema = {
    "description": "Values that all charts of a release share. This chart reads imageRegistry alone, the registry of "
    "all images.",
    "type": "object",
    "properties": {"imageRegistry": {"type": "string"}},
}
_ENABLED: Schema = {
    "description": "For the condition of a chart that depends on this one. Without a condition, false is an error.",
    "const": True,
}


def values_yaml(values: list[Value]) -> str:
    """values.yaml: each value below its documentation."""
    text = "Set these values when you install or upgrade. Each default is the setting with which the chart was written."
    return f"# {MARK}\n# {text}\n" + "\n".join(_lines(values, "", "")) + "\n"


def _lines(values: list[Value], prefix: str, indent: str) -> Iterator[str]:
    for name, inner in _grouped(values, prefix).items():
        yield from [""] if not indent else []
        if isinstance(inner, Value):
            yield from _comment(inner.text, f"{indent}# ")
            yield textwrap.indent(dump({name: inner.default}).rstrip(), indent)
        else:
            yield f"{indent}{name}:"
            yield from _lines(inner, f"{prefix}{name}.", f"{indent}  ")


@lru_cache(maxsize=1_000)
def _comment(text: str, start: str) -> Sequence[str]:
    """The lines of a comment. Many charts have the same comments, and wrapping them takes time."""
    return textwrap.wrap(text, 118, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


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
    # Helm passes these values to the charts on which another chart depends.
    root["properties"] |= {"global": _GLOBAL, "enabled": _ENABLED}
    return json.dumps(root, indent=2, ensure_ascii=False) + "\n"


def _schema(values: list[Value], prefix: str) -> dict[str, Any]:
    properties = {
        name: {"description": inner.text, **inner.schema}
        if isinstance(inner, Value)
        else _schema(inner, f"{prefix}{name}.")
        for name, inner in _grouped(values, prefix).items()
    }
    # Helm removes a value that is set to null.
    required = [
        name for name, inner in _grouped(values, prefix).items() if not (isinstance(inner, Value) and inner.optional)
    ]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
