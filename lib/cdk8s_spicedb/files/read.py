"""Reads a SpiceDB from YAML files."""

from __future__ import annotations

import re
from typing import Any, cast

import attrs

from ..errors import InvalidProps, Problem
from ..props import SpiceDBProps
from ..props.annotations import UNKNOWN, Partial, kind_of
from ..props.chart import ChartMetadata
from ..props.kinds import Invalid, Kind
from ..releases import ReleaseTable
from .merge import Document, Place, document
from .words import for_files

_WORDS = {"None": "null", "True": "true", "False": "false"}


def read_props(
    text: str, name: str, *, delivery: str | None = None, releases: ReleaseTable | None = None
) -> SpiceDBProps:
    """The props in a YAML text. ``name`` is its name in errors. See `props_of`."""
    return props_of(document(text, name), delivery=delivery, releases=releases)


def props_of(found: Document, *, delivery: str | None = None, releases: ReleaseTable | None = None) -> SpiceDBProps:
    """The props in a document.

    Keys are the names of the props in camel case, the datastore's engine is ``datastore.engine``, and durations are
    written as ``90s`` or ``1h30m``. ``delivery`` takes precedence over the document's. ``releases`` are the known
    releases, by default the table of this package. Raises `InvalidProps` with every problem, each with its path and
    line, and with its file if there are several.
    """
    data = found.data
    if delivery is not None and isinstance(data, dict):
        data = {**data, "delivery": delivery}
    kind = kind_of(SpiceDBProps)
    props = kind.convert(data)
    if releases is not None and not isinstance(props, Invalid):
        if isinstance(props, Partial):
            props = attrs.evolve(props, values={**props.values, "releases": releases})
        else:
            props = attrs.evolve(props, releases=releases)
    return cast(SpiceDBProps, _checked(kind, props, found))


def metadata_of(found: Document) -> ChartMetadata:
    """Who distributes a chart, from a document. Raises `InvalidProps` with every problem."""
    kind = kind_of(ChartMetadata)
    return cast(ChartMetadata, _checked(kind, kind.convert(found.data), found))


def _checked(kind: Kind, value: Any, found: Document) -> Any:
    """A value of a document. Raises `InvalidProps` with every problem."""
    problems = [_in_file(problem) for problem in kind.problems(value, "")]
    if problems:
        problems.sort(key=lambda problem: _order(_place(problem.field, found), found))
        raise InvalidProps(_subject(found), [_located(each, found) for each in problems])
    return value


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


def _subject(found: Document) -> str:
    *names, last = found.names
    return f"{', '.join(names)} and {last}" if names else last


def _segments(field: str) -> list[str]:
    return field.replace("[", ".").replace("]", "").split(".")


def _place(field: str, found: Document) -> Place | None:
    """Where a path is written, or its nearest part that is there."""
    path = ".".join(_segments(field))
    while path and path not in found.places:
        path = path.rpartition(".")[0]
    return found.places.get(path)


def _order(place: Place | None, found: Document) -> tuple[int, int]:
    return (found.names.index(place.name), place.line) if place else (0, 0)


def _located(problem: Problem, found: Document) -> Problem:
    """A problem with the place of its field, and why other settings of the datastore do not count."""
    field, first = problem.field, _segments(problem.field)[0]
    place = _place(field, found) if first in found.places else None
    where = "" if place is None else f"line {place.line}"
    if place is not None and len(found.names) > 1:
        where = f"{place.name}, {where}"
    fix = problem.fix
    if found.engine is not None and first == "datastore":
        fix += f"; {found.engine.name} names another engine, so the datastore of earlier files does not count"
    return attrs.evolve(problem, field=f"{field or 'the file'} ({where})" if where else field or "the file", fix=fix)
