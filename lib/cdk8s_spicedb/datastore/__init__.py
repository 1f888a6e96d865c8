"""The datastores: a closed set of classes, each of which answers for its engine."""

from .base import Datastore
from .cockroachdb import CockroachDB
from .integrity import ExpiredIntegrityKey, RelationshipIntegrity
from .memory import Memory
from .mysql import MySQL
from .pool import Pool
from .postgres import PostgreSQL
from .spanner import Spanner
from .sql import SQLDatastore

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

ENGINES: dict[str, type[Datastore]] = {kind.engine: kind for kind in (CockroachDB, Memory, MySQL, PostgreSQL, Spanner)}
"""By SpiceDB's name for the engine, the datastore."""
