"""The datastores: one class for each engine, which answers all questions about it."""

from .base import Datastore as Datastore
from .cockroachdb import CockroachDB as CockroachDB
from .memory import Memory as Memory
from .mysql import MySQL as MySQL
from .pool import Pool as Pool
from .postgresql import PostgreSQL as PostgreSQL
from .spanner import Spanner as Spanner
from .sql import SQLDatastore as SQLDatastore

ENGINES: dict[str, type[Datastore]] = {kind.engine: kind for kind in (CockroachDB, Memory, MySQL, PostgreSQL, Spanner)}
"""The datastores by SpiceDB's name for the engine."""
