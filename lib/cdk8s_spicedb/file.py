"""A SpiceDB in a YAML file: the same props, without Python."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, cast, get_args, get_origin

import attrs
from cattrs import (
    ClassValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from .checks import hide, problems, show
from .datastore.base import Datastore
from .datastore.engines import ENGINES
from .errors import InvalidProps, Problem
from .load import load
from .props import SpiceDBProps, client, exposure, network, patch
from .schema import DURATION, camel, for_files, settings
from .secret import SecretKey

_NAMES = {**vars(client), **vars(exposure), **vars(network), **vars(patch)}
"""What props are annotated with and do not import."""
_YAML = {"None": "null", "True": "true", "False": "false"}
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


class _Refused(Exception):  # noqa: N818 (says what is wrong, not that it is)
    """A value that cannot become a prop; the path comes from where it is raised."""

    def __init__(self, value: object, allowed: str, fix: str, *, key: str = "", shown: bool = True) -> None:
        super().__init__(allowed)
        self.value, self.allowed, self.fix, self.key = show(value) if shown else hide(value), allowed, fix, key


def read_props(text: str, name: str, *, delivery: str | None = None) -> SpiceDBProps:
    """The props that a YAML text holds; ``name`` is what its errors call it, ``delivery`` counts more than the text's.

    Keys are the names of the props in camel case, the datastore's engine is ``datastore.engine``, and durations are
    written as ``90s`` or ``1h30m``. Raises `InvalidProps` with every problem, each with its path and line, and
    `SpiceDBError` when it is no YAML.
    """
    data, lines = load(text, name)
    if delivery is not None and isinstance(data, dict):
        data["delivery"] = delivery
    try:
        props = _converter().structure(data, SpiceDBProps)
        found = [_in_file(problem) for problem in problems(props)]
    except (ClassValidationError, _Refused) as error:
        found = list(_structural(error, ""))
        found += _rest(data, found)
    if found:
        found.sort(key=lambda problem: _line(problem.field, lines) or 0)
        raise InvalidProps(name, [attrs.evolve(each, field=_located(each.field, lines)) for each in found])
    return props


def _rest(data: Any, found: Sequence[Problem]) -> list[Problem]:
    """What else is wrong, apart from the parts of the file that could not be read."""
    unread = {_segments(problem.field)[0] for problem in found}
    try:
        kept = {key: value for key, value in data.items() if str(key) not in unread}
        # So that the rest can be looked at without it.
        kept.setdefault("datastore", {"engine": "postgres", "uri": {"name": "spicedb", "key": "uri"}})
        props = _converter().structure(kept, SpiceDBProps)
    except (AttributeError, ClassValidationError, _Refused):
        return []
    rest = [_in_file(problem) for problem in problems(props)]
    return [problem for problem in rest if _segments(problem.field)[0] not in unread]


# ---------------------------------------------------------------- values into props


@cache
def _converter() -> Converter:
    """Only the structure is made here; what does not fit it stays, for the props' own checks to refuse."""
    converter = Converter()
    for kind in (str, int, float, bool, datetime):
        converter.register_structure_hook(kind, lambda value, _: value)
    converter.register_structure_hook_func(lambda kind: kind == int | str, lambda value, _: value)
    converter.register_structure_hook_factory(attrs.has, lambda kind: _class(kind, converter))
    converter.register_structure_hook_func(lambda kind: isinstance(kind, type) and issubclass(kind, Enum), _member)
    converter.register_structure_hook(timedelta, _duration)
    converter.register_structure_hook_func(
        lambda kind: kind == str | SecretKey,
        lambda value, _: converter.structure(value, SecretKey) if isinstance(value, Mapping) else value,
    )
    converter.register_structure_hook_func(
        _is(Sequence),
        # As tuples, as the props' defaults are.
        lambda value, kind: (
            converter.structure(value, cast(Any, tuple)[get_args(kind)[0], ...]) if isinstance(value, list) else value
        ),
    )
    converter.register_structure_hook_func(
        _is(Mapping),
        lambda value, kind: (
            converter.structure(value, cast(Any, dict)[get_args(kind)]) if isinstance(value, dict) else value
        ),
    )
    converter.register_structure_hook_func(
        lambda kind: kind is Datastore, lambda value, _: _datastore(value, converter)
    )
    return converter


def _is(origin: object) -> Callable[[Any], bool]:
    return lambda kind: get_origin(kind) is origin


