"""What values are allowed: how to check them, their JSON Schema, and how to read them from a file.

`annotations` turns the annotations of props into these kinds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from attrs import evolve, frozen

from ..errors import Problem

Schema = dict[str, Any]
Refer = Callable[[type], Schema]
"""Gives the schema of a class, or a reference to it."""

DURATION = r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+"
"""Durations as SpiceDB and Kubernetes write them: ``90s``, ``1h30m``."""
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_EXAMPLES = {"seconds=30": timedelta(seconds=30), "minutes=30": timedelta(minutes=30), "hours=24": timedelta(days=1)}


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
    inner: Callable[[Any, str], Iterable[Problem]] = lambda value, path: ()
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

    def limited(self, test: Callable[[Any], bool], **schema: Any) -> Kind:
        """The allowed values that also pass a test, which their schema expresses as far as it can."""
        return evolve(
            self,
            accepts=lambda value: self.accepts(value) and test(value),
            schema=lambda refer: {**self.schema(refer), **schema},
        )

    def between(self, minimum: Any, maximum: Any) -> Kind:
        """Numbers or durations within limits."""

        def test(value: Any) -> bool:
            return bool(value >= minimum and (maximum is None or value <= maximum))

        limits = f", {show(minimum)} or more" if maximum is None else f" from {show(minimum)} to {show(maximum)}"
        if isinstance(minimum, timedelta):
            example = next(text for text, value in _EXAMPLES.items() if test(value))
            kind = evolve(self.limited(test), fix=f"use a duration such as timedelta({example})")
        else:
            ends = {"minimum": minimum, "maximum": maximum}
            kind = self.limited(test, **{name: end for name, end in ends.items() if end is not None})
        return evolve(kind, allowed=f"{self.allowed}{limits}")


# ---------------------------------------------------------------- plain values


def tested(test: Callable[[Any], bool]) -> Kind:
    """A value that passes a test; its message comes from the annotation."""
    return Kind("", "", test, lambda _: {})


def choice(values: Sequence[Any] | type[Enum]) -> Kind:
    """One of some texts, or a member of an enum, which files name by its value."""
    members = list(values)
    texts = [member.value if isinstance(member, Enum) else member for member in members]
    allowed, fix = ", ".join(texts), "use one of these values exactly as written"

    def convert(value: Any) -> Any:
        if not isinstance(values, type):
            return value
        return values(value) if value in texts else Invalid(show(value), allowed, fix)

    return Kind(allowed, fix, lambda value: value in members, lambda _: {"enum": texts}, convert)


def _plain(type_: Any, allowed: str, fix: str, **schema: Any) -> Kind:
    # In Python, a bool is also an int. Here it is not a number.
    return Kind(
        allowed,
        fix,
        lambda value: isinstance(value, type_) and (type_ is bool or not isinstance(value, bool)),
        lambda _: schema,
    )


def _read_duration(value: Any) -> timedelta | Invalid:
    if not isinstance(value, str) or not re.fullmatch(DURATION, value):
        return Invalid(show(value), "a duration, such as 90s or 1h30m", "use a number with its unit: ms, s, m or h")
    seconds = sum(float(count) * _UNITS[unit] for count, unit in re.findall(r"([\d.]+)(ms|s|m|h)", value))
    # A duration longer than any timedelta is above every maximum, and the check says so.
    return timedelta(seconds=seconds) if seconds < timedelta.max.total_seconds() else timedelta.max


def _can_be_written(value: str) -> bool:
    """A lone surrogate is a str in Python only: nothing can write it."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


_NUMBER = "use a number in that range, without quotes"
_TIME = "use a time such as datetime(2026, 11, 1, tzinfo=timezone.utc)"
_DURATION = _plain(timedelta, "a datetime.timedelta", "", type="string", pattern=f"^{DURATION}$")
PLAIN: Mapping[Any, Kind] = {
    Any: tested(lambda _: True),
    bool: _plain(bool, "True or False", "use True or False, without quotes", type="boolean"),
    int: _plain(int, "a whole number", _NUMBER, type="integer"),
    float: _plain((int, float), "a number", _NUMBER, type="number"),
    str: _plain(str, "a str", "use a text in quotes", type="string").limited(_can_be_written),
    timedelta: evolve(_DURATION, convert=_read_duration),
    datetime: _plain(datetime, "a datetime with a time zone", _TIME, type="string", format="date-time").limited(
        lambda value: value.tzinfo is not None
    ),
}
"""The kinds of plain values by their type."""

# ---------------------------------------------------------------- kinds made of others


def nullable(kind: Kind) -> Kind:
    """A value, or None."""
    return evolve(
        kind,
        allowed=f"{kind.allowed}, or None",
        accepts=lambda value: value is None or kind.accepts(value),
        schema=lambda refer: {"anyOf": [kind.schema(refer), {"type": "null"}]},
        convert=lambda value: None if value is None else kind.convert(value),
        inner=lambda value, path: () if value is None else kind.inner(value, path),
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
    return Kind(
        f"a tuple or list, each item: {item.allowed}",
        f"{item.fix.replace('{field}=', '{field}=[')}]" if "{field}=" in item.fix else item.fix,
        lambda value: isinstance(value, (tuple, list)) and _accepts_all(item, value),
        lambda refer: {"type": "array", "items": item.schema(refer)},
        lambda value: tuple(map(item.convert, value)) if isinstance(value, list) else value,
        lambda value, path: _inside(item, enumerate(value), path),
        item.redacted,
    )


def mapping_of(key: Kind, item: Kind) -> Kind:
    """A mapping."""

    def schema(refer: Refer) -> Schema:
        return {"type": "object", **_by_name(key.schema(refer), item.schema(refer)), "additionalProperties": False}

    def convert(value: Any) -> Any:
        return {name: item.convert(each) for name, each in value.items()} if isinstance(value, Mapping) else value

    return Kind(
        f"a mapping from {key.allowed} to {item.allowed}",
        f"{key.fix}; {item.fix}",
        lambda value: (
            isinstance(value, Mapping) and all(map(key.accepts, value)) and _accepts_all(item, value.values())
        ),
        schema,
        convert,
        lambda value, path: _inside(item, value.items(), path),
        item.redacted,
    )


def _by_name(names: Schema, item: Schema) -> Schema:
    """The schema of a mapping's items. Helm reports a wrong name at another place if its schema is in propertyNames."""
    if "enum" in names:
        return {"properties": dict.fromkeys(names["enum"], item)}
    excluded = names.get("not", {}).get("enum", ())
    properties = {"properties": dict.fromkeys(excluded, False)} if excluded else {}
    return {**properties, "patternProperties": {names["pattern"]: item}}


def _accepts_all(kind: Kind, items: Iterable[object]) -> bool:
    """Whether each item is allowed, or has a problem of its own to report."""
    return all(isinstance(item, Invalid) or kind.accepts(item) for item in items)


def _inside(kind: Kind, items: Iterable[tuple[object, object]], path: str) -> Iterator[Problem]:
    """The problems of items, each with its index or key."""
    return (problem for name, item in items for problem in kind.problems(item, f"{path}[{name}]"))
