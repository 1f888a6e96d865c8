"""The databases that bench/migrations.py measures, and SpiceDB's migrations of them, in a pod."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from attrs import evolve, frozen

from cdk8s_spicedb import Datastore
from tests.lab.cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, wait
from tests.lab.databases import DATABASE, MARIADB, POSTGRES, USER, Database
from tests.lab.props import ON_MARIADB, ON_POSTGRES
from tests.lab.relationships import MARIADB_SESSION, POSTGRES_SESSION, load_mariadb, load_postgres, mariadb

IMAGE = "docker.io/authzed/spicedb:v1.56.0"
LONGEST_SECONDS = 3600
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


@frozen
class Migration:
    """When a migration to a revision ran, in Unix time."""

    revision: str
    begin: float
    end: float


def migrate(where: Namespace, engine: str, target: str, batch: int | None = None) -> list[Migration]:
    """Migrates to a revision. Returns the migrations on the way, by the times in the program's log."""
    name = f"migrate-{uuid.uuid4().hex[:5]}"
    env = {"SPICEDB_DATASTORE_ENGINE": engine, **ENGINES[engine].env}
    arguments = ["--migration-timeout=2h", "--log-format=json", "--skip-release-check", "--log-level=info"]
    container = {
        "name": "migrate",
        "image": IMAGE,
        "command": ["spicedb", "migrate", target],
        "args": [*arguments, *([f"--migration-backfill-batch-size={batch}"] if batch else [])],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "securityContext": RESTRICTED_CONTAINER,
    }
    spec = {"restartPolicy": "Never", "securityContext": RESTRICTED_POD, "containers": [container]}
    where.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})

    def ended() -> str | None:
        pod = where.get("pod", name) or {}
        return pod["status"]["phase"] if pod["status"]["phase"] in ("Succeeded", "Failed") else None

    if wait("the migration", ended, LONGEST_SECONDS) == "Failed":
        log = where.kubectl("logs", name)
        if "connection refused" not in log:
            sys.exit(log)
        return migrate(where, engine, target, batch)
    return _migrations(where, name)


def _migrations(where: Namespace, pod: str) -> list[Migration]:
    state = (where.get("pod", pod) or {})["status"]["containerStatuses"][0]["state"]["terminated"]
    begun: list[tuple[str, float]] = []
    last = 0.0
    for line in where.kubectl("logs", "--timestamps", pod).splitlines():
        moment, _, text = line.partition(" ")
        entry = json.loads(text) if text.startswith("{") else {}
        last = datetime.fromisoformat(f"{moment[:26]}+00:00").timestamp()
        if entry.get("message") == "migrating":
            begun.append((entry["to"], last))
    # Kubernetes cuts off the fraction of the second in which a container ends, so the last end is half a second unsure.
    finished = datetime.fromisoformat(state["finishedAt"].replace("Z", "+00:00")).timestamp()
    end = max(finished + 0.5, last)
    ends = [*(moment for _, moment in begun[1:]), end]
    return [Migration(revision, before, after) for (revision, before), after in zip(begun, ends, strict=True)]
