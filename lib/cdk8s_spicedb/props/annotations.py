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
from copy import copy
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import attrs
from annotated_types import Interval, MaxLen, Predicate, Unit

from ..errors import InvalidProps, Problem
from .kinds import (
    AnyOf,
    Anything,
    Choice,
    Duration,
    Entries,
    Flag,
    Invalid,
    Items,
    Kind,
    Moment,
    Nullable,
    Number,
    Refer,
    Schema,
    Text,
    redact,
    show,
)

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
        kinds = [kind_of(argument) for argument in arguments if argument is not type(None)]
        kind = kinds[0] if len(kinds) == 1 else AnyOf(kinds)
        return Nullable(kind) if type(None) in arguments else kind
    if origin is Literal:
        return Choice(arguments)
    if origin is type:
        return Anything(lambda value: _is_subclass(value, arguments[0]))
    if origin is Sequence:
        return Items(kind_of(arguments[0]))
    if origin is Mapping:
        return Entries(kind_of(arguments[0]), kind_of(arguments[1]))
    return _plain(annotation)


def _is_subclass(value: object, kind: type) -> bool:
    return isinstance(value, type) and issubclass(value, kind) and not inspect.isabstract(value)


def _plain(kind: type) -> Kind:
    if kind is bool:
        return Flag()
    if kind is str:
        return Text()
    if kind is datetime:
        return Moment()
    if issubclass(kind, Enum):
        return Choice(kind)
    return Family(kind) if isinstance(getattr(kind, "members", None), types.MethodType) else Props(kind)


def _narrowed(type_: Any, limits: Sequence[Any]) -> Kind:
    """A type with limits. `Message` applies to every type, the other limits to the type that they are for."""
    given = {type(limit): limit for limit in limits if limit is not Opaque}
    interval: Any = given.get(Interval)
    predicate = given.get(Predicate)
    if OneOf in given:
        kind: Kind = Choice(given[OneOf].texts)
    elif type_ is str:
        pattern = given.get(Pattern, Pattern(None))
        kind = Text(
            pattern.regex,
            getattr(given.get(MaxLen), "max_length", None),
            getattr(predicate, "func", None),
            getattr(given.get(Excluding), "texts", ()),
            pattern.numbers,
        )
    elif type_ in (int, float):
        kind = Number(type_, interval.ge, interval.le, getattr(given.get(Unit), "unit", ""))
    elif type_ is timedelta:
        kind = Duration(interval.ge, interval.le)
    elif predicate:
        kind = Anything(predicate.func)
    elif Opaque in limits:
        kind = Anything(lambda value: isinstance(value, type_))
    else:
        kind = copy(kind_of(type_))
    for message in (limit for limit in limits if isinstance(limit, Message)):
        _describe(kind, message)
    if Excluding in given:
        kind.allowed += f" other than {', '.join(given[Excluding].texts)}, which this package sets"
        kind.fix += ", and leave out those that this package sets"
    return kind


def _describe(kind: Kind, message: Message) -> None:
    kind.allowed, kind.fix = message.allowed or kind.allowed, message.fix or kind.fix
    kind.redacted = kind.redacted or message.redacted


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


class Props(Kind):
    """Props of a class."""

    def __init__(self, kind: type) -> None:
        self.type, self._message = kind, getattr(kind, "message", Message())
        fields = attrs.fields(cast(Any, kind))
        names = [field.name for field in fields if field.default is attrs.NOTHING]
        if not names and len(fields) < 10:
            names = [field.name for field in fields[:2]]
        example = f"{kind.__name__}({', '.join(f'{name}=…' for name in names) or '…'})"
        self.allowed, self.fix = example, f"use {{field}}={example}"
        _describe(self, self._message)

    def accepts(self, value: Any) -> bool:
        return isinstance(value, self.type) or (isinstance(value, Partial) and issubclass(value.kind, self.type))

    def problems(self, value: object, path: str) -> Iterator[Problem]:
        if not self.accepts(value):
            yield from super().problems(value, path)
        elif isinstance(value, Partial):
            yield from _problems(value.kind, value.values, f"{path}." if path else "")
            yield from (invalid.problem(f"{path}.{key}".lstrip(".")) for key, invalid in value.unknown.items())
        else:
            yield from problems(value, f"{path}." if path else "")

    def schema(self, refer: Refer) -> Schema:
        return refer(self.type)

    def convert(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            keys = ", ".join(camel(field.name) for field in settings(self.type))
            fix = self._message.fix or "write its keys on the lines below, indented, or remove it"
            return Invalid(redact(value), f"a mapping with the keys {keys}", fix)
        return self._read(value, self.type)

    def _read(self, data: Mapping[Any, Any], kind: type, *, tags: Sequence[str] = ()) -> Any:
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


def _unknown(key: str, known: Sequence[str]) -> Invalid:
    near = difflib.get_close_matches(camel(key), known, 1, 0.5)
    return Invalid(UNKNOWN, ", ".join(known), f"did you mean {near[0]}?" if near else "remove it")


class Family(Props):
    """Props of one of several classes, which files name by ``engine``."""

    def convert(self, value: Any) -> Any:
        members: Mapping[str, type] = cast(Any, self.type).members()
        engine = value.get("engine") if isinstance(value, Mapping) else None
        if not isinstance(engine, str) or engine not in members:
            invalid = Invalid(show(engine), ", ".join(members), "choose one; memory is for trying SpiceDB out")
            return Partial(self.type, {}, {"engine": invalid})
        rest = {key: item for key, item in value.items() if key != "engine"}
        return self._read(rest, members[engine], tags=("engine",))


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
