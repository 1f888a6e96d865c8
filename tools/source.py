"""Props as Python source: those settings that a ``spicedb.yaml`` has."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import attrs

import cdk8s_spicedb
from cdk8s_spicedb import Datastore, SpiceDBProps
from cdk8s_spicedb.props.fields import camel, short_form
from tools.parts import is_complete

_WIDTH = 80
"""Columns that fit beside the table of contents."""
_STANDARD = {"datetime": ("datetime", "timedelta", "timezone")}
"""Modules of the standard library, and what props need of them."""
MISSING = "..."
"""Stands for a required prop that a part of a file does not have."""


def python_of(data: Mapping[str, Any], props: SpiceDBProps) -> str:
    """The Python source of a part of a file, and of the props that it means. Only a complete one has imports."""
    complete = is_complete(data)
    # A comma at the end makes ruff write one prop in each line.
    call = f"props = {_call(props, data, [] if complete or 'datastore' in data else ['datastore'], end=',')}\n"
    return _formatted(f"{_imports(call)}\n{call}" if complete else call)


def _imports(text: str) -> str:
    """The imports of the names in a source, as ruff sorts them: constants first."""
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    modules = {**_STANDARD, "cdk8s_spicedb": tuple(cdk8s_spicedb.__all__)}
    lines = []
    for module, known in modules.items():
        names = sorted(used & set(known), key=lambda name: (not name.isupper(), name))
        lines += [f"from {module} import {', '.join(names)}\n"] if names else []
    return "\n".join(lines)


def _formatted(source: str) -> str:
    command = ["ruff", "format", "--line-length", str(_WIDTH), "--stdin-filename", "spicedb.py", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout


def _call(props: Any, data: Mapping[str, Any], missing: Iterable[str] = (), end: str = "") -> str:
    """The call that makes props, with the fields that the file has. ``missing`` are required ones that it lacks."""
    kind: Any = type(props)
    if short_form(kind) in data:
        return f"{kind.__name__}.{kind.short}({data[short_form(kind)]!r})"
    fields = {camel(field.name): field for field in attrs.fields(kind)}
    named = [key for key in data if key in fields and fields[key].kw_only]
    given = [f"{name}={MISSING}" for name in missing]
    for key in [*(key for key, field in fields.items() if not field.kw_only), *named]:
        text = _text(getattr(props, fields[key].name), data[key])
        given.append(f"{fields[key].name}={text}" if key in named else text)
    return f"{kind.__name__}({', '.join(given)}{end if len(given) > 1 else ''})"


def _text(value: Any, data: Any) -> str:
    """A value as Python, beside what the file has for it."""
    if attrs.has(type(value)) and not isinstance(value, type):
        partial_datastore = isinstance(value, Datastore) and "engine" not in data
        return _call(value, data, ["uri"] if partial_datastore and "uri" not in data else [])
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, datetime):
        return repr(value).replace("datetime.", "")
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_text(each, data[key])}' for key, each in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_text(each, one) for each, one in zip(value, data, strict=True))}]"
    if isinstance(value, str) and "\n" in value and '"""' not in value and "\\" not in value:
        return f'"""\\\n{value}"""'
    return repr(value)


def _duration(value: timedelta) -> str:
    """A duration in the units that it has."""
    seconds, parts = value.total_seconds(), dict[str, float]()
    for unit, size in {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}.items():
        parts[unit], seconds = divmod(seconds, size) if unit != "seconds" else (seconds, 0)
    return f"timedelta({', '.join(f'{unit}={count:g}' for unit, count in parts.items() if count)})"
