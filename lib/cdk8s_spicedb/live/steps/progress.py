"""What an upgrade or a rollback reports while it works."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

PATIENCE_SECONDS = 120
"""How long an upgrade waits for an API server that is away."""
LAST_MODE = "read-new-write-new"
"""The schema mode in which servers no longer write the old tables."""


@frozen(kw_only=True)
class Progress:
    """What an upgrade does at the moment."""

    step: int
    """Number of the step. 0: before the first."""
    steps: int
    """Number of steps."""
    activity: str
    """``prepare``, ``schema``, ``apply``, ``settle``, ``test``, ``observe``, ``roll back`` or ``done``."""
    text: str
    """Details, in one line."""


Report = Callable[[Progress], None]
