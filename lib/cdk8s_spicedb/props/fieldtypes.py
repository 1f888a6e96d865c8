"""What fields take: a class for each form of value, with its check, its JSON Schema, and how to read it from a file.

`fields` makes these types from the annotations of props. Texts of messages are the same for Python and for files,
except for the `PLACEHOLDER`\\ s in them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
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
    try:
        text = repr(value.value if isinstance(value, Enum) else value)
    except ValueError:
        return "(a number with too many digits to show)"
    return text if len(text) <= 80 else f"{text[:77]}..."


def redact(value: object) -> str:
    """A value that may be secret, for an error message."""
    if value is None:
        return "None"
    kinds = {
        "str": "text",
        "dict": "a mapping",
        "list": "a list",
        "tuple": "a list",
        "int": "a number",
        "float": "a number",
    }
    name = type(value).__name__
    return f"({kinds.get(name, f'a {name}')}, hidden: may be a secret)"


def nearest(word: object, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that is most similar to a wrong one. None: no word is similar."""
    return next(iter(get_close_matches(str(word), list(known), 1, cutoff)), None)


def some_keys(known: Sequence[str], wrong: str = "") -> str:
    """The keys of a mapping for a message: all if they are few, or else those most similar to a wrong one."""
    if len(known) <= _MOST_KEYS:
        return ", ".join(known)
    near = get_close_matches(wrong, known, SHOWN_KEYS, 0) if wrong else known[:SHOWN_KEYS]
    return f"{', '.join(near)}, and {len(known) - len(near)} more, which `cdk8s-spicedb json-schema` lists"


SHOWN_KEYS, _MOST_KEYS = 8, 12
"""If a mapping has more keys than the second number, a message names only the first number of them."""


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


# ---------------------------------------------------------------- the base class


class FieldType(ABC):
    """What a field takes."""

    def __init__(self, allowed: str, fix: str, redacted: bool = False) -> None:
        self.allowed = allowed
        """What errors say is allowed."""
        self.fix = fix
        """How errors say to fix it; ``{field}`` stands for the field's name."""
        self.redacted = redacted
        """Whether the value may be a secret. Errors then describe it and do not show it."""

    @abstractmethod
    def accepts(self, value: Any) -> bool:
        """Whether a value is allowed, apart from the props inside it."""

    @abstractmethod
    def schema(self, refer: Refer) -> Schema:
        """The JSON Schema of the value in a file."""

    def read(self, value: Any) -> Any:
        """The prop of a value in a file; `Invalid` if it cannot become one. `check` tells whether it is allowed."""
        return value

    def fits(self, value: Mapping[Any, Any]) -> int:
        """How well a mapping of a file fits: the number of its keys that the type has."""
        return -1

    def inside(self, value: Any, path: str) -> Iterable[Problem]:
        """The problems inside an allowed value, whose path it gets."""
        return ()

    def fix_of(self, value: object) -> str:
        """How errors say to fix a value that is not allowed."""
        return self.fix

    def check(self, value: object, path: str) -> Iterable[Problem]:
        """All problems of a value and of the props inside it."""
        if isinstance(value, Invalid):
            return (value.problem(path),)
        if self.accepts(value):
            return self.inside(value, path)
        shown = redact(value) if self.redacted else show(value)
        return (Invalid(shown, self.allowed, self.fix_of(value)).problem(path),)


class Limited(FieldType):
    """The values of a type that also pass a test, which their schema expresses as far as it can; None keeps a text."""

    def __init__(
        self,
        base: FieldType,
        test: Callable[[Any], bool] = lambda _: True,
        schema: Schema | None = None,
        *,
        allowed: str | None = None,
        fix: str | None = None,
        redacted: bool = False,
    ) -> None:
        super().__init__(allowed or base.allowed, fix or base.fix, redacted or base.redacted)
        self.base, self.test, self.limits = base, test, schema or {}

    def accepts(self, value: Any) -> bool:
        return self.base.accepts(value) and self.test(value)

    def schema(self, refer: Refer) -> Schema:
        return {**self.base.schema(refer), **self.limits}

    def read(self, value: Any) -> Any:
        return self.base.read(value)

    def inside(self, value: Any, path: str) -> Iterable[Problem]:
        return self.base.inside(value, path)


class OrNumber(Limited):
    """Texts for which files may also give a number, which the field's converter makes a text."""

    def schema(self, refer: Refer) -> Schema:
        return {"anyOf": [super().schema(refer), {"type": "number", "minimum": 0}]}


