"""Reads the annotations of props: the one place that says what each field takes.

An annotation is a type with its limits, such as ``Annotated[int, Interval(ge=1, le=65535)] | None``. From it come the
checks, the JSON Schema, the reader of files and the reference. The limits are those of annotated-types and the ones
below; `types` has the annotations that several props share.

attrs' own validators are not used because they stop at the first problem.
"""

from __future__ import annotations

import difflib
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache, reduce
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
from annotated_types import Interval, Predicate, Unit
from attrs import evolve

from ..errors import InvalidProps, Problem
from .fieldtypes import PLAIN, Invalid, Kind, any_of, choice, mapping_of, nullable, redact, sequence_of, show, tested

# ---------------------------------------------------------------- limits


@attrs.frozen
class Message:
    """What errors say about a field or a class, where the type alone does not say it well."""

    allowed: str | None = None
    fix: str | None = None
    redacted: bool = False
    """Whether the value may be a secret. Errors then describe it and do not show it."""


@attrs.frozen
class Pattern:
    """A regular expression that the whole text matches, and what errors say about it."""

    regex: str
    allowed: str | None = None
    fix: str | None = None
    max_length: int = 253
    numbers: bool = False
    """Whether files may also give a number, which becomes a text."""


@attrs.frozen
class OneOf:
    """The texts that are allowed, where ``Literal`` would not accept a variable: in the keys of a mapping."""

    texts: tuple[str, ...]


@attrs.frozen
class Excluding:
    """Texts that are not allowed because this package sets them."""

    texts: tuple[str, ...]


class Opaque:
    """A value of the class is taken as it is. Files cannot give one."""


# ---------------------------------------------------------------- annotations to kinds


@cache
def kind_of(annotation: Any) -> Kind:
    """What a field with an annotation takes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        type_, *limits = arguments
        kind = tested(lambda value: isinstance(value, type_)) if Opaque in limits else kind_of(type_)
        return reduce(_limited, limits, kind)
    if origin in (Union, types.UnionType):
        options = [kind_of(argument) for argument in arguments if argument is not type(None)]
        kind = options[0] if len(options) == 1 else any_of(options)
        return nullable(kind) if type(None) in arguments else kind
    if origin is Literal:
        return choice(arguments)
    if origin is Sequence:
        return sequence_of(kind_of(arguments[0]))
    if origin is Mapping:
        return mapping_of(kind_of(arguments[0]), kind_of(arguments[1]))
    if origin is type:
        return tested(lambda value: _is_subclass(value, arguments[0]))
    if annotation in PLAIN:
        return PLAIN[annotation]
    return choice(annotation) if issubclass(annotation, Enum) else _props(annotation)


def _is_subclass(value: object, kind: type) -> bool:
    return isinstance(value, type) and issubclass(value, kind) and not inspect.isabstract(value)


def _limited(kind: Kind, limit: Any) -> Kind:
    """A kind with one more limit."""
    match limit:
        case Interval(ge=minimum, le=maximum):
            return kind.between(minimum, maximum)
        case Unit(unit=unit):
            return evolve(kind, allowed=f"{kind.allowed} of {unit}")
        case Predicate(func=test):
            return kind.limited(test)
        case OneOf(texts=texts):
            return choice(texts)
        case Excluding(texts=texts):
            kind = kind.limited(lambda value: value not in texts, **{"not": {"enum": list(texts)}})
            allowed = f"{kind.allowed} other than {', '.join(texts)}, which this package sets"
            return evolve(kind, allowed=allowed, fix=f"{kind.fix}, and leave out those that this package sets")
        case Pattern():
            return _described(_matching(kind, limit), Message(limit.allowed, limit.fix))
        case Message():
            return _described(kind, limit)
    return kind


def _matching(kind: Kind, pattern: Pattern) -> Kind:
    def matches(value: str) -> bool:
        return len(value) <= pattern.max_length and re.fullmatch(pattern.regex, value, re.ASCII) is not None

    text = kind.limited(matches, pattern=f"^(?:{pattern.regex})$", maxLength=pattern.max_length)
    number = {"type": "number", "minimum": 0}
    return evolve(text, schema=lambda refer: {"anyOf": [text.schema(refer), number]}) if pattern.numbers else text


def _described(kind: Kind, message: Message) -> Kind:
    return evolve(
        kind,
        allowed=message.allowed or kind.allowed,
        fix=message.fix or kind.fix,
        redacted=kind.redacted or message.redacted,
    )


@cache
def fields_of(kind: Any) -> Mapping[str, Kind]:
    """What each field of a class of props takes, by its name."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: kind_of(hints[field.name]) for field in attrs.fields(kind)}


@cache
def settings(kind: Any) -> Sequence[attrs.Attribute[Any]]:
    """The fields of a class that files can set."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return [field for field in attrs.fields(kind) if Opaque not in getattr(hints[field.name], "__metadata__", ())]


def camel(name: str) -> str:
    """A field's name in files: ``log_level`` is ``logLevel``."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def as_member(enum: type[Enum], value: Any) -> Any:
    """The member of an enum with a value. Any other value stays, for the field's check."""
    return enum(value) if value in [member.value for member in enum] else value


def manifest_of(props: Any) -> dict[str, Any]:
    """The fields that are set, for props with the fields of a Kubernetes object."""
    return {camel(name): value for name, value in _values(props).items() if value is not None}


# ---------------------------------------------------------------- classes of props


UNKNOWN = "(unknown key)"
"""What errors show as the value of a key that is no field."""


