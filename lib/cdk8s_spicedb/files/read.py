"""Reads a SpiceDB from YAML files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import attrs
from attrs import frozen

from ..errors import InvalidProps, Problem
from ..props import SpiceDBProps
from ..props.chart import ChartMetadata
from ..props.fields import Draft, camel, type_of
from ..props.fieldtypes import PLACEHOLDER, FieldType
from ..versions import ReleaseTable
from .yaml import load

_ENGINE = "engine"
_DATASTORE = "datastore"


@frozen
class Place:
    """Where a value is written."""

    name: str
    """Name of the file."""
    line: int
    """Line in the file, from 1."""


@frozen
class Document:
    """The value of one file, or of several merged ones."""

    names: tuple[str, ...]
    """Names of the files, in their order."""
    data: Any
    """The value, as `yaml.safe_load` returns it."""
    places: Mapping[str, Place]
    """Where each part is written, by its dotted path. Also where a part is removed."""
    engine: Place | None = None
    """Where a later file names another engine than the files before it."""


def document(text: str, name: str) -> Document:
    """The document of a YAML text. Raises `SpiceDBError` if the text is not YAML."""
    data, lines = load(text, name)
    return Document((name,), data, {path: Place(name, line) for path, line in lines.items()})


def merge(first: Document, later: Document) -> Document:
    """A document with the changes of a later one.

    Mappings are merged. Every other value, such as a list, is replaced as a whole. ``null`` removes the key, so that
    the setting has its default again. A datastore with another engine replaces the whole datastore, because the
    settings of one engine mean nothing to another.
    """
    names = first.names + later.names
    if not isinstance(first.data, dict) or not isinstance(later.data, dict):
        wrong = later if isinstance(first.data, dict) else first
        return Document(names, wrong.data, wrong.places)
    places = dict(first.places)
    data = _merged(first.data, later.data, (), places, later.places)
    engine = later.places.get(f"{_DATASTORE}.{_ENGINE}") if _another_engine(first.data, later.data) else first.engine
    return Document(names, data, places, engine)


def _merged(
    first: Mapping[Any, Any],
    later: Mapping[Any, Any],
    path: tuple[str, ...],
    places: dict[str, Place],
    added: Mapping[str, Place],
) -> dict[Any, Any]:
    """A merged mapping. Also merges the places of its parts."""
    found = dict(first)
    for key, value in later.items():
        inner = (*path, str(key))
        before = found.get(key)
        if value is None and key in found:
            del found[key]
            _replace(".".join(inner), places, added)
        elif isinstance(value, dict) and isinstance(before, dict) and not _other_datastore(inner, before, value):
            # What is wrong with a merged mapping as a whole, the last change to it shows best.
            places[".".join(inner)] = added[".".join(inner)]
            found[key] = _merged(before, value, inner, places, added)
        else:
            found[key] = value
            _replace(".".join(inner), places, added)
    return found


def _replace(path: str, places: dict[str, Place], added: Mapping[str, Place]) -> None:
    """Replaces the places of a part, and of all parts in it."""
    inside = f"{path}."
    for old in [each for each in places if each == path or each.startswith(inside)]:
        del places[old]
    places.update({each: place for each, place in added.items() if each == path or each.startswith(inside)})


def _another_engine(first: Mapping[Any, Any], later: Mapping[Any, Any]) -> bool:
    before, after = first.get(_DATASTORE), later.get(_DATASTORE)
    return isinstance(before, dict) and isinstance(after, dict) and _other_datastore((_DATASTORE,), before, after)


def _other_datastore(path: tuple[str, ...], before: Mapping[Any, Any], after: Mapping[Any, Any]) -> bool:
    both = _ENGINE in before and _ENGINE in after
    return path == (_DATASTORE,) and both and before[_ENGINE] != after[_ENGINE]


_YAML = {"None": "null", "True": "true", "False": "false"}


def in_yaml(text: str) -> str:
    """A text of a message with its placeholders in the words of files."""
    return PLACEHOLDER.sub(_yaml_word, text)


def _yaml_word(found: re.Match[str]) -> str:
    if found["yaml"]:
        return found["yaml"]
    name = found["name"]
    return _YAML.get(name, camel(name)) + (": " if found["equals"] else "")


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
    type_ = type_of(SpiceDBProps)
    draft = type_.read(data)
    if releases is not None and isinstance(draft, Draft):
        draft = attrs.evolve(draft, values={**draft.values, "releases": releases})
    return cast(SpiceDBProps, _built(type_, draft, found))


def metadata_of(found: Document) -> ChartMetadata:
    """Who distributes a chart, from a document. Raises `InvalidProps` with every problem."""
    type_ = type_of(ChartMetadata)
    return cast(ChartMetadata, _built(type_, type_.read(found.data), found))


def _built(type_: FieldType, draft: Any, found: Document) -> Any:
    """The props of a document. Raises `InvalidProps` with every problem."""
    problems = [_in_yaml(problem) for problem in type_.check(draft, "")]
    if problems:
        problems.sort(key=lambda problem: _order(_place(problem.field, found), found))
        raise InvalidProps(_subject(found), [_located(each, found) for each in problems])
    return draft.build()


def _in_yaml(problem: Problem) -> Problem:
    value = _YAML.get(problem.value, problem.value)
    return Problem(problem.field, value, in_yaml(problem.allowed), in_yaml(problem.fix))


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
