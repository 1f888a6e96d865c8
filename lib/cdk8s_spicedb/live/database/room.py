"""Findings about the connections that are free."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from ...props.annotations import camel
from ...props.datastores.sql import SQLDatastore
from ...props.surge import number_of
from ..finding import Finding
from .report import Question

CONNECTIONS = "Database connections"
MIGRATION_CONNECTIONS = 2
"""Connections of the migration: its own, and one to spare."""


@frozen
class Limit:
    """A limit of connections."""

    name: str
    """What sets the limit, such as ``max_connections``."""
    total: int
    """Maximum number of connections that SpiceDB's user can open."""
    used: int
    """Connections that are open now."""
    fix: str
    """How to increase it."""


def needed(question: Question) -> tuple[int, int]:
    """Connections that are needed in addition to those of the running servers: to begin a roll-out, and at most.

    A roll-out needs the most while the old servers drain. With fewer connections, new servers wait for them.
    """
    props, datastore = question.props, question.props.datastore
    each = datastore.connections() if isinstance(datastore, SQLDatastore) else 0
    running, migration = question.running_servers, MIGRATION_CONNECTIONS if props.migration.enabled else 0
    surge = 1 if running and props.max_surge not in (0, "0%") else 0
    first, most = props.max_replicas + surge, props.roll_out_replicas if running else props.max_replicas
    return max(first - running, 0) * each + migration, max(most - running, 0) * each + migration


def room_findings(question: Question, limits: list[Limit]) -> Iterator[Finding]:
    """Whether the connections that a roll-out needs are free."""
    first, most = needed(question)
    what = "a roll-out" if question.running_servers else "SpiceDB"
    short = [limit for limit in limits if limit.total - limit.used < most]
    for limit in short:
        free = max(limit.total - limit.used, 0)
        text = f"{limit.name}: {free} of {limit.total} are free, and {what} needs {most} more"
        fix = f"{limit.fix}, or use fewer for each server ({_pools(question)})"
        if question.running_servers and number_of(question.props.max_surge, question.props.max_replicas) > 1:
            fix += ", or set server.maxSurge to 1"
        if free < first:
            yield Finding.failure(CONNECTIONS, text, fix)
        else:
            consequence = "new servers wait until old ones have ended, and a request fails if it needs a new connection"
            yield Finding.warning(CONNECTIONS, f"{text}: {consequence}", fix)
    if limits and not short:
        least = min(limits, key=lambda limit: limit.total - limit.used)
        yield Finding.ok(CONNECTIONS, f"{least.total - least.used} of {least.total} are free; {what} needs {most}")


def _pools(question: Question) -> str:
    """The settings of the engine's pools."""
    pools = ("read_pool", "write_pool", "pool")
    return ", ".join(f"datastore.{camel(name)}" for name in pools if hasattr(question.props.datastore, name))
