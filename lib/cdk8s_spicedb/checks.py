"""How props are checked: a check on each field, rules between fields, all problems in one error.

A field carries its check as metadata: ``replicas: int = field(default=2, metadata=whole_number(1))``.
attrs' own validators are not used because they stop at the first problem.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from enum import Enum
from functools import cache
from pkgutil import resolve_name
from typing import Any, TypeVar, cast

import attrs

from .errors import InvalidProps, Problem

_CHECK = "cdk8s_spicedb.check"
_READS = "_cdk8s_spicedb_reads"
Metadata = dict[str, "Check"]
Schema = dict[str, Any]


@attrs.frozen
class Check:
    """What one field takes."""

    allowed: str
    accepts: Callable[[Any], bool]
    fix: str = "give one of the allowed values"
    shown: bool = True
    """False where somebody may have put a secret; the value is then described and not shown."""
    schema: Schema = attrs.field(factory=dict)
    """The same as JSON Schema; ``kind`` in it stands for the schema of a class."""

    def problem(self, path: str, value: object) -> Problem:
        return Problem(path, show(value) if self.shown else hide(value), self.allowed, self.fix)


def show(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    text = repr(value.value if isinstance(value, Enum) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def hide(value: object) -> str:
    return "None" if value is None else f"(a {type(value).__name__}, not shown)"


# ---------------------------------------------------------------- checks for fields


def check(
    allowed: str, accepts: Callable[[Any], bool], fix: str, *, shown: bool = True, schema: Schema | None = None
) -> Metadata:
    return {_CHECK: Check(allowed, accepts, fix, shown, schema or {})}


def schema_of(metadata: Mapping[str, Any]) -> Schema | None:
    """The JSON Schema of a field; None where it has no check."""
    own = metadata.get(_CHECK)
    return None if own is None else own.schema


def passes(metadata: Metadata, value: object) -> bool:
    """Whether a value passes a check by itself."""
    return metadata[_CHECK].accepts(value)


def problem(metadata: Metadata, path: str, value: object) -> Problem:
    """What is wrong with a value that does not pass a check."""
    return metadata[_CHECK].problem(path, value)


def optional(metadata: Metadata) -> Metadata:
    inner = metadata[_CHECK]
    return {
        _CHECK: attrs.evolve(
            inner,
            allowed=f"{inner.allowed}, or None",
            accepts=lambda value: value is None or inner.accepts(value),
            schema={"anyOf": [inner.schema, {"type": "null"}]},
        )
    }


def flag() -> Metadata:
    return check(
        "True or False",
        lambda value: isinstance(value, bool),
        "write True or False, without quotes",
        schema={"type": "boolean"},
    )


def whole_number(least: int, most: int | None = None, *, unit: str = "") -> Metadata:
    amount = f"a whole number{f' of {unit}' if unit else ''}, "
    allowed = amount + (f"{least} or more" if most is None else f"{least} to {most}")

    def accepts(value: object) -> bool:
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and value >= least
            and (most is None or value <= most)
        )

    limits = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    fix = "give a number in that range, without quotes"
    return check(allowed, accepts, fix, schema={"type": "integer", **limits})


def fraction() -> Metadata:
    def accepts(value: object) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1

    return check("a number from 0 to 1", accepts, "write 0.1 for a tenth", schema={"type": "number", "maximum": 1})


def duration(least: timedelta, most: timedelta, fix: str) -> Metadata:
    return check(
        f"a datetime.timedelta from {least.total_seconds():g} s to {most.total_seconds():g} s",
        lambda value: isinstance(value, timedelta) and least <= value <= most,
        fix,
        schema={"kind": timedelta},
    )


def text(pattern: str, allowed: str, fix: str, *, most: int = 253, shown: bool = True) -> Metadata:
    def accepts(value: object) -> bool:
        # Compiled when it is first asked, because most are not.
        return isinstance(value, str) and len(value) <= most and re.fullmatch(pattern, value, re.ASCII) is not None

    schema = {"type": "string", "pattern": f"^(?:{pattern})$", "maxLength": most}
    return check(allowed, accepts, fix, shown=shown, schema=schema)


def or_number(metadata: Metadata) -> Metadata:
    """A text that may be given as a number too; the field's converter makes it a text."""
    inner = metadata[_CHECK]
    schema = {"anyOf": [inner.schema, {"type": "number", "minimum": 0}]}
    return {_CHECK: attrs.evolve(inner, schema=schema)}


