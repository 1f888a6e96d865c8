"""Merges files: a later one changes what earlier ones set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

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
