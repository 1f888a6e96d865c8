"""Reads the annotations of props: the one place that says what each field takes.

An annotation is a type with its limits, such as ``Annotated[int, Interval(ge=1, le=65535)] | None``. From it come the
checks, the JSON Schema, the reader of files and the reference. The limits are those of annotated-types and the ones
below; `types` has the annotations that several props share.

attrs' own validators are not used because they stop at the first problem.
"""

from __future__ import annotations

import difflib
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import attrs
from annotated_types import Interval, MaxLen, Predicate, Unit

from ..errors import InvalidProps, Problem
from . import kinds
from .kinds import Invalid, Kind, redact, show

# ---------------------------------------------------------------- limits


@attrs.frozen
class Pattern:
    """A regular expression that the whole text matches."""

    regex: str | None
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


@attrs.frozen
class Message:
    """What errors say about a field or a class, where the type alone does not say it well."""

    allowed: str | None = None
    fix: str | None = None
    redacted: bool = False
    """Whether the value may be a secret. Errors then describe it and do not show it."""


class Opaque:
    """A value of the class is taken as it is. Files cannot give one."""


# ---------------------------------------------------------------- annotations to kinds


@cache
def kind_of(annotation: Any) -> Kind:
    """What a field with an annotation takes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _narrowed(arguments[0], arguments[1:])
    if origin in (Union, types.UnionType):
        options = [kind_of(argument) for argument in arguments if argument is not type(None)]
        kind = options[0] if len(options) == 1 else kinds.any_of(options)
        return kinds.nullable(kind) if type(None) in arguments else kind
    if origin is Literal:
        return kinds.choice(arguments)
    if origin is Sequence:
        return kinds.sequence_of(kind_of(arguments[0]))
    if origin is Mapping:
        return kinds.mapping_of(kind_of(arguments[0]), kind_of(arguments[1]))
    if origin is type:
        return kinds.tested(lambda value: _is_subclass(value, arguments[0]))
    plain = {bool: kinds.flag, str: kinds.text, datetime: kinds.moment}
    if annotation in plain:
        return plain[annotation]()
    return kinds.choice(annotation) if issubclass(annotation, Enum) else _props(annotation)


def _is_subclass(value: object, kind: type) -> bool:
    return isinstance(value, type) and issubclass(value, kind) and not inspect.isabstract(value)


def _narrowed(type_: Any, limits: Sequence[Any]) -> Kind:
    """A type with limits. `Message` applies to every type, the other limits to the type that they are for."""
    given: dict[type, Any] = {type(limit): limit for limit in limits if limit is not Opaque}
    interval: Any = given.get(Interval)
    predicate = given.get(Predicate)
    if OneOf in given:
        kind = kinds.choice(given[OneOf].texts)
    elif type_ is str:
        pattern, length = given.get(Pattern, Pattern(None)), given.get(MaxLen)
        excluded = given[Excluding].texts if Excluding in given else ()
        test = predicate and predicate.func
        kind = kinds.text(pattern.regex, length and length.max_length, test, excluded, pattern.numbers)
    elif type_ in (int, float):
        kind = kinds.number(type_, interval.ge, interval.le, given[Unit].unit if Unit in given else "")
    elif type_ is timedelta:
        kind = kinds.duration(interval.ge, interval.le)
    elif predicate or Opaque in limits:
        kind = kinds.tested(predicate.func if predicate else lambda value: isinstance(value, type_))
    else:
        kind = kind_of(type_)
    for message in (limit for limit in limits if isinstance(limit, Message)):
        kind = _described(kind, message)
    if Excluding in given:
        other = f"{kind.allowed} other than {', '.join(given[Excluding].texts)}, which this package sets"
        return attrs.evolve(kind, allowed=other, fix=f"{kind.fix}, and leave out those that this package sets")
    return kind


def _described(kind: Kind, message: Message) -> Kind:
    return attrs.evolve(
        kind,
        allowed=message.allowed or kind.allowed,
        fix=message.fix or kind.fix,
        redacted=kind.redacted or message.redacted,
    )


@cache
def fields_of(kind: type) -> Mapping[str, Kind]:
    """What each field of a class of props takes, by its name."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: kind_of(hints[field.name]) for field in attrs.fields(cast(Any, kind))}


def settings(kind: type) -> Iterator[attrs.Attribute[Any]]:
    """The fields of a class that files can set."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in attrs.fields(cast(Any, kind)):
        if Opaque not in getattr(hints[field.name], "__metadata__", ()):
            yield field


def camel(name: str) -> str:
    """A field's name in files: ``log_level`` is ``logLevel``."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


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


