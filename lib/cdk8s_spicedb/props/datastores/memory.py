"""The memory engine."""

from __future__ import annotations

from attrs import frozen

from ..flags import EnvVar
from ..secrets import SecretKey
from .base import Datastore


@frozen(kw_only=True)
class Memory(Datastore):
    """Relationships in the server's own memory, to try SpiceDB out and for tests. They are lost when the server stops.

    There is only one server, and no dispatch, because several servers would not see each other's data. There is nothing
    to migrate or to clean up.
    """

    engine = "memory"
    migrates = False
    max_replicas = 1

    def connection(self, uri: SecretKey | None, migrate: bool) -> tuple[EnvVar, ...]:
        """See `Datastore.connection`."""
        return ()