def _class(kind: type, converter: Converter) -> Any:
    attrs.resolve_types(cast(Any, kind), localns=_NAMES)
    names: dict[str, Any] = {setting.name: override(rename=camel(setting.name)) for setting in settings(kind)}
    rest = {setting.name: override(omit=True) for setting in attrs.fields(cast(Any, kind)) if setting.name not in names}
    options: dict[str, Any] = {"_cattrs_forbid_extra_keys": True, "_cattrs_detailed_validation": True}
    structure = cast(Any, make_dict_structure_fn)(cast(Any, kind), converter, **options, **names, **rest)

    def read(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping):
            keys = ", ".join(override.rename for override in names.values())
            fix = "write its keys on the lines below, indented, or leave it out"
            if kind is SecretKey:
                fix = "put the value into a Secret and name it: {name: my-secret, key: my-key}"
            raise _Refused(value, f"a mapping with the keys {keys}", fix, shown=False)
        return structure(value, kind)

    return read


def _member(value: Any, kind: Any) -> Any:
    values = [member.value for member in kind]
    if value not in values:
        raise _Refused(value, ", ".join(values), "write one of these exactly")
    return kind(value)


def _duration(value: Any, _: Any) -> timedelta:
    if not isinstance(value, str) or not re.fullmatch(DURATION, value):
        raise _Refused(value, "a duration, such as 90s or 1h30m", "write a number with its unit: ms, s, m or h")
    seconds = sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"([\d.]+)(ms|s|m|h)", value))
    # What is longer than any timedelta is too long for every prop, and they say what they take.
    return timedelta(seconds=seconds) if seconds < timedelta.max.total_seconds() else timedelta.max


def _datastore(value: Any, converter: Converter) -> Datastore:
    engine = value.get("engine") if isinstance(value, Mapping) else None
    if not isinstance(engine, str) or engine not in ENGINES:
        fix = "choose one; memory is for trying SpiceDB out"
        raise _Refused(engine, ", ".join(ENGINES), fix, key="engine")
    rest = {key: item for key, item in value.items() if key != "engine"}
    return converter.structure(rest, ENGINES[engine])


# ---------------------------------------------------------------- problems


def _structural(error: BaseException, path: str) -> Iterator[Problem]:
    """The problems in what cattrs raises."""
    if isinstance(error, (ClassValidationError, IterableValidationError)):
        located, others = error.group_exceptions()
        for inner, note in located:
            step = f"[{note.index}]" if isinstance(note, IterableValidationNote) else f".{camel(note.name)}"
            yield from _structural(inner, f"{path}{step}".lstrip("."))
        for inner in others:
            yield from _structural(inner, path)
    elif isinstance(error, ForbiddenExtraKeysError):
        yield from (_unknown(str(key), error.cl, path) for key in sorted(error.extra_fields, key=str))
    elif isinstance(error, _Refused):
        value = _YAML.get(error.value, error.value)
        yield Problem(".".join(filter(None, (path, error.key))), value, error.allowed, error.fix)
    elif isinstance(error, KeyError):
        missing = "a value: there is no default that fits everybody"
        yield Problem(path, "(missing)", missing, "add it; `cdk8s-spicedb schema` tells what it takes")
    else:  # pragma: no cover (a mistake of ours, not of the file's)
        raise error


def _unknown(key: str, kind: type, path: str) -> Problem:
    known = [*(["engine"] if issubclass(kind, Datastore) else []), *(camel(setting.name) for setting in settings(kind))]
    near = difflib.get_close_matches(camel(key), known, 1, 0.5)
    fix = f"did you mean {near[0]}?" if near else "leave it out"
    return Problem(f"{path}.{key}".lstrip("."), "(unknown key)", ", ".join(known), fix)


def _in_file(problem: Problem) -> Problem:
    # What is in brackets is the user's own.
    field = "".join(part if part.startswith("[") else for_files(part) for part in re.split(r"(\[.*?\])", problem.field))
    value = _YAML.get(problem.value, problem.value)
    return Problem(field, value, for_files(problem.allowed), for_files(problem.fix))


def _segments(field: str) -> list[str]:
    return field.replace("[", ".").replace("]", "").split(".")


def _line(field: str, lines: Mapping[str, int]) -> int | None:
    """The line of a path, or of the nearest part of it that is there."""
    path = ".".join(_segments(field))
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path)


def _located(field: str, lines: Mapping[str, int]) -> str:
    line = _line(field, lines)
    return f"{field or 'the file'} (line {line})" if line and _segments(field)[0] in lines else field or "the file"