def _props(kind: type) -> Kind:
    """Props of a class, or of one of several classes, which files name by ``engine``."""
    message = getattr(kind, "message", Message())
    fields = attrs.fields(cast(Any, kind))
    names = [field.name for field in fields if field.default is attrs.NOTHING]
    if not names and len(fields) < 10:
        names = [field.name for field in fields[:2]]
    example = f"{kind.__name__}({', '.join(f'{name}=…' for name in names) or '…'})"

    def accepts(value: Any) -> bool:
        return isinstance(value, kind) or (isinstance(value, Partial) and issubclass(value.kind, kind))

    def inner(value: Any, path: str) -> Iterator[Problem]:
        prefix = f"{path}." if path else ""
        if isinstance(value, Partial):
            yield from _problems(value.kind, value.values, prefix)
            yield from (invalid.problem(f"{prefix}{key}") for key, invalid in value.unknown.items())
        else:
            yield from problems(value, prefix)

    def convert(value: Any) -> Any:
        if hasattr(kind, "members"):
            return _read_member(value, kind)
        if isinstance(value, Mapping):
            return _read(value, kind)
        keys = ", ".join(camel(field.name) for field in settings(kind))
        fix = message.fix or "write its keys on the lines below, indented, or remove it"
        return Invalid(redact(value), f"a mapping with the keys {keys}", fix)

    plain = Kind(example, f"use {{field}}={example}", accepts, lambda refer: refer(kind), convert, inner)
    return _described(plain, message)


def _read(data: Mapping[Any, Any], kind: type, *, tags: Sequence[str] = ()) -> Any:
    """Props from a mapping of a file."""
    fields = {camel(field.name): field for field in settings(kind)}
    values = {
        field.name: fields_of(kind)[field.name].convert(data[key]) for key, field in fields.items() if key in data
    }
    for field in fields.values():
        if field.name not in values and field.default is attrs.NOTHING:
            fix = "add it; `cdk8s-spicedb schema` shows what it takes"
            values[field.name] = Invalid("(missing)", "required", fix)
    known = [*tags, *fields]
    unknown = {str(key): _unknown(str(key), known) for key in data if key not in known}
    if unknown or any(isinstance(value, Invalid) for value in values.values()):
        return Partial(kind, values, unknown)
    return kind(**values)


def _read_member(value: Any, kind: type) -> Any:
    members: Mapping[str, type] = cast(Any, kind).members()
    engine = value.get("engine") if isinstance(value, Mapping) else None
    if not isinstance(engine, str) or engine not in members:
        fix = "choose one; memory is for trying SpiceDB out"
        return Partial(kind, {}, {"engine": Invalid(show(engine), ", ".join(members), fix)})
    rest = {key: item for key, item in value.items() if key != "engine"}
    return _read(rest, members[engine], tags=("engine",))


def _unknown(key: str, known: Sequence[str]) -> Invalid:
    near = difflib.get_close_matches(camel(key), known, 1, 0.5)
    return Invalid(UNKNOWN, ", ".join(known), f"did you mean {near[0]}?" if near else "remove it")


# ---------------------------------------------------------------- checks

Rule = Callable[..., Iterator[Problem]]
R = TypeVar("R", bound=Rule)
_RULES: dict[type, list[Rule]] = {}


def rule(*kinds: type) -> Callable[[R], R]:
    """Registers a function that finds problems between fields of a class.

    Its parameters have the names of the fields that it reads; it runs only when each of them is valid by itself.
    """

    def register(function: R) -> R:
        for kind in kinds:
            _RULES.setdefault(kind, []).append(function)
        return function

    return register


@cache
def _rules(kind: type) -> Sequence[tuple[Rule, Sequence[str]]]:
    found = [function for base in kind.__mro__ for function in _RULES.get(base, ())]
    return [(each, each.__code__.co_varnames[: each.__code__.co_argcount]) for each in found]


def problems(props: Any, path: str = "") -> Iterator[Problem]:
    """All problems in ``props`` and in the props inside it, fields first."""
    kind = cast(Any, type(props))
    yield from _problems(kind, {name: getattr(props, name) for name in fields_of(kind)}, path)


def _problems(kind: type, values: Mapping[str, Any], path: str) -> Iterator[Problem]:
    valid = dict(values)
    for name, field in fields_of(kind).items():
        found = list(field.problems(values[name], f"{path}{name}")) if name in values else []
        if found:
            del valid[name]
        yield from found
    if len(valid) < len(fields_of(kind)):
        valid = {**_defaults(kind, values), **valid}
    for function, names in _rules(kind):
        if valid.keys() >= set(names):
            for problem in function(*(valid[name] for name in names)):
                yield attrs.evolve(problem, field=path + problem.field)


def _defaults(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of fields that a file does not set."""
    found = {}
    for field in attrs.fields(cast(Any, kind)):
        if field.name not in values and field.default is not attrs.NOTHING:
            factory = cast(Any, field.default)
            is_factory = isinstance(factory, cast(Any, attrs.Factory))
            if not is_factory or not factory.takes_self:
                found[field.name] = factory.factory() if is_factory else field.default
    return found


def require(props: object) -> None:
    """Raises `InvalidProps` with every problem in ``props``; returns when there is none."""
    found = list(problems(props))
    if found:
        raise InvalidProps(type(props).__name__, found)
