"""Schedules of CronJobs: their syntax, and the longest time between two runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from typing import Annotated

from annotated_types import Predicate
from attrs import frozen

from .fields import Message, Pattern

_MACROS: Mapping[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@frozen
class _Part:
    """One of the five parts of a schedule."""

    first: int
    last: int
    number: str
    """A regular expression of its numbers."""
    names: Sequence[str] = ()
    """Names that may stand for the numbers, from the first one on."""

    @property
    def regex(self) -> str:
        """A regular expression of the part. It does not say that a range begins with its lower end."""
        names = [form for name in self.names for form in (name, name.upper(), name.title())]
        value = f"({'|'.join([self.number, *names])})"
        item = rf"([*?]|{value}(-{value})?)(/[1-9]\d?)?"
        return f"{item}(,{item})*"

    def value(self, text: str) -> int:
        return int(text) if text.isdecimal() else self.first + self.names.index(text.lower())

    def ranges(self, text: str) -> Iterator[range]:
        """The numbers of each item between commas. One that ends before it begins is empty."""
        for item in text.split(","):
            span, _, step = item.partition("/")
            first, _, last = span.partition("-")
            if first in "*?":
                yield range(self.first, self.last + 1, int(step or 1))
            else:
                # With a step, a number alone begins a range.
                end = self.value(last or first) if last or not step else self.last
                yield range(self.value(first), end + 1, int(step or 1))

    def numbers(self, text: str) -> frozenset[int]:
        return frozenset(number for each in self.ranges(text) for number in each)


_PARTS = (
    _Part(0, 59, r"0?\d|[1-5]\d"),
    _Part(0, 23, r"[01]?\d|2[0-3]"),
    _Part(1, 31, r"0?[1-9]|[12]\d|3[01]"),
    _Part(1, 12, r"0?[1-9]|1[0-2]", _MONTHS),
    _Part(0, 6, r"0?[0-6]", _DAYS),
)
_REGEX = "|".join([*_MACROS, " +".join(f"({part.regex})" for part in _PARTS)])


def comes(schedule: str) -> bool:
    """Whether a schedule that fits the pattern has ranges that begin with their lower end, and days that exist."""
    fields = _fields(schedule)
    if not all(each for part, text in zip(_PARTS, fields, strict=True) for each in part.ranges(text)):
        return False
    return len(_days(*fields[2:])) > 1


Schedule = Annotated[
    str,
    Pattern(f"({_REGEX})", "a schedule of five parts, such as '15 3 * * *', or one of " + ", ".join(_MACROS)),
    Predicate(comes),
    Message(fix="write minute, hour, day of the month, month and day of the week (0 to 6), as in a CronJob"),
]
"""A schedule in the syntax of CronJobs. Their ``@every`` is not among them, because it depends on when the controller
started."""


def longest_gap(schedule: str) -> timedelta:
    """The longest time between two runs of a valid schedule, without changes of summer time."""
    minute, hour, *days = _fields(schedule)
    minutes, hours = _PARTS[0].numbers(minute), _PARTS[1].numbers(hour)
    times = sorted(timedelta(hours=one, minutes=two) for one in hours for two in minutes)
    found = _days(*days)
    overnight = max(two - one for one, two in pairwise(found)) - (times[-1] - times[0])
    return max(overnight, *(two - one for one, two in pairwise(times)), timedelta())


def _fields(schedule: str) -> list[str]:
    return re.split(" +", _MACROS.get(schedule, schedule))


@cache
def _days(day: str, month: str, weekday: str) -> Sequence[date]:
    """The days on which a schedule runs in some years, long enough for two leap days."""
    days, months, weekdays = (part.numbers(text) for part, text in zip(_PARTS[2:], (day, month, weekday), strict=True))
    # If both name days, one of them is enough.
    either = not (_is_any(day) or _is_any(weekday))
    every = (date(2024, 1, 1) + timedelta(days=number) for number in range(5 * 366))
    return [
        each
        for each in every
        if each.month in months and (any if either else all)((each.day in days, each.isoweekday() % 7 in weekdays))
    ]


def _is_any(text: str) -> bool:
    """Whether a part stands for any day, as it does not with a step."""
    return any(item in ("*", "?", "*/1", "?/1") for item in text.split(","))
