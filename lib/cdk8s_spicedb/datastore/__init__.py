"""The datastores: a closed set of classes, each of which answers for its engine."""

from .base import Datastore
from .cockroachdb import CockroachDB
from .memory import Memory
from .mysql import MySQL
from .postgres import PostgreSQL
from .spanner import Spanner

__all__ = ["CockroachDB", "Datastore", "Memory", "MySQL", "PostgreSQL", "Spanner"]
