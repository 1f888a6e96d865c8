"""The datastores: one class for each engine, which answers all questions about it."""

from .base import Datastore
from .cockroachdb import CockroachDB
from .integrity import ExpiredIntegrityKey, RelationshipIntegrity
from .memory import Memory
from .mysql import MySQL
from .pool import Pool
from .postgresql import PostgreSQL
from .spanner import Spanner
from .sql import SQLDatastore

ENGINES: dict[str, type[Datastore]] = {kind.engine: kind for kind in (CockroachDB, Memory, MySQL, PostgreSQL, Spanner)}
"""The datastores by SpiceDB's name for the engine."""

__all__ = [
    "ENGINES",
    "CockroachDB",
    "Datastore",
    "ExpiredIntegrityKey",
    "Memory",
    "MySQL",
    "Pool",
    "PostgreSQL",
    "RelationshipIntegrity",
    "SQLDatastore",
    "Spanner",
]
