"""What a migration does to a large table, how long that takes, and who waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, TypeVar

from attrs import field, frozen

from ..errors import SpiceDBError

_Kind = TypeVar("_Kind", bound=Enum)


class Work(str, Enum):
    """What a migration does to a table."""

    INDEXES = "indexes"
    """It builds an index."""
    REWRITES = "rewrites"
    """It copies all rows to a new table."""
    FILLS = "fills"
    """It writes new columns of all rows, in batches."""
    ALTERS = "alters"
    """It changes columns or constraints. PostgreSQL checks a new constraint against all rows."""


class Waits(str, Enum):
    """Who waits for the lock of a migration while it works on its table."""

    NOBODY = "none"
    """Servers read and write meanwhile. The migration itself waits for transactions that are open when it begins."""
    WRITES = "writes wait"
    """Servers can read, but their writes wait until the migration is done."""
    ALL = "reads and writes wait"
    """Servers can neither read nor write until the migration is done."""


def as_work(value: Any) -> Work:
    """Converts the name of a kind of work."""
    return _member(Work, "work", value)


def as_waits(value: Any) -> Waits:
    """Converts the words that say who waits."""
    return _member(Waits, "waits", value)


def _member(kind: type[_Kind], name: str, value: Any) -> _Kind:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise SpiceDBError(f"{name} is {value!r}; allowed: {allowed}") from None


@frozen(kw_only=True)
class Cost:
    """What a migration does to a table that grows with the number of relationships.

    Raises `SpiceDBError` if a value is invalid.
    """

    table: str
    """Table that it rewrites, indexes, fills or alters, without prefix."""
    work: Work = field(converter=as_work)
    """What it does to the table."""
    lock: str
    """Lock that it holds on the table, in the words of the database: PostgreSQL's lock mode, or ``ALGORITHM`` and
    ``LOCK`` of MySQL."""
    seconds_per_million: float
    """Seconds for one million rows of that table, as measured. 0: it only changes the table's definition."""
    waits: Waits = field(converter=as_waits)
    """Who waits."""
    source: str = ""
    """Source of this information."""

    def __attrs_post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SpiceDBError("; ".join(problems))

    def _problems(self) -> Iterator[str]:
        for name in ("table", "lock"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                yield f"{name} is {value!r}; write its name"
        rate = self.seconds_per_million
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < float("inf"):
            yield f"seconds_per_million is {rate!r}; write a number that is 0 or greater"