# ---------------------------------------------------------------- plain values


class Plain(FieldType):
    """A value of a plain type."""

    def __init__(self, type_: Any, allowed: str, fix: str, **schema: Any) -> None:
        super().__init__(allowed, fix)
        self.type, self.limits = type_, schema

    def accepts(self, value: Any) -> bool:
        # In Python, a bool is also an int. Here it is not a number.
        return isinstance(value, self.type) and (self.type in (bool, object) or not isinstance(value, bool))

    def schema(self, refer: Refer) -> Schema:
        return self.limits


_DURATION = r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+"
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_EXAMPLES = {
    "{timedelta(seconds=30)|30s}": timedelta(seconds=30),
    "{timedelta(minutes=30)|30m}": timedelta(minutes=30),
    "{timedelta(hours=24)|24h}": timedelta(days=1),
}


class Duration(Plain):
    """A ``timedelta``. Files write it as SpiceDB and Kubernetes do: ``90s``, ``1h30m``."""

    def read(self, value: Any) -> timedelta | Invalid:
        if not isinstance(value, str) or not re.fullmatch(_DURATION, value):
            return Invalid(show(value), "a duration, such as 90s or 1h30m", "use a number with its unit: ms, s, m or h")
        seconds = sum(float(count) * _UNITS[unit] for count, unit in re.findall(r"([\d.]+)(ms|s|m|h)", value))
        # A duration longer than any timedelta is above every maximum, and the check says so.
        return timedelta(seconds=seconds) if seconds < timedelta.max.total_seconds() else timedelta.max


def between(base: FieldType, minimum: Any, maximum: Any) -> FieldType:
    """The values of a type from a minimum to a maximum. None: there is no maximum."""

    def test(value: Any) -> bool:
        return bool(value >= minimum and (maximum is None or value <= maximum))

    end = ", {} or more" if maximum is None else " from {} to {}"
    allowed = base.allowed + end.format(show(minimum), show(maximum))
    if isinstance(base, Duration):
        example = next(text for text, value in _EXAMPLES.items() if test(value))
        return Limited(base, test, allowed=allowed, fix=f"use a duration such as {example}")
    schema = {"minimum": minimum} if maximum is None else {"minimum": minimum, "maximum": maximum}
    return Limited(base, test, schema, allowed=allowed)


class Choice(FieldType):
    """One of some texts, or a member of an enum. The converter of the field takes the names that files give."""

    def __init__(self, members: Iterable[Any]) -> None:
        self.members = list(members)
        self.texts = [member.value if isinstance(member, Enum) else member for member in self.members]
        super().__init__(", ".join(self.texts), "use one of these values exactly as written")

    def accepts(self, value: Any) -> bool:
        return value in self.members

    def fix_of(self, value: object) -> str:
        found = nearest(value.lower(), self.texts, 0.7) if isinstance(value, str) else None
        return f"did you mean {found}?" if found else self.fix

    def schema(self, refer: Refer) -> Schema:
        return {"enum": self.texts}


