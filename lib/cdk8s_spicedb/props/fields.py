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
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache, reduce
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import attrs
from annotated_types import Interval, Predicate, Unit
from attrs import evolve

from ..errors import InvalidProps, Problem
from . import fieldtypes
from .fieldtypes import PLAIN, Choice, FieldType, Invalid, Limited, Refer, Schema, in_python, redact, show

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
    """Whether files may also give a number, which the field's converter makes a text."""

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        return len(text) <= self.max_length and re.fullmatch(self.regex, text, re.ASCII) is not None


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


# ---------------------------------------------------------------- annotations to types


@cache
def type_of(annotation: Any) -> FieldType:
    """What a field with an annotation takes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        type_, *limits = arguments
        base = Limited(PLAIN[Any], lambda value: isinstance(value, type_)) if Opaque in limits else type_of(type_)
        return reduce(_limited, limits, base)
    if origin in (Union, UnionType):
        options = [type_of(argument) for argument in arguments if argument is not type(None)]
        found = options[0] if len(options) == 1 else fieldtypes.AnyOf(options)
        return fieldtypes.Nullable(found) if type(None) in arguments else found
    if origin is Literal:
        return Choice(arguments)
    if origin is Sequence:
        return fieldtypes.SequenceOf(type_of(arguments[0]))
    if origin is Mapping:
        return fieldtypes.MappingOf(type_of(arguments[0]), type_of(arguments[1]))
    if origin is type:
        return Limited(PLAIN[Any], lambda value: _is_subclass(value, arguments[0]))
    if annotation in PLAIN:
        return PLAIN[annotation]
    if issubclass(annotation, Enum):
        return Choice(annotation)
    return MemberOf(annotation) if hasattr(annotation, "members") else PropsOf(annotation)


def _is_subclass(value: object, kind: type) -> bool:
    return isinstance(value, type) and issubclass(value, kind) and not inspect.isabstract(value)


def _limited(base: FieldType, limit: Any) -> FieldType:
    """A type with one more limit. What is no limit of this module or annotated-types does not count."""
    match limit:
        case Interval(ge=minimum, le=maximum):
            return fieldtypes.between(base, minimum, maximum)
        case Unit(unit=unit):
            return Limited(base, allowed=f"{base.allowed} of {unit}")
        case Predicate(func=test):
            return Limited(base, test)
        case OneOf(texts=texts):
            return Choice(texts)
        case Excluding(texts=texts):
            allowed = f"{base.allowed} other than {', '.join(texts)}, which this package sets"
            fix = f"{base.fix}, and leave out those that this package sets"
            schema: Schema = {"not": {"enum": list(texts)}}
            return Limited(base, lambda value: value not in texts, schema, allowed=allowed, fix=fix)
        case Pattern(regex=regex, allowed=allowed, fix=fix):
            schema = {"pattern": f"^(?:{regex})$", "maxLength": limit.max_length}
            found = Limited(base, limit.matches, schema, allowed=allowed, fix=fix)
            return fieldtypes.OrNumber(found) if limit.numbers else found
        case Message(allowed=allowed, fix=fix, redacted=redacted):
            return Limited(base, allowed=allowed, fix=fix, redacted=redacted)
    return base


@cache
def fields_of(kind: Any) -> Mapping[str, FieldType]:
    """What each field of a class of props takes, by its name."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: type_of(hints[field.name]) for field in attrs.fields(kind)}


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
    return {camel(name): value for name, value in attrs.asdict(props, recurse=False).items() if value is not None}


# ---------------------------------------------------------------- classes of props


