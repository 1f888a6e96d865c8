"""Datastore settings and preshared keys, with the SpiceDB program."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import grpc
import pytest

from cdk8s_spicedb import Datastore, MigrationProps, MySQL, Pool, PostgreSQL, SecretKey, ServerProps, SpiceDBProps
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, wait
from tests.lab.databases import DATABASE, MARIADB, PASSWORD, POSTGRES, USER, Database, postgres_query
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, OLD, ON_MARIADB, ON_POSTGRES, on_postgres
from tests.lab.shell import Shell, commands
from tests.programs import ROOT

_GUIDE = ROOT / "docs" / "configure" / "production.md"
_SMALL_POOL = Pool(max_open=4)
_TUNED: dict[str, Any] = {
    "gc_window": timedelta(hours=1),
    "gc_interval": timedelta(seconds=30),
    "revision_quantization_interval": timedelta(seconds=1),
    "revision_quantization_max_staleness": 0.5,
    "follower_read_delay": timedelta(seconds=1),
}


@pytest.mark.parametrize(
    ("database", "datastore"),
    [
        pytest.param(
            POSTGRES, attrs.evolve(ON_POSTGRES, read_pool=_SMALL_POOL, write_pool=_SMALL_POOL, **_TUNED), id="postgres"
        ),
        pytest.param(MARIADB, attrs.evolve(ON_MARIADB, pool=_SMALL_POOL, **_TUNED), id="mysql"),
    ],
)
def test_servers_read_from_replicas(
    helm: Helm, namespace: Namespace, database: Database, datastore: PostgreSQL | MySQL
) -> None:
    database.start(namespace)
    replicas = ["replica-1", "replica-2"]
    for replica in replicas:
        database.add_service(namespace, replica)
    tuned: Datastore = attrs.evolve(datastore, read_replicas=replicas, read_replica_pool=_SMALL_POOL)
    outcome = helm.install(on_postgres(datastore=tuned))
    assert outcome.ok, outcome.output
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        assert client.check()

        def all_granted() -> bool:
            try:
                return all(client.check(consistent=False) for _ in range(20))
            except grpc.RpcError:
                # The snapshot is older than the schema.
                return False

        wait("checks of recent snapshots on every server", all_granted)
    metrics = "".join(map(namespace.metrics, namespace.servers()))
    reads = re.findall(r"^spicedb_datastore_replica_\w+_total (\d+)$", metrics, re.MULTILINE)
    assert sum(map(int, reads)) > 0
    log = namespace.kubectl("logs", "--selector=app.kubernetes.io/component=server", "--tail=-1")
    assert PASSWORD not in log


def test_several_replicas_need_no_password_in_an_argument(helm: Helm, namespace: Namespace) -> None:
    """SpiceDB takes several replicas only from arguments. PostgreSQL's driver takes the password from a variable."""
    POSTGRES.start(namespace)
    replicas = ["replica-1", "replica-2"]
    for replica in replicas:
        POSTGRES.add_service(namespace, replica)
    account = f"postgresql://{USER}@{{}}:5432/{DATABASE}"
    namespace.secret("uris", {host: account.format(host) for host in (POSTGRES.name, *replicas)})
    datastore = PostgreSQL(
        uri=SecretKey("uris", POSTGRES.name),
        sslmode="disable",
        read_replicas=[SecretKey("uris", replica) for replica in replicas],
        read_replica_pool=_SMALL_POOL,
    )
    password = {"PGPASSWORD": SecretKey("spicedb", "password")}
    props = on_postgres(datastore=datastore, server=ServerProps(env=password), migration=MigrationProps(env=password))
    outcome = helm.install(props)
    assert outcome.ok, outcome.output
    metrics = "".join(map(namespace.metrics, namespace.servers()))
    pools = set(re.findall(r'pgxpool_total_conns{db_name="([^"]+)"', metrics))
    assert pools == {"spicedb", "spicedb_replica_0", "spicedb_replica_1"}


@contextmanager
def _count_connections(namespace: Namespace) -> Iterator[list[int]]:
    """Continuously counts the connections of servers to PostgreSQL, until the context ends."""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}' AND client_port > 0"
    counts: list[int] = []
    stopped = threading.Event()

    def count() -> None:
        while not stopped.is_set():
            answer = postgres_query(namespace, query)
            if answer.isdecimal():
                counts.append(int(answer))

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield counts
    finally:
        stopped.set()
        thread.join()


def test_roll_out_stays_within_max_connections(helm: Helm, namespace: Namespace) -> None:
    def props(version: str, connections: int) -> SpiceDBProps:
        datastore = attrs.evolve(
            ON_POSTGRES, max_connections=connections, read_pool=Pool(max_open=6), write_pool=Pool(max_open=3)
        )
        return on_postgres(version, datastore=datastore)

    connections = 9 * props(OLD, 100).roll_out_replicas
    # PostgreSQL reserves some connections for administrators. This test needs one more to count.
    arguments = ("postgres", f"-cmax_connections={connections + 4}")
    attrs.evolve(POSTGRES, arguments=arguments).start(namespace)
    assert helm.install(props(OLD, connections)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with _count_connections(namespace) as counts, Load("an upgrade with few connections", address, KEY) as load:
            outcome = helm.upgrade(props(NEW, connections))
        assert outcome.ok, outcome.output
        assert load.succeeded()
    print(f"at most {max(counts)} of {connections} connections")
    assert 2 * 9 < max(counts) <= connections


def test_preshared_key_is_replaced_in_three_roll_outs(
    helm: Helm, namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    (command,) = [step for step in commands(_GUIDE.read_text()) if "next-key" in step]
    Shell(namespace, tmp_path).run(command)
    secret = namespace.get("secret", "spicedb")
    assert secret
    new = base64.b64decode(secret["data"]["next-key"]).decode()
    old_key, new_key = SecretKey("spicedb", "preshared-key"), SecretKey("spicedb", "next-key")
    assert helm.install(on_postgres()).ok

    def roll_out(preshared_key: SecretKey, *others: SecretKey) -> None:
        outcome = helm.upgrade(
            attrs.evolve(on_postgres(), preshared_key=preshared_key, other_preshared_keys=list(others))
        )
        assert outcome.ok, outcome.output
        namespace.wait_for_terminating_servers()

    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("the new key is allowed", address, KEY) as load:
            roll_out(old_key, new_key)
        assert load.succeeded()
        with (
            Load("servers change to the new key, clients with the old one", address, KEY) as load,
            Load("clients with the new one", address, new) as new_load,
        ):
            roll_out(new_key, old_key)
        assert load.succeeded()
        assert new_load.succeeded()
        with Load("the old key is no longer allowed", address, new) as load:
            roll_out(new_key)
        assert load.succeeded()
        with pytest.raises(grpc.RpcError, match=r"UNAUTHENTICATED|PERMISSION_DENIED"):
            Client(address, KEY).check()
