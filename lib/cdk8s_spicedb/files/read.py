"""Reads a SpiceDB from a YAML file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import attrs

from ..errors import InvalidProps, Problem
from ..props import SpiceDBProps
from ..props.annotations import UNKNOWN, Partial, kind_of
from ..props.kinds import Invalid
from ..releases import ReleaseTable
from .words import for_files
from .yaml import load

_WORDS = {"None": "null", "True": "true", "False": "false"}


def read_props(
    text: str, name: str, *, delivery: str | None = None, releases: ReleaseTable | None = None
) -> SpiceDBProps:
    """The props in a YAML text. ``name`` is its name in errors.

    Keys are the names of the props in camel case, the datastore's engine is ``datastore.engine``, and durations are
    written as ``90s`` or ``1h30m``. ``delivery`` takes precedence over the text's. ``releases`` are the known releases,
    by default the table of this package. Raises `InvalidProps` with every problem, each with its path and line, and
    `SpiceDBError` if the text is not YAML.
    """
    data, lines = load(text, name)
    if delivery is not None and isinstance(data, dict):
        data["delivery"] = delivery
    kind = kind_of(SpiceDBProps)
    props = kind.convert(data)
    if releases is not None and not isinstance(props, Invalid):
        if isinstance(props, Partial):
            props = attrs.evolve(props, values={**props.values, "releases": releases})
        else:
            props = attrs.evolve(props, releases=releases)
    found = [_in_file(problem) for problem in kind.problems(props, "")]
    if found:
        found.sort(key=lambda problem: _line(problem.field, lines) or 0)
        raise InvalidProps(name, [attrs.evolve(each, field=_located(each.field, lines)) for each in found])
    return cast(SpiceDBProps, props)


def _in_file(problem: Problem) -> Problem:
    field, end = problem.field, ""
    if problem.value == UNKNOWN:
        field, *rest = problem.field.rpartition(".")
        end = "".join(rest)
    # The parts in brackets, and an unknown key, are the user's own.
    parts = re.split(r"(\[.*?\])", field)
    field = "".join(part if part.startswith("[") else for_files(part) for part in parts) + end
    value = _WORDS.get(problem.value, problem.value)
    return Problem(field, value, for_files(problem.allowed), for_files(problem.fix))


def _segments(field: str) -> list[str]:
    return field.replace("[", ".").replace("]", "").split(".")


def _line(field: str, lines: Mapping[str, int]) -> int | None:
    """The line of a path, or of its nearest part that is there."""
    path = ".".join(_segments(field))
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path)


def _located(field: str, lines: Mapping[str, int]) -> str:
    line = _line(field, lines)
    return f"{field or 'the file'} (line {line})" if line and _segments(field)[0] in lines else field or "the file"
