"""What values are allowed: how to check them, their JSON Schema, and how to read them from a file.

`annotations` turns the annotations of props into these kinds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from attrs import frozen

from ..errors import Problem

Schema = dict[str, Any]
Refer = Callable[[type], Schema]
"""Gives the schema of a class, or a reference to it."""

DURATION = r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+"
"""Durations as SpiceDB and Kubernetes write them: ``90s``, ``1h30m``."""
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_NO_QUOTES = "use a number in that range, without quotes"


def show(value: object) -> str:
    """A value for an error message."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    text = repr(value.value if isinstance(value, Enum) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def redact(value: object) -> str:
    """A value that may be secret, for an error message."""
    return "None" if value is None else f"(a {type(value).__name__}, not shown)"


@frozen
class Invalid:
    """Stands for a value of a file that cannot become a prop."""

    value: str
    allowed: str
    fix: str

    def problem(self, path: str) -> Problem:
        """The problem of the field at a path; ``{field}`` in the fix becomes the field's name."""
        name = re.sub(r"\[.*?\]", "", path).rpartition(".")[2]
        return Problem(path, self.value, self.allowed, self.fix.replace("{field}", name))


def _nothing(value: object, path: str) -> Iterator[Problem]:
    return iter(())


@frozen
class Kind:
    """What a value may be."""

    allowed: str
    """What errors say is allowed."""
    fix: str
    """How errors say to fix it; ``{field}`` stands for the field's name."""
    accepts: Callable[[Any], bool]
    """Whether a value is allowed, apart from the props inside it."""
    schema: Callable[[Refer], Schema]
    """The JSON Schema of the value in a file."""
    convert: Callable[[Any], Any] = lambda value: value
    """The prop of a value in a file; `Invalid` if it cannot become one. Limits are checked afterwards."""
    inner: Callable[[Any, str], Iterator[Problem]] = _nothing
    """The problems inside an allowed value, whose path it gets."""
    redacted: bool = False
    """Whether the value may be a secret. Errors then describe it and do not show it."""

    def problems(self, value: object, path: str) -> Iterator[Problem]:
        """All problems of a value and of the props inside it."""
        if isinstance(value, Invalid):
            yield value.problem(path)
        elif not self.accepts(value):
            shown = redact(value) if self.redacted else show(value)
            yield Invalid(shown, self.allowed, self.fix).problem(path)
        else:
            yield from self.inner(value, path)


def flag() -> Kind:
    """True or False."""
    return Kind(
        "True or False",
        "use True or False, without quotes",
        lambda value: isinstance(value, bool),
        lambda _: {"type": "boolean"},
    )


def number(type_: type, minimum: Any, maximum: Any, unit: str) -> Kind:
    """A number within limits."""
    types, name = ((int,), "integer") if type_ is int else ((int, float), "number")
    limits = f", {minimum} or more" if maximum is None else f" from {minimum} to {maximum}"
    schema = {"type": name, "minimum": minimum, **({} if maximum is None else {"maximum": maximum})}

    def accepts(value: Any) -> bool:
        is_number = isinstance(value, types) and not isinstance(value, bool)
        return is_number and value >= minimum and (maximum is None or value <= maximum)

    allowed = f"a {'whole ' if type_ is int else ''}number{f' of {unit}' if unit else ''}{limits}"
    return Kind(allowed, _NO_QUOTES, accepts, lambda _: schema)


def duration(minimum: timedelta, maximum: timedelta) -> Kind:
    """A ``datetime.timedelta`` within limits; in a file, a text such as ``90s``."""
    examples = {"seconds=30": timedelta(seconds=30), "minutes=30": timedelta(minutes=30), "hours=24": timedelta(days=1)}
    example = next(text for text, value in examples.items() if minimum <= value <= maximum)
    return Kind(
        f"a datetime.timedelta from {minimum.total_seconds():g} s to {maximum.total_seconds():g} s",
        f"use a duration such as timedelta({example})",
        lambda value: isinstance(value, timedelta) and minimum <= value <= maximum,
        lambda _: {"type": "string", "pattern": f"^{DURATION}$"},
        _read_duration,
    )


def _read_duration(value: Any) -> timedelta | Invalid:
    if not isinstance(value, str) or not re.fullmatch(DURATION, value):
        return Invalid(show(value), "a duration, such as 90s or 1h30m", "use a number with its unit: ms, s, m or h")
    seconds = sum(float(count) * _UNITS[unit] for count, unit in re.findall(r"([\d.]+)(ms|s|m|h)", value))
    # A duration longer than any timedelta is above every maximum, and the check says so.
    return timedelta(seconds=seconds) if seconds < timedelta.max.total_seconds() else timedelta.max


def moment() -> Kind:
    """A ``datetime.datetime`` with a time zone."""
    return Kind(
        "a datetime with a time zone",
        "use a time such as datetime(2026, 11, 1, tzinfo=timezone.utc)",
        lambda value: isinstance(value, datetime) and value.tzinfo is not None,
        lambda _: {"type": "string", "format": "date-time"},
    )


