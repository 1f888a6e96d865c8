"""What fields take: how a value is checked, its JSON Schema, and how to read it from a file.

`fields` makes these types from the annotations of props. Texts of messages are the same for Python and for files,
except for the `PLACEHOLDER`\\ s in them.
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

# ---------------------------------------------------------------- messages

PLACEHOLDER = re.compile(r"\{(?P<name>[\w.]+)(?P<equals>=?)\}|\{(?P<python>[^{}|]+)\|(?P<yaml>(?:[^{}]|\{[^{}]*\})+)\}")
"""What Python and files write differently: the name of a field, ``{log_level}``; a name before its value,
``{log_level=}``; ``{None}``, ``{True}`` and ``{False}``; and all other words, ``{a str|a text}``."""


def in_python(problem: Problem) -> Problem:
    """A problem with its placeholders in the words of Python."""
    allowed, fix = (PLACEHOLDER.sub(_python_word, text) for text in (problem.allowed, problem.fix))
    return evolve(problem, allowed=allowed, fix=fix)


def _python_word(found: re.Match[str]) -> str:
    return found["python"] or found["name"] + found["equals"]


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
        """The problem of the field at a path; ``{field}`` in the fix stands for the field's name."""
        name = re.sub(r"\[.*?\]", "", path).rpartition(".")[2]
        return Problem(path, self.value, self.allowed, self.fix.replace("{field", f"{{{name}"))


# ---------------------------------------------------------------- types


@frozen(eq=False)
class FieldType:
    """What a field takes."""

    allowed: str
    """What errors say is allowed."""
    fix: str
    """How errors say to fix it; ``{field}`` stands for the field's name."""
    accepts: Callable[[Any], bool]
    """Whether a value is allowed, apart from the props inside it."""
    schema: Callable[[Refer], Schema]
    """The JSON Schema of the value in a file."""
    read: Callable[[Any], Any] = lambda value: value
    """The prop of a value in a file; `Invalid` if it cannot become one. `check` tells whether it is allowed."""
    inside: Callable[[Any, str], Iterable[Problem]] = lambda value, path: ()
    """The problems inside an allowed value, whose path it gets."""
    redacted: bool = False
    """Whether the value may be a secret. Errors then describe it and do not show it."""

    def check(self, value: object, path: str) -> Iterable[Problem]:
        """All problems of a value and of the props inside it."""
        if isinstance(value, Invalid):
            return (value.problem(path),)
        if self.accepts(value):
            return self.inside(value, path)
        shown = redact(value) if self.redacted else show(value)
        return (Invalid(shown, self.allowed, self.fix).problem(path),)


def described(base: FieldType, allowed: str | None = None, fix: str | None = None, redacted: bool = False) -> FieldType:
    """The same values with other texts; None keeps a text."""
    return evolve(base, allowed=allowed or base.allowed, fix=fix or base.fix, redacted=redacted or base.redacted)


def limited(base: FieldType, test: Callable[[Any], bool], limits: Schema | None = None) -> FieldType:
    """The values of a type that also pass a test, which their schema expresses as far as it can."""
    return evolve(
        base,
        accepts=lambda value: base.accepts(value) and test(value),
        schema=lambda refer: {**base.schema(refer), **(limits or {})},
    )


def between(base: FieldType, minimum: Any, maximum: Any) -> FieldType:
    """The values of a type from a minimum to a maximum. None: there is no maximum."""

    def test(value: Any) -> bool:
        return bool(value >= minimum and (maximum is None or value <= maximum))

    end = ", {} or more" if maximum is None else " from {} to {}"
    allowed = base.allowed + end.format(show(minimum), show(maximum))
    if isinstance(minimum, timedelta):
        example = next(text for text, value in _EXAMPLES.items() if test(value))
        return described(limited(base, test), allowed, f"use a duration such as {example}")
    limits = {"minimum": minimum} if maximum is None else {"minimum": minimum, "maximum": maximum}
    return described(limited(base, test, limits), allowed)


def choice(members: Iterable[Any]) -> FieldType:
    """One of some texts, or a member of an enum. The converter of the field takes the names that files give."""
    allowed = list(members)
    texts = [member.value if isinstance(member, Enum) else member for member in allowed]
    fix = "use one of these values exactly as written"
    return FieldType(", ".join(texts), fix, lambda value: value in allowed, lambda _: {"enum": texts})


def nullable(item: FieldType) -> FieldType:
    """A value, or None."""
    return evolve(
        item,
        allowed=f"{item.allowed}, or {{None}}",
        accepts=lambda value: value is None or item.accepts(value),
        schema=lambda refer: {"anyOf": [item.schema(refer), {"type": "null"}]},
        read=lambda value: None if value is None else item.read(value),
        inside=lambda value, path: () if value is None else item.inside(value, path),
    )


def or_number(text: FieldType) -> FieldType:
    """Texts for which files may also give a number, which the field's converter makes a text."""
    return evolve(text, schema=lambda refer: {"anyOf": [text.schema(refer), {"type": "number", "minimum": 0}]})


