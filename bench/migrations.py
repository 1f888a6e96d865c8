"""Measures SpiceDB's migrations on the cluster that KUBECONFIG names, and prints seconds by revision.

Fills the tables at one revision, asks the check of the database for its estimate, then migrates to the newest revision
with the real program. The rates in releases.json come from this. The MariaDB image has to contain its client, as the
official one does; LAB_MARIADB_CLIENT_IMAGE names another.

Usage: python bench/migrations.py postgres|mysql RELATIONSHIPS [START_REVISION]
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime

from attrs import evolve, frozen

from cdk8s_spicedb import Datastore
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.database import check_database
from tests.cluster.cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, run, wait
from tests.cluster.databases import DATABASE, MARIADB, POSTGRES, USER, Database
from tests.cluster.props import ON_MARIADB, ON_POSTGRES, on_postgres

IMAGE = "docker.io/authzed/spicedb:v1.56.0"
PASSWORD = "measured"
PER_TRANSACTION = 10
LONGEST_SECONDS = 3600
SETTINGS = ("max_wal_size=4GB", "shared_buffers=512MB", "synchronous_commit=off", "track_commit_timestamp=on")

# Real transactions, as SpiceDB writes them: each has a row of its own and some relationships.
FILL_POSTGRES = """
DO $$ BEGIN
    FOR number IN 1..{transactions} LOOP
        INSERT INTO relation_tuple_transaction {transaction};
        INSERT INTO relation_tuple (namespace, object_id, relation, userset_namespace, userset_object_id,
                                    userset_relation {column})
        SELECT 'document', gen_random_uuid(), 'reader', 'user', gen_random_uuid(), '...' {value}
        FROM generate_series(1, {each});
        COMMIT;
    END LOOP;
END $$;
VACUUM (ANALYZE, PARALLEL 0) relation_tuple;
VACUUM (ANALYZE, PARALLEL 0) relation_tuple_transaction;
"""
FILL_MARIADB = """
SET GLOBAL innodb_buffer_pool_size = 1073741824;
SET GLOBAL innodb_flush_log_at_trx_commit = 2;
INSERT INTO relation_tuple_transaction (timestamp) SELECT NOW(6) FROM seq_1_to_{transactions};
INSERT INTO relation_tuple (namespace, object_id, relation, userset_namespace, userset_object_id, userset_relation,
                            created_transaction)