class PropsOf(FieldType):
    """Props of a class, which files give as a mapping."""

    def __init__(self, kind: Any) -> None:
        fields = attrs.fields(kind)
        names = [field.name for field in fields if field.default is attrs.NOTHING]
        if not names and len(fields) < 10:
            names = [field.name for field in fields[:2]]
        python = ", ".join(f"{name}=…" for name in names) or "…"
        yaml = ", ".join(f"{camel(name)}: …" for name in names) or "…"
        example = f"{{{kind.__name__}({python})|{{{yaml}}}}}"
        message = getattr(kind, "message", Message())
        super().__init__(message.allowed or example, message.fix or f"use {{field=}}{example}", message.redacted)
        self.kind, self.message = kind, message

    def accepts(self, value: Any) -> bool:
        return issubclass(value.kind if isinstance(value, Draft) else type(value), self.kind)

    def schema(self, refer: Refer) -> Schema:
        return refer(self.kind)

    def fits(self, value: Mapping[Any, Any]) -> int:
        return len({camel(str(key)) for key in value} & {camel(field.name) for field in settings(self.kind)})

    def read(self, value: Any) -> Draft | Invalid:
        short = [key for key in (short_form(self.kind),) if key]
        if isinstance(value, Mapping):
            return _short(self.kind, *short, value) if value.keys() & set(short) else _draft(self.kind, value, short)
        keys = ", ".join([*short, *(camel(field.name) for field in settings(self.kind))])
        fix = self.message.fix or "write its keys on the lines below, indented, or remove it"
        return Invalid(redact(value), f"a mapping with the keys {keys}", fix)

    def inside(self, value: Any, path: str) -> Problems:
        prefix = f"{path}." if path else ""
        return value.problems(prefix) if isinstance(value, Draft) else raw_problems(value, prefix)


class MemberOf(PropsOf):
    """Props of one of the members of a class, which files name by ``engine``."""

    def read(self, value: Any) -> Draft:
        members: Mapping[str, type] = self.kind.members()
        engine = value.get("engine") if isinstance(value, Mapping) else None
        if not isinstance(engine, str) or engine not in members:
            fix = "choose one; memory is for trying SpiceDB out"
            return Draft(self.kind, {}, {"engine": Invalid(show(engine), ", ".join(members), fix)})
        return _draft(members[engine], {key: item for key, item in value.items() if key != "engine"}, ["engine"])


@attrs.frozen
class Draft:
    """Props as a file gives them. They become an object of their class when nothing is wrong with them."""

    kind: type
    values: Mapping[str, Any]
    """The fields: values of the file, drafts of the props inside, `Invalid`, and defaults. A default that depends on
    other fields is not among them."""
    unknown: Mapping[str, Invalid]
    """The keys that are no fields."""

    def problems(self, path: str = "") -> Problems:
        """All problems, with their paths as in files. Their texts have placeholders."""
        return _problems(self.kind, self.values, path, _in_file, self.unknown)

    def build(self) -> Any:
        """The props. The draft must not have problems."""
        return self.kind(**_built(self.values))


def _draft(kind: Any, data: Mapping[Any, Any], tags: Sequence[str] = ()) -> Draft:
    values: dict[str, Any] = {}
    known = [*tags, *(camel(field.name) for field in settings(kind))]
    for field in attrs.fields(kind):
        key, default = camel(field.name), field.default
        if key in data and key in known:
            value = fields_of(kind)[field.name].read(data[key])
            values[field.name] = field.converter(value) if field.converter else value
        elif default is attrs.NOTHING:
            missing = Invalid("(missing)", "required", "add it; `cdk8s-spicedb schema` shows what it takes")
            values[field.name] = missing
        elif not isinstance(default, cast(Any, attrs.Factory)):
            values[field.name] = default
        elif not default.takes_self:
            values[field.name] = default.factory()
    return Draft(kind, values, {str(key): _unknown(str(key), known) for key in data if key not in known})


def short_form(kind: Any) -> str:
    """The key of a class's short form in files: its class method ``kind.short`` makes the props of one value. Empty if
    the class has none."""
    return camel(getattr(kind, "short", ""))


@cache
def short_type(kind: Any) -> FieldType:
    """What the short form of a class takes."""
    _, hint, *_ = typing.get_type_hints(getattr(kind, kind.short), include_extras=True).values()
    return type_of(hint)