def any_of(options: Sequence[FieldType]) -> FieldType:
    """A value of one of several types, of which the last may be props."""
    return FieldType(
        " or ".join(option.allowed for option in options),
        "; ".join(option.fix for option in options),
        accepts=lambda value: any(option.accepts(value) for option in options),
        schema=lambda refer: {"anyOf": [option.schema(refer) for option in options]},
        read=lambda value: options[-1].read(value) if isinstance(value, Mapping) else value,
        inside=lambda value, path: next(each for each in options if each.accepts(value)).inside(value, path),
    )


def sequence_of(item: FieldType) -> FieldType:
    """A tuple or list. A str is refused: it would be read letter by letter."""
    return FieldType(
        f"{{a tuple or list|a list}}, each item: {item.allowed}",
        f"{item.fix.replace('{field=}', '{field=}[')}]" if "{field=}" in item.fix else item.fix,
        accepts=lambda value: isinstance(value, (tuple, list)) and _accepts_all(item, value),
        schema=lambda refer: {"type": "array", "items": item.schema(refer)},
        read=lambda value: tuple(map(item.read, value)) if isinstance(value, list) else value,
        inside=lambda value, path: _inside(item, enumerate(value), path),
        redacted=item.redacted,
    )


def mapping_of(key: FieldType, item: FieldType) -> FieldType:
    """A mapping."""

    def accepts(value: Any) -> bool:
        keys = isinstance(value, Mapping) and all(map(key.accepts, value))
        return keys and _accepts_all(item, value.values())

    def schema(refer: Refer) -> Schema:
        names, of_item = key.schema(refer), item.schema(refer)
        # Helm reports a wrong name at another place if its schema is in propertyNames.
        if "enum" in names:
            properties: Schema = {"properties": dict.fromkeys(names["enum"], of_item)}
        else:
            excluded = names.get("not", {}).get("enum", ())
            properties = {"properties": dict.fromkeys(excluded, False)} if excluded else {}
            properties["patternProperties"] = {names["pattern"]: of_item}
        return {"type": "object", **properties, "additionalProperties": False}

    def read(value: Any) -> Any:
        return {name: item.read(each) for name, each in value.items()} if isinstance(value, Mapping) else value

    def inside(value: Any, path: str) -> Iterable[Problem]:
        return _inside(item, value.items(), path)

    allowed = f"a mapping from {key.allowed} to {item.allowed}"
    return FieldType(allowed, f"{key.fix}; {item.fix}", accepts, schema, read, inside, item.redacted)


def _accepts_all(type_: FieldType, items: Iterable[object]) -> bool:
    """Whether each item is allowed, or has a problem of its own to report."""
    return all(isinstance(item, Invalid) or type_.accepts(item) for item in items)


def _inside(type_: FieldType, items: Iterable[tuple[object, object]], path: str) -> Iterator[Problem]:
    """The problems of items, each with its index or key."""
    return (problem for name, item in items for problem in type_.check(item, f"{path}[{name}]"))


# ---------------------------------------------------------------- plain values


def plain(type_: Any, allowed: str, fix: str, **schema: Any) -> FieldType:
    """A value of a plain type."""

    def accepts(value: Any) -> bool:
        # In Python, a bool is also an int. Here it is not a number.
        return isinstance(value, type_) and (type_ in (bool, object) or not isinstance(value, bool))

    return FieldType(allowed, fix, accepts, lambda _: schema)


_DURATION = r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+"
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_EXAMPLES = {
    "{timedelta(seconds=30)|30s}": timedelta(seconds=30),
    "{timedelta(minutes=30)|30m}": timedelta(minutes=30),
    "{timedelta(hours=24)|24h}": timedelta(days=1),
}


def _duration(value: Any) -> timedelta | Invalid:
    """A ``timedelta`` as SpiceDB and Kubernetes write it: ``90s``, ``1h30m``."""
    if not isinstance(value, str) or not re.fullmatch(_DURATION, value):
        return Invalid(show(value), "a duration, such as 90s or 1h30m", "use a number with its unit: ms, s, m or h")
    seconds = sum(float(count) * _UNITS[unit] for count, unit in re.findall(r"([\d.]+)(ms|s|m|h)", value))
    # A duration longer than any timedelta is above every maximum, and the check says so.
    return timedelta(seconds=seconds) if seconds < timedelta.max.total_seconds() else timedelta.max


def _can_be_written(value: str) -> bool:
    """A lone surrogate is a str in Python only: nothing can write it."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


_BOOL = "{True} or {False}"
_NUMBER = "use a number in that range, without quotes"
_TIME = "use a time such as datetime(2026, 11, 1, tzinfo=timezone.utc)"
PLAIN: Mapping[Any, FieldType] = {
    Any: plain(object, "", ""),
    bool: plain(bool, _BOOL, f"use {_BOOL}, without quotes", type="boolean"),
    int: plain(int, "a whole number", _NUMBER, type="integer"),
    float: plain((int, float), "a number", _NUMBER, type="number"),
    str: limited(plain(str, "{a str|a text}", "use a text in quotes", type="string"), _can_be_written),
    timedelta: evolve(
        plain(timedelta, "{a datetime.timedelta|a duration}", "", type="string", pattern=f"^{_DURATION}$"),
        read=_duration,
    ),
    datetime: limited(
        plain(datetime, "a datetime with a time zone", _TIME, type="string", format="date-time"),
        lambda value: value.tzinfo is not None,
    ),
}
"""The types of plain values."""
