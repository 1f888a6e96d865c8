"""Measures SpiceDB's migrations on the cluster that KUBECONFIG names, and prints what each of them did.

Fills the tables at one revision, asks the check of the database for its estimate, then migrates with the newest real
program. Meanwhile, sessions of the database note how long a read and a write of the table of relationships wait, and
which locks are held. The rates in releases.json come from this. The MariaDB image has to contain its client, as the
official one does; LAB_MARIADB_CLIENT_IMAGE names another.

    python bench/migrations.py postgres 1000000
    python bench/migrations.py postgres 1000000 --start 1eaeba4b8a73
    python bench/migrations.py postgres 1000000 --servers v1.37.1
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.engines import ENGINES, PASSWORD, Engine, Migration, migrate
from bench.meanwhile import CONNECTIONS, PAUSE, Paced, Poll, checks, writes
from cdk8s_spicedb.live.check.database import check_database
from cdk8s_spicedb.live.cluster import Cluster
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, run
from tests.lab.helm import Helm
from tests.lab.props import on_postgres

KEY = "a key"
BEFORE_SECONDS = 10
CHECKS_PER_SECOND, WRITES_PER_SECOND = 40, 5
READ = "SELECT COUNT(*) FROM (SELECT 1 FROM relation_tuple LIMIT 1) AS one;"
WRITE = "DELETE FROM relation_tuple WHERE 1 = 0; SELECT 1;"


def estimate(where: Namespace, kind: Engine) -> dict[str, float]:
    """The seconds of each migration as the check estimates them. Prints its findings."""
    report = check_database(
        Cluster.connect(namespace=where.name), on_postgres(datastore=kind.datastore), image=kind.database.image
    )
    for finding in report.findings:
        print(f"  {finding.level.value}: {finding.subject}: {finding.text}")
    return {found.revision: found.seconds for found in report.estimates}


@contextmanager
def requests(where: Namespace) -> Iterator[Mapping[str, Paced]]:
    """Clients that check and write through the servers."""
    with relay(where) as address:
        clients = [Client(address, KEY) for _ in range(CONNECTIONS)]
        with checks(clients, CHECKS_PER_SECOND) as checking, writes(clients, WRITES_PER_SECOND) as writing:
            time.sleep(BEFORE_SECONDS)
            yield {"checks": checking, "writes": writing}


def install(where: Namespace, kind: Engine, version: str) -> None:
    """Installs two servers, which also migrates to the head of their release, and writes the schema."""
    with tempfile.TemporaryDirectory() as folder:
        installed = Helm("helm", where, Path(folder)).install(on_postgres(version, datastore=kind.datastore))
    if not installed.ok:
        sys.exit(installed.output)
    with relay(where) as address:
        Client(address, KEY).write_schema()
    where.kubectl("wait", "pod/relay-spicedb", "--for=delete", "--timeout=60s", check=False)


def fill(where: Namespace, arguments: argparse.Namespace) -> None:
    """Starts a database, and loads relationships at the revision of the start."""
    kind = ENGINES[arguments.engine]
    where.create(where.name)
    where.secret("spicedb", {"password": PASSWORD, "preshared-key": KEY})
    kind.database.start(where)
    if arguments.servers:
        install(where, kind, arguments.servers)
    else:
        migrate(where, arguments.engine, arguments.start or kind.start)
    begin = time.monotonic()
    kind.load(where, arguments.relationships)
    seconds = time.monotonic() - begin
    print(f"{where.name}: {arguments.relationships} relationships, loaded in {seconds:.0f} s", flush=True)


def measure(where: Namespace, arguments: argparse.Namespace) -> None:
    """Migrates, and prints what each migration did."""
    kind = ENGINES[arguments.engine]
    statements = {"read": READ, "write": WRITE, "locks": kind.locks}
    estimates = estimate(where, kind)
    with ExitStack() as stack:
        paced = stack.enter_context(requests(where)) if arguments.servers else {}
        polls = {
            name: stack.enter_context(Poll(where, kind.session, statement)) for name, statement in statements.items()
        }
        begin = time.time()
        migrations = migrate(where, arguments.engine, arguments.target, arguments.batch)
    for name, requested in paced.items():
        print(f"before: {name}: {requested.during(begin - BEFORE_SECONDS, begin)}")
        print(f"meanwhile: {name}: {requested.during(migrations[0].begin, migrations[-1].end)}")
    print(row("Migration", "Seconds", "Estimate", "A read waited", "A write waited", "Locks", *paced))
    print(row(*["---"] * (6 + len(paced))))
    for each in migrations:
        print(row(*seen(each, estimates.get(each.revision, 0), polls, paced)), flush=True)


def row(*cells: str) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def seen(each: Migration, estimated: float, polls: Mapping[str, Poll], paced: Mapping[str, Paced]) -> Iterator[str]:
    """How long a migration took, and what other sessions and clients saw meanwhile."""
    during = (each.begin, each.end)
    seconds = (each.end - each.begin, estimated, polls["read"].longest(*during), polls["write"].longest(*during))
    yield from (f"`{each.revision}`", *(f"{number:.2f} s" for number in seconds))
    found = Counter(lock for answer in polls["locks"].during(*during) for lock in answer.text.split(", "))
    yield ", ".join(f"{lock}: {times * PAUSE:.2f} s" for lock, times in found.items() if lock not in ("", "NULL"))
    yield from (requested.during(*during) for requested in paced.values())


def main(arguments: argparse.Namespace) -> None:
    """Fills and measures one database, or does one of both."""
    where = Namespace(arguments.filled or f"bench-{uuid.uuid4().hex[:8]}")
    try:
        if not arguments.filled:
            fill(where, arguments)
        if not arguments.fill:
            measure(where, arguments)
    finally:
        if not arguments.fill:
            where.delete()
            run("kubectl", "wait", "namespace", where.name, "--for=delete", "--timeout=120s", check=False)


def options() -> argparse.ArgumentParser:
    """The options of this program."""
    parser = argparse.ArgumentParser(description="Measures SpiceDB's migrations.")
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("relationships", type=int)
    parser.add_argument("--start", help="revision at which the tables are filled")
    parser.add_argument("--target", default="head", help="revision to migrate to")
    parser.add_argument("--batch", type=int, help="rows that a backfill changes at a time")
    parser.add_argument("--servers", help="release of servers that serve meanwhile; also sets the start")
    parser.add_argument("--fill", action="store_true", help="only fill the tables, and keep the namespace")
    parser.add_argument("--filled", help="namespace that an earlier run has filled")
    return parser


if __name__ == "__main__":
    main(options().parse_args())
