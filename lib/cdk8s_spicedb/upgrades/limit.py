"""Whether the migrations of a step end before their time limit."""

from __future__ import annotations

from attrs import frozen

from ..props import MigrationProps
from ..releases import duration

_OWN_SECONDS = 3600
"""SpiceDB's own time limit of a migration, if none is set."""
_SAFETY = 3
"""How many times slower than the estimate a database may be."""
_LONGEST_SECONDS = 604_800
"""The greatest ``active_deadline_seconds``."""


@frozen(kw_only=True)
class ShortLimit:
    """A time limit that migrations could exceed."""

    seconds: float
    """Estimated time of the migrations."""
    limit: int
    """Time limit of their Job, ``active_deadline_seconds``."""
    enough: int
    """A limit with room for a database that is three times as slow, in whole minutes."""
    own: float
    """SpiceDB's own limit, ``migration_timeout``."""

    @property
    def exceeded(self) -> bool:
        """Whether the migrations take longer than the limit, and not only almost as long."""
        return self.seconds > self.limit

    @property
    def text(self) -> str:
        """What is wrong."""
        return f"takes about {duration(self.seconds)} in all, and its time limit is {duration(self.limit)}"

    def fix(self, deadline: str = "active_deadline_seconds", timeout: str = "migration_timeout") -> str:
        """What to do. The settings have these names."""
        fix = f"set {deadline} to {self.enough}"
        if self.enough > self.own:
            fix += f", and {timeout} to slightly less than that (it is now {duration(self.own)})"
        return fix


def short_limit(seconds: float, migration: MigrationProps) -> ShortLimit | None:
    """The limit of a migration that should take this long, if it is not twice as long."""
    limit = migration.active_deadline_seconds
    if seconds <= limit / 2:
        return None
    own = migration.migration_timeout.total_seconds() if migration.migration_timeout else _OWN_SECONDS
    enough = min(int(-(-_SAFETY * seconds // 60) * 60), _LONGEST_SECONDS)
    return ShortLimit(seconds=seconds, limit=limit, enough=enough, own=own)
