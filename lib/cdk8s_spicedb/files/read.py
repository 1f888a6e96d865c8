"""Reads a SpiceDB from YAML files."""

from __future__ import annotations

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


@frozen
class Destination:
    """Where a SpiceDB belongs, as its file says: keys of a file that are no props, because a chart has neither."""

    namespace: str | None = None
    """Namespace of the release. The commands for a live release use it, and refuse another ``--namespace``. Defaults to
    the one of ``--namespace`` or of the kubeconfig. ``synth`` does not write it: what applies the output chooses it."""
    context: str | None = None
    """Context of the kubeconfig with the cluster of the release. The commands for a live release use it, and refuse
    another ``--context``. Defaults to the one of ``--context``, or to the current one."""


DESTINATION = tuple(attrs.fields_dict(Destination))


def destination_of(found: Document) -> Destination:
    """Where a document says that its SpiceDB belongs. Raises `InvalidProps` if that is not text."""
    data = found.data if isinstance(found.data, dict) else {}
    given = {name: data[name] for name in DESTINATION if data.get(name) is not None}
    problems = [
        Problem(name, str(value), f"the name of a {name}", f"write it as text, such as {name}: authz")
        for name, value in given.items()
        if not isinstance(value, str) or not value
    ]
    if problems:
        raise InvalidProps(_subject(found), [_located(each, found) for each in problems])
    return Destination(**given)


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
    replaced: list[str] = []
    data = _merged(first.data, later.data, (), replaced)
    places = {path: place for path, place in first.places.items() if not f"{path}.".startswith(tuple(replaced))}
    places |= {path: place for path, place in later.places.items() if path}
    both = isinstance(first.data.get(_DATASTORE), dict) and isinstance(later.data.get(_DATASTORE), dict)
    engine = later.places.get(f"{_DATASTORE}.{_ENGINE}") if both and f"{_DATASTORE}." in replaced else first.engine
    return Document(names, data, places, engine)


def _merged(
    first: Mapping[Any, Any], later: Mapping[Any, Any], path: tuple[str, ...], replaced: list[str]
) -> dict[Any, Any]:
    """A merged mapping. Adds the paths of the parts that are not merged, each with a dot at its end."""
    found = dict(first)
    for key, value in later.items():
        inner, before = (*path, str(key)), found.get(key)
        if isinstance(value, dict) and isinstance(before, dict) and not _other_datastore(inner, before, value):
            found[key] = _merged(before, value, inner, replaced)
            continue
        replaced.append(".".join((*inner, "")))
        if value is None and key in found:
            del found[key]
        else:
            found[key] = value
    return found


def _other_datastore(path: tuple[str, ...], before: Mapping[Any, Any], after: Mapping[Any, Any]) -> bool:
    both = _ENGINE in before and _ENGINE in after
    return path == (_DATASTORE,) and both and before[_ENGINE] != after[_ENGINE]


_YAML = {"None": "null", "True": "true", "False": "false"}


def in_yaml(text: str) -> str:
    """A text of a message with its placeholders in the words of files."""
    return PLACEHOLDER.sub(
        lambda found: found["yaml"] or yaml_word(found["name"]) + (": " if found["equals"] else ""), text
    )


def yaml_word(name: str) -> str:
    """A constant or the name of a field, as files have it."""
    return _YAML.get(name, camel(name))


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
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if key not in DESTINATION}
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
    problems = sorted(type_.check(draft, ""), key=lambda problem: _order(problem, found))
    if problems:
        raise InvalidProps(_subject(found), [_located(each, found) for each in problems])
    return draft.build()


def _subject(found: Document) -> str:
    *names, last = found.names
    return f"{', '.join(names)} and {last}" if names else last


def _place(problem: Problem, found: Document) -> Place | None:
    """Where a field is written, or its nearest part that is there."""
    path = _path(problem)
    while path and path not in found.places:
        path = path.rpartition(".")[0]
    return found.places.get(path)


def _path(problem: Problem) -> str:
    return problem.field.replace("[", ".").replace("]", "")


def _order(problem: Problem, found: Document) -> tuple[int, int]:
    place = _place(problem, found)
    return (found.names.index(place.name), place.line) if place else (0, 0)


def _located(problem: Problem, found: Document) -> Problem:
    """A problem in the words of files, with its place, and why other settings of the datastore do not count."""
    first = _path(problem).partition(".")[0]
    place = _place(problem, found) if first in found.places else None
    where = f"line {place.line}" if place else ""
    if place and len(found.names) > 1:
        where = f"{place.name}, {where}"
    field, fix = problem.field or "the file", in_yaml(problem.fix)
    if found.engine and first == _DATASTORE:
        fix += f"; {found.engine.name} names another engine, so the datastore of earlier files does not count"
    value, allowed = _YAML.get(problem.value, problem.value), in_yaml(problem.allowed)
    return Problem(f"{field} ({where})" if where else field, value, allowed, fix)
