"""Connections that servers keep to the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from attrs import field, frozen

from ..checks import Metadata, duration, instance, optional, rule, show, whole_number
from ..env import Setting
from ..errors import Problem


def _lifetime() -> Metadata:
    least, most = timedelta(seconds=1), timedelta(days=7)
    return optional(duration(least, most, "give a time such as timedelta(minutes=30)"))


@frozen(kw_only=True)
class Pool:
    """The connections of each server to the database, for one kind of work (``--datastore-conn-pool-…``).

    What is not said is left to SpiceDB. MySQL's engine knows ``max_open``, ``max_lifetime`` and ``max_idle_time``.
    """

    max_open: int | None = field(default=None, metadata=optional(whole_number(1, 10_000)))
    """How many connections each server opens at most (``…-max-open``). Default: SpiceDB's own, 20 to read and 10 to
    write. A database whose ``max_connections`` is reached refuses servers that start."""
    min_open: int | None = field(default=None, metadata=optional(whole_number(0, 10_000)))
    """How many connections each server keeps open without work (``…-min-open``). Default: SpiceDB's own, 20 to read and
    10 to write, so that a burst of requests waits for none; with a lower ``max_open``, that."""
    max_lifetime: timedelta | None = field(default=None, metadata=_lifetime())
    """After how long a connection is replaced (``…-max-lifetime``). Default: SpiceDB's own, 30 min; shorter where a
    proxy or a failover should be noticed sooner."""
    max_lifetime_jitter: timedelta | None = field(default=None, metadata=_lifetime())
    """By how much that time varies, so that connections are not all replaced at once (``…-max-lifetime-jitter``).
    Default: SpiceDB's own, a fifth of it; 30 min with CockroachDB."""
    max_idle_time: timedelta | None = field(default=None, metadata=_lifetime())
    """After how long without work a connection is closed (``…-max-idletime``). Default: SpiceDB's own, 30 min."""
    health_check_interval: timedelta | None = field(default=None, metadata=_lifetime())
    """How often connections are looked after (``…-healthcheck-interval``). Default: SpiceDB's own, 30 s."""

    def settings(self, prefix: str) -> dict[str, Setting]:
        """By flag, what is said; ``prefix`` is the beginning of the pool's flags."""
        # SpiceDB's own minimum may be above the maximum that is asked for.
        least = self.max_open if self.min_open is None else self.min_open
        return {
            f"{prefix}-max-open": self.max_open,
            f"{prefix}-min-open": least,
            f"{prefix}-max-lifetime": self.max_lifetime,
            f"{prefix}-max-lifetime-jitter": self.max_lifetime_jitter,
            f"{prefix}-max-idletime": self.max_idle_time,
            f"{prefix}-healthcheck-interval": self.health_check_interval,
        }

    @rule("min_open", "max_open")
    def _least_within_most(self) -> Iterator[Problem]:
        if self.min_open is not None and self.max_open is not None and self.min_open > self.max_open:
            allowed = f"at most max_open, {self.max_open}"
            yield Problem("min_open", show(self.min_open), allowed, "lower it, or raise max_open")


POOL = instance(Pool, "a Pool(…)", "write Pool(max_open=10)")