def _can_be_written(value: str) -> bool:
    """A lone surrogate is a str in Python only: nothing can write it."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


_BOOL = "{True} or {False}"
_NUMBER = "use a number in that range, without quotes"
_TIME = "use a time such as datetime(2026, 11, 1, tzinfo=timezone.utc)"
PLAIN: Mapping[Any, FieldType] = {
    Any: Plain(object, "", ""),
    bool: Plain(bool, _BOOL, f"use {_BOOL}, without quotes", type="boolean"),
    int: Plain(int, "a whole number", _NUMBER, type="integer"),
    float: Plain((int, float), "a number", _NUMBER, type="number"),
    str: Limited(Plain(str, "{a str|a text}", "use a text in quotes", type="string"), _can_be_written),
    timedelta: Duration(timedelta, "{a datetime.timedelta|a duration}", "", type="string", pattern=f"^{_DURATION}$"),
    datetime: Limited(
        Plain(datetime, "a datetime with a time zone", _TIME, type="string", format="date-time"),
        lambda value: value.tzinfo is not None,
    ),
}
"""The types of plain values."""

# ---------------------------------------------------------------- types made of others


class Nullable(FieldType):
    """A value, or None."""

    def __init__(self, item: FieldType) -> None:
        super().__init__(f"{item.allowed}, or {{None}}", item.fix, item.redacted)
        self.item = item

    def accepts(self, value: Any) -> bool:
        return value is None or self.item.accepts(value)

    def fix_of(self, value: object) -> str:
        return self.item.fix_of(value)

    def schema(self, refer: Refer) -> Schema:
        return {"anyOf": [self.item.schema(refer), {"type": "null"}]}

    def read(self, value: Any) -> Any:
        return None if value is None else self.item.read(value)

    def inside(self, value: Any, path: str) -> Iterable[Problem]:
        return () if value is None else self.item.inside(value, path)


class AnyOf(FieldType):
    """A value of one of several types. Files give those that are props as a mapping."""

    def __init__(self, options: Sequence[FieldType]) -> None:
        super().__init__(
            " or ".join(option.allowed for option in options),
            "; ".join(option.fix for option in options),
            # A value that fits none is most probably meant as the first.
            options[0].redacted,
        )
        self.options = options

    def accepts(self, value: Any) -> bool:
        return any(option.accepts(value) for option in self.options)

    def schema(self, refer: Refer) -> Schema:
        return {"anyOf": [option.schema(refer) for option in self.options]}

    def read(self, value: Any) -> Any:
        return (
            max(self.options, key=lambda option: option.fits(value)).read(value)
            if isinstance(value, Mapping)
            else value
        )

    def inside(self, value: Any, path: str) -> Iterable[Problem]:
        return next(option for option in self.options if option.accepts(value)).inside(value, path)


class SequenceOf(FieldType):
    """A tuple or list. A str is refused: it would be read letter by letter."""

    def __init__(self, item: FieldType) -> None:
        fix = f"{item.fix.replace('{field=}', '{field=}[')}]" if "{field=}" in item.fix else item.fix
        super().__init__(f"{{a tuple or list|a list}}, each item: {item.allowed}", fix, item.redacted)
        self.item = item

    def accepts(self, value: Any) -> bool:
        return isinstance(value, (tuple, list)) and _accepts_all(self.item, value)

    def schema(self, refer: Refer) -> Schema:
        return {"type": "array", "items": self.item.schema(refer)}

    def read(self, value: Any) -> Any:
        return tuple(map(self.item.read, value)) if isinstance(value, list) else value

    def inside(self, value: Any, path: str) -> Iterable[Problem]:
        return _inside(self.item, enumerate(value), path)


class MappingOf(FieldType):
    """A mapping."""

    def __init__(self, key: FieldType, item: FieldType) -> None:
        allowed = f"a mapping from {key.allowed} to {item.allowed}"
        super().__init__(allowed, f"{key.fix}; {item.fix}", item.redacted)
        self.key, self.item = key, item

    def accepts(self, value: Any) -> bool:
        keys = isinstance(value, Mapping) and all(map(self.key.accepts, value))
        return keys and _accepts_all(self.item, value.values())

    def fix_of(self, value: object) -> str:
        """Only about the keys, or only about the values, if the others are allowed."""
        if not isinstance(value, Mapping) or not value:
            return self.fix
        wrong = next((key for key in value if not self.key.accepts(key)), None)
        return self.item.fix if wrong is None else self.key.fix_of(wrong)

    def schema(self, refer: Refer) -> Schema:
        names, item = self.key.schema(refer), self.item.schema(refer)
        # Helm reports a wrong name at another place if its schema is in propertyNames.
        if "enum" in names:
            properties: Schema = {"properties": dict.fromkeys(names["enum"], item)}
        else:
            excluded = names.get("not", {}).get("enum", ())
            properties = {"properties": dict.fromkeys(excluded, False)} if excluded else {}
            properties["patternProperties"] = {names["pattern"]: item}
        return {"type": "object", **properties, "additionalProperties": False}

    def read(self, value: Any) -> Any:
        return {name: self.item.read(item) for name, item in value.items()} if isinstance(value, Mapping) else value

    def inside(self, value: Any, path: str) -> Iterable[Problem]:
        return _inside(self.item, value.items(), path)


def _accepts_all(type_: FieldType, items: Iterable[object]) -> bool:
    """Whether each item is allowed, or has a problem of its own to report."""
    return all(isinstance(item, Invalid) or type_.accepts(item) for item in items)


def _inside(type_: FieldType, items: Iterable[tuple[object, object]], path: str) -> Iterator[Problem]:
    """The problems of items, each with its index or key."""
    return (problem for name, item in items for problem in type_.check(item, f"{path}[{name}]"))
