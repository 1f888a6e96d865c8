"""The datastores: one class for each engine, which answers all questions about it."""

from .base import Datastore as Datastore
from .base import Memory as Memory
from .base import Pool as Pool
from .libpq import CockroachDB as CockroachDB
from .libpq import PostgreSQL as PostgreSQL
from .mysql import MySQL as MySQL
from .spanner import Spanner as Spanner
from .sql import SQLDatastore as SQLDatastore

ENGINES: dict[str, type[Datastore]] = {kind.engine: kind for kind in (CockroachDB, Memory, MySQL, PostgreSQL, Spanner)}
"""The datastores by SpiceDB's name for the engine."""
