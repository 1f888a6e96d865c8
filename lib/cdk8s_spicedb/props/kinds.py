"""What a value may be: a check, its JSON Schema, and how it is read from a file, for each kind of annotation.

`annotations` turns annotations into these kinds.
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
_MAX_LENGTH = 253


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
        """The same with the path of the field."""
        name = re.sub(r"\[.*?\]", "", path).rpartition(".")[2]
        return Problem(path, self.value, self.allowed, self.fix.replace("{field}", name))


class Kind:
    """What a value may be."""

    allowed = ""
    """What errors say is allowed."""
    fix = "use one of the allowed values"
    """How errors say to fix it; ``{field}`` stands for the field's name."""
    redacted = False
    """Whether the value may be a secret. Errors then describe it and do not show it."""

    def accepts(self, value: Any) -> bool:
        """Whether a value is allowed, apart from the props inside it."""
        raise NotImplementedError

    def schema(self, refer: Refer) -> Schema:
        """The JSON Schema of the value in a file."""
        raise NotImplementedError

    def convert(self, value: Any) -> Any:
        """The prop of a value in a file; `Invalid` where it cannot become one. Limits are checked afterwards."""
        return value

    def parts(self, value: Any) -> Iterator[tuple[str, Kind, object]]:
        """The values inside a value, each with its step in the path and its kind."""
        return iter(())

    def problems(self, value: object, path: str) -> Iterator[Problem]:
        """All problems of a value, and of the props inside it."""
        if isinstance(value, Invalid):
            yield value.problem(path)
        elif not self.accepts(value):
            yield Invalid(redact(value) if self.redacted else show(value), self.allowed, self.fix).problem(path)
        else:
            for step, kind, inner in self.parts(value):
                yield from kind.problems(inner, path + step)


class Flag(Kind):
    """True or False."""

    allowed, fix = "True or False", "use True or False, without quotes"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool)

    def schema(self, refer: Refer) -> Schema:
        return {"type": "boolean"}


class Number(Kind):
    """A number within limits."""

    def __init__(self, type: type, minimum: Any, maximum: Any, unit: str) -> None:
        self._types = (int,) if type is int else (int, float)
        self._minimum, self._maximum = minimum, maximum
        of = f" of {unit}" if unit else ""
        limits = f", {minimum} or more" if maximum is None else f" from {minimum} to {maximum}"
        self.allowed = f"a {'whole ' if type is int else ''}number{of}{limits}"
        self.fix = "use a number in that range, without quotes"

    def accepts(self, value: Any) -> bool:
        is_number = isinstance(value, self._types) and not isinstance(value, bool)
        return is_number and value >= self._minimum and (self._maximum is None or value <= self._maximum)

    def schema(self, refer: Refer) -> Schema:
        limits = {"minimum": self._minimum, "maximum": self._maximum}
        name = "integer" if self._types == (int,) else "number"
        return {"type": name, **{key: limit for key, limit in limits.items() if limit is not None}}


class Duration(Kind):
    """A ``datetime.timedelta`` within limits; in a file, a text such as ``90s``."""

    def __init__(self, minimum: timedelta, maximum: timedelta) -> None:
        self._minimum, self._maximum = minimum, maximum
        self.allowed = f"a datetime.timedelta from {minimum.total_seconds():g} s to {maximum.total_seconds():g} s"
        examples = [
            f"timedelta({name}={value})"
            for name, value in (("seconds", 30), ("minutes", 30), ("hours", 24))
            if minimum <= timedelta(**{name: value}) <= maximum
        ]
        self.fix = f"use a duration such as {examples[0]}"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, timedelta) and self._minimum <= value <= self._maximum

    def schema(self, refer: Refer) -> Schema:
        return {"type": "string", "pattern": f"^{DURATION}$"}

    def convert(self, value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(DURATION, value):
            fix = "use a number with its unit: ms, s, m or h"
            return Invalid(show(value), "a duration, such as 90s or 1h30m", fix)
        seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h)", value))
        # A duration longer than any timedelta is above every maximum, and the check says so.
        return timedelta(seconds=seconds) if seconds < timedelta.max.total_seconds() else timedelta.max


class Moment(Kind):
    """A ``datetime.datetime`` with a time zone."""

    allowed = "a datetime with a time zone"
    fix = "use a time such as datetime(2026, 11, 1, tzinfo=timezone.utc)"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, datetime) and value.tzinfo is not None

    def schema(self, refer: Refer) -> Schema:
        return {"type": "string", "format": "date-time"}


