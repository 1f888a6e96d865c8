"""The memory engine."""

from __future__ import annotations

from attrs import frozen

from ..env import EnvVar, variable
from ..secret import SecretKey
from .base import Datastore


@frozen(kw_only=True)
class Memory(Datastore):
    """Relationships in the server's own memory, gone when it stops: for trying SpiceDB out and for tests.

    One replica without dispatch, because servers would not see each other's data; nothing to migrate or clean up.
    """

    engine = "memory"
    migrates = False
    most_replicas = 1

    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        """See `Datastore.env`."""
        return (variable("datastore-engine", self.engine),)
