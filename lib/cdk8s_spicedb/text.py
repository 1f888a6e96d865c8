"""Text in columns, numbers, times and lists in words, and links to the documentation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone

SITE = "https://cdk8s-spicedb.github.io/cdk8s-spicedb/"
"""Where the pages of docs/ are published."""


def link(page: str) -> str:
    """The URL of a page of docs/, named without its extension."""
    return f"{SITE}docs/{page}/"


def count(number: int, noun: str) -> str:
    """A number of things, such as "1 step" or "3 steps"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def some_of(names: Sequence[str], shown: int) -> str:
    """The first of many names, and how many more there are."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def time_of(moment: str) -> datetime:
    """A moment as APIs write it (RFC 3339), which is in UTC if it has no offset. Python 3.10 itself reads neither the
    ``Z`` nor a fraction of any length. Raises ``ValueError`` if it is none."""
    micros = re.sub(r"\.(\d+)", lambda fraction: f".{fraction[1][:6]:0<6}", moment)
    time = datetime.fromisoformat(micros.replace("Z", "+00:00"))
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def age(moment: str) -> str:
    """The time since a moment, in the largest unit."""
    if not moment:
        return "?"
    seconds = (datetime.now(timezone.utc) - time_of(moment)).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(int(seconds), 0)}s"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row of a table. Each column is as wide as its longest cell."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
