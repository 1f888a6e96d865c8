"""The datastores: a closed set of classes, each of which answers for its engine."""

from .base import Datastore
from .cockroachdb import CockroachDB
from .memory import Memory
from .mysql import MySQL
from .postgres import PostgreSQL
from .spanner import Spanner

__all__ = ["ENGINES", "CockroachDB", "Datastore", "Memory", "MySQL", "PostgreSQL", "Spanner"]

ENGINES: dict[str, type[Datastore]] = {kind.engine: kind for kind in (CockroachDB, Memory, MySQL, PostgreSQL, Spanner)}
"""By SpiceDB's name for the engine, the datastore."""