class Text(Kind):
    """A str, which may have to match a pattern or pass a test."""

    allowed, fix = "a str", "use a text in quotes"

    def __init__(
        self,
        pattern: str | None = None,
        max_length: int | None = None,
        test: Callable[[Any], bool] | None = None,
        excluded: Sequence[str] = (),
        numbers: bool = False,
    ) -> None:
        self._pattern, self._test, self._excluded, self._numbers = pattern, test, excluded, numbers
        self._max_length = max_length or (_MAX_LENGTH if pattern else None)

    def accepts(self, value: Any) -> bool:
        return (
            isinstance(value, str)
            and value not in self._excluded
            and (self._max_length is None or len(value) <= self._max_length)
            and (self._pattern is None or re.fullmatch(self._pattern, value, re.ASCII) is not None)
            and (self._test is None or self._test(value))
            # A lone surrogate is a str in Python alone: nothing can write it.
            and (value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value))
        )

    def schema(self, refer: Refer) -> Schema:
        schema: Schema = {"type": "string"}
        if self._pattern is not None:
            schema["pattern"] = f"^(?:{self._pattern})$"
        if self._max_length is not None:
            schema["maxLength"] = self._max_length
        if self._excluded:
            schema["not"] = {"enum": list(self._excluded)}
        return {"anyOf": [schema, {"type": "number", "minimum": 0}]} if self._numbers else schema


class Choice(Kind):
    """One of some values, or a member of an enum."""

    fix = "use one of these values exactly as written"

    def __init__(self, values: Sequence[Any] | type[Enum]) -> None:
        self._enum = values if isinstance(values, type) else None
        self._values = [value.value if isinstance(value, Enum) else value for value in values]
        self.allowed = ", ".join(map(str, self._values))

    def accepts(self, value: Any) -> bool:
        if self._enum:
            return isinstance(value, self._enum)
        return isinstance(value, str) and value in self._values

    def schema(self, refer: Refer) -> Schema:
        return {"enum": list(self._values)}

    def convert(self, value: Any) -> Any:
        if self._enum is None:
            return value
        return self._enum(value) if value in self._values else Invalid(show(value), self.allowed, self.fix)


class Anything(Kind):
    """What a function accepts."""

    def __init__(self, test: Callable[[Any], bool]) -> None:
        self._test = test

    def accepts(self, value: Any) -> bool:
        return self._test(value)

    def schema(self, refer: Refer) -> Schema:
        return {}


class Nullable(Kind):
    """A value, or None."""

    def __init__(self, kind: Kind) -> None:
        self._kind, self.fix, self.redacted = kind, kind.fix, kind.redacted
        self.allowed = f"{kind.allowed}, or None"

    def accepts(self, value: Any) -> bool:
        return value is None or self._kind.accepts(value)

    def schema(self, refer: Refer) -> Schema:
        return {"anyOf": [self._kind.schema(refer), {"type": "null"}]}

    def convert(self, value: Any) -> Any:
        return None if value is None else self._kind.convert(value)

    def parts(self, value: Any) -> Iterator[tuple[str, Kind, object]]:
        if value is not None:
            yield "", self._kind, value


class AnyOf(Kind):
    """A value of one of several kinds."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = kinds
        self.allowed = " or ".join(kind.allowed for kind in kinds)
        self.fix = "; ".join(kind.fix for kind in kinds)

    def accepts(self, value: Any) -> bool:
        return any(kind.accepts(value) for kind in self._kinds)

    def schema(self, refer: Refer) -> Schema:
        return {"anyOf": [kind.schema(refer) for kind in self._kinds]}

    def convert(self, value: Any) -> Any:
        # A mapping can only become props.
        return self._kinds[-1].convert(value) if isinstance(value, Mapping) else value

    def parts(self, value: Any) -> Iterator[tuple[str, Kind, object]]:
        yield from (("", kind, value) for kind in self._kinds if kind.accepts(value))


class Items(Kind):
    """A sequence. A str is refused: it would be read letter by letter."""

    def __init__(self, item: Kind) -> None:
        self._item, self.fix, self.redacted = item, item.fix, item.redacted
        self.allowed = f"a tuple or list, each item: {item.allowed}"
        if "{field}=" in item.fix:
            self.fix = f"{item.fix.replace('{field}=', '{field}=[')}]"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, (tuple, list)) and all(_accepts(self._item, item) for item in value)

    def schema(self, refer: Refer) -> Schema:
        return {"type": "array", "items": self._item.schema(refer)}

    def convert(self, value: Any) -> Any:
        return tuple(map(self._item.convert, value)) if isinstance(value, list) else value

    def parts(self, value: Any) -> Iterator[tuple[str, Kind, object]]:
        yield from ((f"[{number}]", self._item, item) for number, item in enumerate(value))


class Entries(Kind):
    """A mapping."""

    def __init__(self, key: Kind, value: Kind) -> None:
        self._key, self._value, self.redacted = key, value, value.redacted
        self.allowed = f"a mapping from {key.allowed} to {value.allowed}"
        self.fix = f"{key.fix}; {value.fix}"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Mapping) and all(
            self._key.accepts(key) and _accepts(self._value, item) for key, item in value.items()
        )

    def schema(self, refer: Refer) -> Schema:
        values = self._value.schema(refer)
        return {"type": "object", "propertyNames": self._key.schema(refer), "additionalProperties": values}

    def convert(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {key: self._value.convert(item) for key, item in value.items()}

    def parts(self, value: Any) -> Iterator[tuple[str, Kind, object]]:
        yield from ((f"[{key}]", self._value, item) for key, item in value.items())


def _accepts(kind: Kind, value: object) -> bool:
    """Whether an item is allowed, or has a problem of its own to report."""
    return isinstance(value, Invalid) or kind.accepts(value)