SELECT 'document', UUID(), 'reader', 'user', UUID(), '...', 1 + (seq - 1) DIV {each} FROM seq_1_to_{relationships};
ANALYZE TABLE relation_tuple, relation_tuple_transaction;
"""


@frozen
class Engine:
    """How to fill and migrate one engine."""

    database: Database
    start: str
    env: Mapping[str, str]
    fill: Callable[[Namespace, int], None]
    datastore: Datastore


def psql(where: Namespace, sql: str) -> str:
    """The answer of PostgreSQL."""
    command = ("psql", "--host=/run/postgresql", f"--username={USER}", "-qAt", "-v", "ON_ERROR_STOP=1")
    return where.kubectl("exec", "-i", POSTGRES.name, "--", *command, text=sql)


def mariadb(where: Namespace, sql: str) -> str:
    """The answer of MariaDB."""
    command = ("mariadb", "--socket=/tmp/mysqld.sock", "--user=root", "--password=root", "-BN", DATABASE)
    return where.kubectl("exec", "-i", MARIADB.name, "--", *command, text=sql)


def fill_postgres(where: Namespace, relationships: int) -> None:
    """Fills the tables, in the form that they have at a revision."""
    columns = psql(where, "SELECT attname FROM pg_attribute WHERE attrelid = 'relation_tuple'::regclass AND attnum > 0")
    old = "created_xid" not in columns.split()
    psql(
        where,
        FILL_POSTGRES.format(
            transactions=relationships // PER_TRANSACTION,
            transaction="DEFAULT VALUES",
            each=PER_TRANSACTION,
            column=", created_transaction" if old else "",
            value=", number" if old else "",
        ),
    )


def fill_mariadb(where: Namespace, relationships: int) -> None:
    """Fills the tables."""
    mariadb(
        where,
        FILL_MARIADB.format(
            transactions=relationships // PER_TRANSACTION, each=PER_TRANSACTION, relationships=relationships
        ),
    )


ENGINES = {
    "postgres": Engine(
        evolve(
            POSTGRES,
            env={**POSTGRES.env, "POSTGRES_PASSWORD": PASSWORD},
            arguments=("postgres", *(f"-c{setting}" for setting in SETTINGS)),
        ),
        "add-rel-by-alive-resource-relation-subject",
        {"PGPASSWORD": PASSWORD, "SPICEDB_DATASTORE_CONN_URI": f"postgresql://{USER}@postgres/{DATABASE}"},
        fill_postgres,
        ON_POSTGRES,
    ),
    "mysql": Engine(
        evolve(
            MARIADB,
            image=os.environ.get("LAB_MARIADB_CLIENT_IMAGE", MARIADB.image),
            env={**MARIADB.env, "MARIADB_PASSWORD": PASSWORD},
        ),
        "watch_api_relation_tuple_index",
        {"SPICEDB_DATASTORE_CONN_URI": f"{USER}:{PASSWORD}@tcp(mariadb:3306)/{DATABASE}?parseTime=true"},
        fill_mariadb,
        ON_MARIADB,
    ),
}


def migrate(where: Namespace, engine: str, target: str) -> dict[str, float]:
    """Migrates to a revision. Returns the seconds of each revision on the way, by the times in the program's log."""
    name = f"migrate-{uuid.uuid4().hex[:5]}"
    env = {"SPICEDB_DATASTORE_ENGINE": engine, **ENGINES[engine].env}
    container = {
        "name": "migrate",
        "image": IMAGE,
        "command": ["spicedb", "migrate", target],
        "args": ["--migration-timeout=2h", "--log-format=json", "--skip-release-check", "--log-level=info"],
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
        return migrate(where, engine, target)
    state = (where.get("pod", name) or {})["status"]["containerStatuses"][0]["state"]["terminated"]
    end = datetime.fromisoformat(state["finishedAt"].replace("Z", "+00:00")).timestamp()
    begun: list[tuple[str, float]] = []
    for line in where.kubectl("logs", "--timestamps", name).splitlines():
        moment, _, text = line.partition(" ")
        entry = json.loads(text) if text.startswith("{") else {}
        if entry.get("message") == "migrating":
            begun.append((entry["to"], datetime.fromisoformat(f"{moment[:26]}+00:00").timestamp()))
    ends = [*(moment for _, moment in begun[1:]), end]
    return {revision: max(after - before, 0) for (revision, before), after in zip(begun, ends, strict=True)}


def estimate(where: Namespace, kind: Engine) -> dict[str, float]:
    """The seconds of each migration as the check estimates them. Prints its findings."""
    report = check_database(
        Cluster.connect(namespace=where.name), on_postgres(datastore=kind.datastore), image=kind.database.image
    )
    for finding in report.findings:
        print(f"  {finding.level.value}: {finding.subject}: {finding.text}")
    return {found.revision: found.seconds for found in report.estimates}


def main(engine: str, relationships: str, start: str = "") -> None:
    """Prints the seconds of each migration."""
    kind, count = ENGINES[engine], int(relationships)
    where = Namespace(f"bench-{uuid.uuid4().hex[:8]}")
    where.create(where.name)
    try:
        where.secret("spicedb", {"password": PASSWORD, "preshared-key": "a key"})
        kind.database.start(where)
        migrate(where, engine, start or kind.start)
        begin = time.monotonic()
        kind.fill(where, count)
        print(f"{engine}: {count} relationships, loaded in {time.monotonic() - begin:.0f} s", flush=True)
        estimates = estimate(where, kind)
        for revision, seconds in migrate(where, engine, "head").items():
            rate = f"{seconds:.2f} s, {seconds / count * 1e6:.2f} s per million relationships"
            found = estimates.get(revision, 0)
            print(
                f"{revision}: {rate}, estimate {found:.2f} s, {found / seconds if seconds else 1:.1f} times", flush=True
            )
    finally:
        where.delete()
        run("kubectl", "wait", "namespace", where.name, "--for=delete", "--timeout=120s", check=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