@attrs.frozen
class Partial:
    """Props from a file that cannot be made, because some of their values are invalid."""

    kind: type
    values: Mapping[str, Any]
    """The values of the fields, valid or not."""
    unknown: Mapping[str, Invalid]
    """The keys that are no fields."""


def _props(kind: Any) -> Kind:
    """Props of a class, or of one of several classes, which files name by ``engine``."""
    fields = attrs.fields(kind)
    names = [field.name for field in fields if field.default is attrs.NOTHING]
    if not names and len(fields) < 10:
        names = [field.name for field in fields[:2]]
    example = f"{kind.__name__}({', '.join(f'{name}=…' for name in names) or '…'})"

    def accepts(value: Any) -> bool:
        return isinstance(value, kind) or (isinstance(value, Partial) and issubclass(value.kind, kind))

    def inner(value: Any, path: str) -> Iterator[Problem]:
        prefix = f"{path}." if path else ""
        if isinstance(value, Partial):
            # A misspelled key leaves its field empty, and rules would only report that again.
            yield from _problems(value.kind, value.values, prefix, rules=not value.unknown)
            yield from (invalid.problem(f"{prefix}{key}") for key, invalid in value.unknown.items())
        else:
            yield from problems(value, prefix)

    plain = Kind(
        example, f"use {{field}}={example}", accepts, lambda refer: refer(kind), lambda value: _read(value, kind), inner
    )
    return _described(plain, getattr(kind, "message", Message()))


def _read(value: Any, kind: Any) -> Any:
    """Props from a value of a file."""
    if hasattr(kind, "members"):
        return _read_member(value, kind)
    if isinstance(value, Mapping):
        return _read_fields(value, kind)
    keys = ", ".join(camel(field.name) for field in settings(kind))
    fix = getattr(kind, "message", Message()).fix or "write its keys on the lines below, indented, or remove it"
    return Invalid(redact(value), f"a mapping with the keys {keys}", fix)


def _read_member(value: Any, kind: Any) -> Any:
    members: Mapping[str, type] = kind.members()
    engine = value.get("engine") if isinstance(value, Mapping) else None
    if not isinstance(engine, str) or engine not in members:
        fix = "choose one; memory is for trying SpiceDB out"
        return Partial(kind, {}, {"engine": Invalid(show(engine), ", ".join(members), fix)})
    rest = {key: item for key, item in value.items() if key != "engine"}
    return _read_fields(rest, members[engine], tags=("engine",))


def _read_fields(data: Mapping[Any, Any], kind: Any, *, tags: Sequence[str] = ()) -> Any:
    missing = Invalid("(missing)", "required", "add it; `cdk8s-spicedb schema` shows what it takes")
    fields, values = {camel(field.name): field for field in settings(kind)}, {}
    for key, field in fields.items():
        if key in data:
            values[field.name] = fields_of(kind)[field.name].convert(data[key])
        elif field.default is attrs.NOTHING:
            values[field.name] = missing
    known = [*tags, *fields]
    unknown = {str(key): _unknown(str(key), known) for key in data if key not in known}
    # The class checks nothing, so invalid values can stay in their fields until all problems are reported.
    props = kind(**values)
    invalid = unknown or any(isinstance(value, Invalid) for value in values.values())
    return Partial(kind, _values(props), unknown) if invalid else props


def _unknown(key: str, known: Sequence[str]) -> Invalid:
    near = difflib.get_close_matches(camel(key), known, 1, 0.5)
    return Invalid(UNKNOWN, ", ".join(known), f"did you mean {near[0]}?" if near else "remove it")


# ---------------------------------------------------------------- checks

Problems = Iterator[Problem]
Rule = Callable[..., Problems]
R = TypeVar("R", bound=Rule)
_RULES: dict[type, list[tuple[Rule, Sequence[str]]]] = {}
"""The rules of each class, with the names of the fields that they read."""


def rule(*kinds: type) -> Callable[[R], R]:
    """Registers a function that finds problems between fields of a class.

    Its parameters have the names of the fields that it reads; it runs only when each of them is valid by itself.
    """

    def register(function: R) -> R:
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        for kind in kinds:
            _RULES.setdefault(kind, []).append((function, names))
        return function

    return register


def unset(path: str, value: object, when: str, fix: str = "remove it", shown: str | None = None) -> Problems:
    """The problem of a value that must not be set. ``shown`` is what errors show instead of it."""
    if value is not None:
        yield Problem(path, shown or show(value), f"None {when}", fix)


def problems(props: Any, path: str = "") -> Problems:
    """All problems in ``props`` and in the props inside it, fields first."""
    return _problems(type(props), _values(props), path)


def _values(props: Any) -> dict[str, Any]:
    return attrs.asdict(props, recurse=False)


def _problems(kind: type, values: Mapping[str, Any], path: str, *, rules: bool = True) -> Problems:
    valid = dict(values)
    for name, field in fields_of(kind).items():
        for problem in field.problems(values[name], f"{path}{name}"):
            valid.pop(name, None)
            yield problem
    for function, names in (found for base in kind.__mro__ for found in _RULES.get(base, ())):
        if rules and valid.keys() >= set(names):
            for problem in function(*(valid[name] for name in names)):
                yield evolve(problem, field=path + problem.field)


def require(props: object) -> None:
    """Raises `InvalidProps` with every problem in ``props``; returns when there is none."""
    found = list(problems(props))
    if found:
        raise InvalidProps(type(props).__name__, found)