@attrs.frozen
class _Short(Draft):
    """Props that a file gives in the short form of their class."""

    def problems(self, path: str = "") -> Problems:
        for key, value in {**self.values, **self.unknown}.items():
            yield from short_type(self.kind).check(value, f"{path}{key}")

    def build(self) -> Any:
        return getattr(self.kind, cast(Any, self.kind).short)(*self.values.values())


def _short(kind: Any, short: str, data: Mapping[Any, Any]) -> Draft:
    wrong = Invalid("(one key too many)", f"{short} alone, or all other keys without it", f"remove it, or {short}")
    values = {short: short_type(kind).read(data[short])}
    return _Short(kind, values, {str(key): wrong for key in data if key != short})


def _unknown(key: str, known: Sequence[str]) -> Invalid:
    near = difflib.get_close_matches(camel(key), known, 1, 0.5)
    return Invalid("(unknown key)", ", ".join(known), f"did you mean {near[0]}?" if near else "remove it")


def _built(value: Any) -> Any:
    """A valid value of a draft, with props in place of the drafts in it."""
    if isinstance(value, Draft):
        return value.build()
    if isinstance(value, dict):
        return {key: _built(item) for key, item in value.items()}
    return tuple(map(_built, value)) if isinstance(value, tuple) else value


# ---------------------------------------------------------------- checks

Problems = Iterator[Problem]
Rule = Callable[..., Problems]
"""Finds problems between fields of a class. Its parameters have the names of the fields that it reads, and it runs only
when each of them is valid by itself. The texts may have placeholders."""
Rules = Mapping[type, Sequence[Rule]]
"""Rules by the class that they are about. A class also has the rules of its base classes."""
RULES: dict[type, list[Rule]] = {}


def use(*tables: Rules) -> None:
    """Makes rules part of the checks. Rules import the classes, so the classes cannot name their rules."""
    for kind, rules in (item for table in tables for item in table.items()):
        RULES.setdefault(kind, []).extend(rules)


def unset(path: str, value: object, when: str, fix: str = "remove it", shown: str | None = None) -> Problems:
    """The problem of a value that must not be set. ``shown`` is what errors show instead of it."""
    if value is not None:
        yield Problem(path, shown or show(value), f"{{None}} {when}", fix)


@cache
def parameters(rule: Rule) -> Sequence[str]:
    """The names of the fields that a rule reads."""
    return tuple(inspect.signature(rule).parameters)


def _in_file(path: str) -> str:
    """A path of fields as in files. The parts in brackets are the user's own."""
    return "".join(part if part.startswith("[") else camel(part) for part in re.split(r"(\[.*?\])", path))


def _problems(
    kind: type, values: Mapping[str, Any], path: str, named: Callable[[str], str], unknown: Mapping[str, Invalid]
) -> Problems:
    """The problems of each field by itself, then those between valid fields."""
    valid = dict(values)
    for name, value in values.items():
        for problem in fields_of(kind)[name].check(value, path + named(name)):
            valid.pop(name, None)
            yield problem
    yield from (invalid.problem(f"{path}{key}") for key, invalid in unknown.items())
    # A misspelled key leaves its field with the default, and rules would only report that again.
    rules = () if unknown else (each for base in kind.__mro__ for each in RULES.get(base, ()))
    valid = _built(valid)
    for each in rules:
        names = parameters(each)
        if valid.keys() >= set(names):
            for problem in each(*(valid[name] for name in names)):
                yield evolve(problem, field=path + named(problem.field))


def raw_problems(props: Any, path: str = "") -> Problems:
    """Does what `problems` does, with placeholders in the texts."""
    return _problems(type(props), attrs.asdict(props, recurse=False), path, str, {})


def problems(props: Any) -> Problems:
    """All problems in ``props`` and in the props inside it, fields first."""
    return map(in_python, raw_problems(props))


def require(props: object) -> None:
    """Raises `InvalidProps` with every problem in ``props``; returns when there is none."""
    found = list(problems(props))
    if found:
        raise InvalidProps(type(props).__name__, found)