def one_of(*values: str, fix: str = "") -> Metadata:
    return check(
        ", ".join(values),
        lambda value: value in values,
        fix or "write one of these exactly",
        schema={"enum": list(values)},
    )


def instance(kind: type | str, allowed: str, fix: str, *, shown: bool = True) -> Metadata:
    """A value of a class, or of one that is said by its full name, so that it is imported by those who use it."""
    return check(allowed, lambda value: isinstance(value, class_of(kind)), fix, shown=shown, schema={"kind": kind})


def class_of(kind: type | str) -> type:
    """The class that is given, or that has the name."""
    return cast(type, resolve_name(kind)) if isinstance(kind, str) else kind


def each(metadata: Metadata) -> Metadata:
    """A tuple or list of which every item passes; a lone string is refused, it would be read letter by letter."""
    item = metadata[_CHECK]
    return {
        _CHECK: attrs.evolve(
            item,
            allowed=f"a tuple or list, each item: {item.allowed}",
            accepts=lambda value: isinstance(value, (tuple, list)) and all(map(item.accepts, value)),
            schema={"type": "array", "items": item.schema},
        )
    }


def mapping(keys: Metadata, values: Metadata) -> Metadata:
    key, value = keys[_CHECK], values[_CHECK]

    def accepts(candidate: object) -> bool:
        return isinstance(candidate, Mapping) and all(
            key.accepts(name) and value.accepts(item) for name, item in candidate.items()
        )

    return check(
        f"a mapping from {key.allowed} to {value.allowed}",
        accepts,
        f"{key.fix}; {value.fix}",
        shown=value.shown,
        schema={"type": "object", "propertyNames": key.schema, "additionalProperties": value.schema},
    )


def excluding(metadata: Metadata, *reserved: str) -> Metadata:
    """What passes ``metadata`` and is none of the values that this package sets itself."""
    inner = metadata[_CHECK]
    if not reserved:
        return metadata
    return check(
        f"{inner.allowed} other than {', '.join(reserved)}, which are set for you",
        lambda value: inner.accepts(value) and value not in reserved,
        f"{inner.fix}, and leave the ones that are set for you out",
        schema={**inner.schema, "not": {"enum": list(reserved)}},
    )


def string(fix: str = "give a text in quotes") -> Metadata:
    return check("a str", lambda value: isinstance(value, str), fix, schema={"type": "string"})


# ---------------------------------------------------------------- rules between fields

Rule = Callable[[Any], Iterator[Problem]]
R = TypeVar("R", bound=Rule)


def rule(*fields: str) -> Callable[[R], R]:
    """Marks a method that finds problems between ``fields``; it runs only when each of them is sound by itself."""

    def mark(method: R) -> R:
        setattr(method, _READS, fields)
        return method

    return mark


def problems(props: Any, path: str = "") -> Iterator[Problem]:
    """All problems in ``props`` and in the props within it, fields first."""
    unsound, kind = set(), cast(Any, type(props))
    for field in attrs.fields(kind):
        found = list(_field_problems(field, getattr(props, field.name), f"{path}{field.name}"))
        if found:
            unsound.add(field.name)
        yield from found
    for reads, method in _rules(kind):
        if unsound.isdisjoint(reads):
            for each in method(props):
                yield attrs.evolve(each, field=path + each.field)


def _field_problems(field: attrs.Attribute[Any], value: object, path: str) -> Iterator[Problem]:
    own = field.metadata.get(_CHECK)
    if own is not None and not own.accepts(value):
        yield own.problem(path, value)
    elif isinstance(value, (tuple, list, Mapping)):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            if _is_checked(cast(Any, type(item))):
                yield from problems(item, f"{path}[{key}].")
    elif _is_checked(cast(Any, type(value))):
        yield from problems(value, f"{path}.")


@cache
def _is_checked(kind: type) -> bool:
    """Whether a class has checks or rules to go through; a table of releases, for one, has none, and is large."""
    return attrs.has(kind) and bool(_rules(kind) or any(_CHECK in field.metadata for field in attrs.fields(kind)))


@cache
def _rules(kind: type) -> list[tuple[tuple[str, ...], Rule]]:
    names = sorted({name for base in kind.__mro__ for name, member in vars(base).items() if hasattr(member, _READS)})
    return [(getattr(member, _READS), member) for member in (getattr(kind, name) for name in names)]


def require(props: object) -> None:
    """Raises `InvalidProps` with every problem in ``props``; returns when there is none."""
    found = list(problems(props))
    if found:
        raise InvalidProps(type(props).__name__, found)
