"""The datastores: one class for each engine, which answers all questions about it."""

from .base import ENGINES as ENGINES
from .base import Datastore as Datastore
from .base import Memory as Memory
from .base import Pool as Pool
from .mysql import MySQL as MySQL
from .spanner import Spanner as Spanner
from .sql import CockroachDB as CockroachDB
from .sql import PostgreSQL as PostgreSQL
from .sql import SQLDatastore as SQLDatastore

ENGINES.update({kind.engine: kind for kind in (CockroachDB, Memory, MySQL, PostgreSQL, Spanner)})
