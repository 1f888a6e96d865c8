"""How long a migration should take, in numbers and in words."""

from __future__ import annotations

from attrs import field, frozen

from .cost import Waits, Work, as_waits, as_work

MILLION = 1_000_000
_ROWS = {"relation_tuple": "relationships", "relation_tuple_transaction": "transactions"}
"""What the rows of a table are."""
_QUICK = "less than 1 s"
_BATCHES = "measured in batches of 1000 rows"
"""How the rates of backfills were measured. It is SpiceDB's default."""
_WAITS = {Waits.NOBODY: "nobody waits", Waits.WRITES: "writes wait", Waits.ALL: "reads and writes wait"}


@frozen
class Estimate:
    """How long a migration should take with a number of rows."""

    revision: str
    """Revision that the migration leads to."""
    table: str
    """Table on which it works."""
    rows: int
    """Number of rows of the table."""
    seconds: float
    """Estimated time, in seconds. A database with slower disks or less memory than the measured one takes longer."""
    waits: Waits = field(converter=as_waits)
    """Who waits."""
    work: Work = field(converter=as_work)
    """What it does to the table."""
    lock: str
    """Lock that it holds on the table, in the words of the database: PostgreSQL's lock mode, or ``ALGORITHM`` and
    ``LOCK`` of MySQL."""


def in_words(estimate: Estimate, *, rate: bool = False, detail: str = "") -> str:
    """An estimate in words, such as "indexes relation_tuple, about 4 min for 10 million relationships; writes wait".

    With ``rate``, the estimate is for one million rows, and stands for each million of them. ``detail`` follows the
    number of rows.
    """
    if is_quick(estimate, rate=rate):
        time, details = _QUICK, []
    else:
        time = _rate(estimate.seconds) if rate else duration(estimate.seconds)
        time = f"about {time} for {'each million' if rate else number(estimate.rows)} {_rows_of(estimate.table)}"
        details = [_BATCHES] if estimate.work is Work.FILLS else []
    details += [detail] if detail else []
    more = f" ({', '.join(details)})" if details else ""
    return f"{estimate.work.value} {estimate.table}, {time}{more}; {_WAITS[estimate.waits]}"


def quick_in_words(waits: Waits) -> str:
    """What several quick migrations have in common, in words."""
    return f"take {_QUICK} each; {_WAITS[waits]}"


def is_quick(estimate: Estimate, *, rate: bool = False) -> bool:
    """Whether the time is not worth mentioning. With ``rate``: in a table of any size."""
    return estimate.seconds == 0 if rate else estimate.seconds < 1


def _rows_of(table: str) -> str:
    """What the rows of a table are."""
    return _ROWS.get(table, "rows")


def _rate(seconds: float) -> str:
    """The time for one million rows. A short one is not rounded to whole seconds, because it is multiplied."""
    return f"{seconds:.2g} s" if seconds < 10 else duration(seconds)


def number(count: int) -> str:
    """A number of rows in words, such as "1.5 million"."""
    for unit, name in ((1_000_000_000, "billion"), (MILLION, "million")):
        if count >= unit:
            digits = 2 if count < 10 * unit else 1 if count < 100 * unit else 0
            return f"{round(count / unit, digits):,g} {name}"
    return f"{count:,}"


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
