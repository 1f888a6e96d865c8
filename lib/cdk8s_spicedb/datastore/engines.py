"""All engines, for those who choose one by its name."""

from __future__ import annotations

from .base import Datastore
from .cockroachdb import CockroachDB
from .memory import Memory
from .mysql import MySQL
from .postgres import PostgreSQL
from .spanner import Spanner

ENGINES: dict[str, type[Datastore]] = {kind.engine: kind for kind in (CockroachDB, Memory, MySQL, PostgreSQL, Spanner)}
"""By SpiceDB's name for the engine, the datastore."""
