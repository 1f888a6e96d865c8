"""How long a migration takes, and who waits for it."""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen


class Waits(Enum):
    """Who waits for the lock of a migration while it works on its table."""

    NOBODY = "none"
    """Servers read and write meanwhile. The migration itself waits for transactions that are open when it begins."""
    WRITES = "writes wait"
    """Servers can read, but their writes wait until the migration is done."""
    ALL = "reads and writes wait"
    """Servers can neither read nor write until the migration is done."""


@frozen
class Cost:
    """What a migration does to a table that grows with the number of relationships."""

    table: str
    """Table that it rewrites, indexes, fills or alters, without prefix."""
    seconds_per_million: float
    """Seconds for one million rows of that table, as measured. 0: it only changes the table's definition."""
    waits: Waits = field(converter=Waits)
    """Who waits."""
    source: str = ""
    """Source of this information."""


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
    waits: Waits
    """Who waits."""