def text(
    pattern: str | None = None,
    max_length: int | None = None,
    test: Callable[[Any], bool] | None = None,
    excluded: Sequence[str] = (),
    numbers: bool = False,
) -> Kind:
    """A str, which may have to match a pattern or pass a test. ``numbers``: files may also give a number."""
    max_length = max_length or (253 if pattern else None)
    schema: Schema = {
        "type": "string",
        **({"pattern": f"^(?:{pattern})$"} if pattern else {}),
        **({"maxLength": max_length} if max_length else {}),
        **({"not": {"enum": list(excluded)}} if excluded else {}),
    }

    def accepts(value: Any) -> bool:
        return (
            isinstance(value, str)
            and value not in excluded
            and (max_length is None or len(value) <= max_length)
            and (pattern is None or re.fullmatch(pattern, value, re.ASCII) is not None)
            and (test is None or test(value))
            # A lone surrogate is a str in Python only: nothing can write it.
            and (value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value))
        )

    whole = {"anyOf": [schema, {"type": "number", "minimum": 0}]} if numbers else schema
    return Kind("a str", "use a text in quotes", accepts, lambda _: whole)


def choice(values: Sequence[Any] | type[Enum]) -> Kind:
    """One of some texts, or a member of an enum, which files name by its value."""
    enum = values if isinstance(values, type) else None
    texts = [value.value if isinstance(value, Enum) else value for value in values]
    allowed, fix = ", ".join(texts), "use one of these values exactly as written"

    def accepts(value: Any) -> bool:
        return isinstance(value, enum) if enum else isinstance(value, str) and value in texts

    def convert(value: Any) -> Any:
        if enum is None:
            return value
        return enum(value) if value in texts else Invalid(show(value), allowed, fix)

    return Kind(allowed, fix, accepts, lambda _: {"enum": texts}, convert)


def tested(test: Callable[[Any], bool]) -> Kind:
    """A value that passes a test; its message comes from the annotation."""
    return Kind("", "", test, lambda _: {})


def nullable(kind: Kind) -> Kind:
    """A value, or None."""
    return Kind(
        f"{kind.allowed}, or None",
        kind.fix,
        lambda value: value is None or kind.accepts(value),
        lambda refer: {"anyOf": [kind.schema(refer), {"type": "null"}]},
        lambda value: None if value is None else kind.convert(value),
        lambda value, path: _nothing(value, path) if value is None else kind.problems(value, path),
        kind.redacted,
    )


def any_of(kinds: Sequence[Kind]) -> Kind:
    """A value of one of several kinds, of which the last may be props."""
    return Kind(
        " or ".join(kind.allowed for kind in kinds),
        "; ".join(kind.fix for kind in kinds),
        lambda value: any(kind.accepts(value) for kind in kinds),
        lambda refer: {"anyOf": [kind.schema(refer) for kind in kinds]},
        lambda value: kinds[-1].convert(value) if isinstance(value, Mapping) else value,
        lambda value, path: next(kind for kind in kinds if kind.accepts(value)).inner(value, path),
    )


def sequence_of(item: Kind) -> Kind:
    """A tuple or list. A str is refused: it would be read letter by letter."""
    fix = f"{item.fix.replace('{field}=', '{field}=[')}]" if "{field}=" in item.fix else item.fix
    return Kind(
        f"a tuple or list, each item: {item.allowed}",
        fix,
        lambda value: isinstance(value, (tuple, list)) and all(_accepts(item, each) for each in value),
        lambda refer: {"type": "array", "items": item.schema(refer)},
        lambda value: tuple(map(item.convert, value)) if isinstance(value, list) else value,
        lambda value, path: _items(item, enumerate(value), path),
        item.redacted,
    )


def mapping_of(key: Kind, item: Kind) -> Kind:
    """A mapping."""

    def accepts(value: Any) -> bool:
        is_mapping = isinstance(value, Mapping)
        return is_mapping and all(key.accepts(name) and _accepts(item, each) for name, each in value.items())

    def schema(refer: Refer) -> Schema:
        return {"type": "object", "propertyNames": key.schema(refer), "additionalProperties": item.schema(refer)}

    def convert(value: Any) -> Any:
        return {name: item.convert(each) for name, each in value.items()} if isinstance(value, Mapping) else value

    return Kind(
        f"a mapping from {key.allowed} to {item.allowed}",
        f"{key.fix}; {item.fix}",
        accepts,
        schema,
        convert,
        lambda value, path: _items(item, value.items(), path),
        item.redacted,
    )


def _accepts(kind: Kind, value: object) -> bool:
    """Whether an item is allowed, or has a problem of its own to report."""
    return isinstance(value, Invalid) or kind.accepts(value)


def _items(kind: Kind, items: Any, path: str) -> Iterator[Problem]:
    for name, item in items:
        yield from kind.problems(item, f"{path}[{name}]")
