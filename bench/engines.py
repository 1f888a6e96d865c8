"""The databases that bench/migrations.py measures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from attrs import evolve, frozen

from cdk8s_spicedb import Datastore
from tests.lab.cluster import Namespace
from tests.lab.databases import DATABASE, MARIADB, POSTGRES, USER, Database
from tests.lab.props import ON_MARIADB, ON_POSTGRES
from tests.lab.relationships import MARIADB_SESSION, POSTGRES_SESSION, load_mariadb, load_postgres, mariadb

PASSWORD = "measured"
POSTGRES_SETTINGS = (
    "max_wal_size=4GB",
    "shared_buffers=512MB",
    "synchronous_commit=off",
    "track_commit_timestamp=on",
    "max_connections=300",
)
MARIADB_SETTINGS = "SET GLOBAL innodb_buffer_pool_size = 1073741824; SET GLOBAL innodb_flush_log_at_trx_commit = 2;"
POSTGRES_LOCKS = """
SELECT string_agg(DISTINCT mode || CASE WHEN granted THEN ' of ' ELSE ' waits for ' END || relname, ', ')
FROM pg_locks JOIN pg_class ON pg_class.oid = relation JOIN pg_stat_activity USING (pid)
WHERE locktype = 'relation' AND backend_type = 'client backend'
  AND relname IN ('relation_tuple', 'relation_tuple_transaction')
  AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock');
"""
MARIADB_LOCKS = """
SELECT GROUP_CONCAT(DISTINCT state SEPARATOR ', ') FROM information_schema.processlist
WHERE info LIKE 'ALTER TABLE%' OR info LIKE 'CREATE INDEX%';
"""


@frozen
class Engine:
    """How to fill and migrate one engine."""

    database: Database
    start: str
    env: Mapping[str, str]
    load: Callable[[Namespace, int], None]
    datastore: Datastore
    session: Sequence[str]
    locks: str


def _load_mariadb(where: Namespace, relationships: int) -> None:
    mariadb(where, MARIADB_SETTINGS)
    load_mariadb(where, relationships)


ENGINES = {
    "postgres": Engine(
        evolve(
            POSTGRES,
            env={**POSTGRES.env, "POSTGRES_PASSWORD": PASSWORD},
            arguments=("postgres", *(f"-c{setting}" for setting in POSTGRES_SETTINGS)),
        ),
        "add-rel-by-alive-resource-relation-subject",
        {"PGPASSWORD": PASSWORD, "SPICEDB_DATASTORE_CONN_URI": f"postgresql://{USER}@postgres/{DATABASE}"},
        load_postgres,
        ON_POSTGRES,
        POSTGRES_SESSION,
        POSTGRES_LOCKS,
    ),
    "mysql": Engine(
        evolve(
            MARIADB,
            image=os.environ.get("LAB_MARIADB_CLIENT_IMAGE", MARIADB.image),
            env={**MARIADB.env, "MARIADB_PASSWORD": PASSWORD},
        ),
        "watch_api_relation_tuple_index",
        {"SPICEDB_DATASTORE_CONN_URI": f"{USER}:{PASSWORD}@tcp(mariadb:3306)/{DATABASE}?parseTime=true"},
        _load_mariadb,
        ON_MARIADB,
        MARIADB_SESSION,
        MARIADB_LOCKS,
    ),
}
