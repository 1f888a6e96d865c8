"""The memory engine."""

from __future__ import annotations

from attrs import frozen

from ..flags import EnvVar, variable
from ..secrets import SecretKey
from .base import Datastore


@frozen(kw_only=True)
class Memory(Datastore):
    """Relationships in the server's own memory, for trying SpiceDB out and for tests. They are lost when it stops.

    It has one server without dispatch, because servers would not see each other's data. There is nothing to migrate or
    to clean up.
    """

    engine = "memory"
    migrates = False
    max_replicas = 1

    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        """See `Datastore.env`."""
        return (variable("datastore-engine", self.engine),)
