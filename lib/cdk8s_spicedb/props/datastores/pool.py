"""Connection pools."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval
from attrs import frozen

from ..flags import Setting
from ..types import Week


@frozen(kw_only=True)
class Pool:
    """Connections of each server to the database, for reads or for writes (``--datastore-conn-pool-…``).

    Fields that you leave out use SpiceDB's defaults. MySQL's engine has only ``max_open``, ``max_lifetime`` and
    ``max_idle_time``.
    """

    max_open: Annotated[int, Interval(ge=1, le=10_000)] | None = None
    """Maximum number of connections of each server (``…-max-open``). Defaults to SpiceDB's default, 20 for reads and 10
    for writes. New servers cannot start when the database has no connection left."""
    min_open: Annotated[int, Interval(ge=0, le=10_000)] | None = None
    """Minimum number of connections that each server keeps open, so that a burst of requests does not wait
    (``…-min-open``). Defaults to ``max_open`` if you set that, and otherwise to SpiceDB's default, 20 for reads and 10
    for writes."""
    max_lifetime: Week | None = None
    """Maximum age of a connection (``…-max-lifetime``). Defaults to SpiceDB's default, 30 min. With a shorter time,
    servers notice a failover or a change behind a proxy sooner."""
    max_lifetime_jitter: Week | None = None
    """Random variation of ``max_lifetime``, so that connections are not all replaced at once
    (``…-max-lifetime-jitter``). Defaults to SpiceDB's default: a fifth of ``max_lifetime``, or 30 min with
    CockroachDB."""
    max_idle_time: Week | None = None
    """Time after which a connection is closed if it is not used (``…-max-idletime``). Defaults to SpiceDB's default, 30
    min."""
    health_check_interval: Week | None = None
    """Time between health checks of the connections (``…-healthcheck-interval``). Defaults to SpiceDB's default, 30
    s."""

    def settings(self, prefix: str) -> dict[str, Setting]:
        """Its settings by flag; ``prefix`` is the beginning of the pool's flags."""
        # SpiceDB's own minimum may be above the maximum that is set.
        minimum = self.max_open if self.min_open is None else self.min_open
        return {
            f"{prefix}-max-open": self.max_open,
            f"{prefix}-min-open": minimum,
            f"{prefix}-max-lifetime": self.max_lifetime,
            f"{prefix}-max-lifetime-jitter": self.max_lifetime_jitter,
            f"{prefix}-max-idletime": self.max_idle_time,
            f"{prefix}-healthcheck-interval": self.health_check_interval,
        }
