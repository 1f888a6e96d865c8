"""What servers are told of their datastore and their keys, with the real program."""

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

from cdk8s_spicedb import Datastore, MySQL, Pool, PostgreSQL, SecretKey, SpiceDBProps
from tests.programs import ROOT

from .client import Client, Load, relay
from .cluster import Namespace, wait
from .conftest import KEY
from .databases import MARIADB, PASSWORD, POSTGRES, USER, Database, postgres_query
from .helm import Helm
from .props import NEW, OLD, ON_MARIADB, ON_POSTGRES, on_postgres
from .shell import Shell, commands

_GUIDE = ROOT / "docs" / "how-to" / "production.md"
_FEW = Pool(max_open=4)
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
        pytest.param(POSTGRES, attrs.evolve(ON_POSTGRES, read_pool=_FEW, write_pool=_FEW, **_TUNED), id="postgres"),
        pytest.param(MARIADB, attrs.evolve(ON_MARIADB, pool=_FEW, **_TUNED), id="mysql"),
    ],
)
def test_servers_read_from_replicas(
    helm: Helm, namespace: Namespace, database: Database, datastore: PostgreSQL | MySQL
) -> None:
    database.start(namespace)
    replicas = ["replica-1", "replica-2"]
    for replica in replicas:
        database.also(namespace, replica)
    tuned: Datastore = attrs.evolve(datastore, read_replicas=replicas, read_replica_pool=_FEW)
    outcome = helm.install(on_postgres(datastore=tuned))
    assert outcome.ok, outcome.output
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        assert client.check()

        def answered() -> bool:
            try:
                return all(client.check(consistent=False) for _ in range(20))
            except grpc.RpcError:
                # So far back there was no schema yet.
                return False

        wait("an answer about a moment ago from every server", answered)
    metrics = "".join(map(namespace.metrics, namespace.servers()))
    reads = re.findall(r"^spicedb_datastore_replica_\w+_total (\d+)$", metrics, re.MULTILINE)
    assert sum(map(int, reads)) > 0
    log = namespace.kubectl("logs", "--selector=app.kubernetes.io/component=server", "--tail=-1")
    assert PASSWORD not in log


@contextmanager
def _most_connections(namespace: Namespace) -> Iterator[list[int]]:
    """How many connections PostgreSQL had from servers, looked at all the time."""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}' AND client_port > 0"
    found: list[int] = []
    stopped = threading.Event()

    def look() -> None:
        while not stopped.is_set():
            answer = postgres_query(namespace, query)
            if answer.isdecimal():
                found.append(int(answer))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        stopped.set()
        thread.join()


def test_a_roll_out_stays_within_the_connections_that_are_counted(helm: Helm, namespace: Namespace) -> None:
    def at(version: str, connections: int) -> SpiceDBProps:
        datastore = attrs.evolve(
            ON_POSTGRES, max_connections=connections, read_pool=Pool(max_open=6), write_pool=Pool(max_open=3)
        )
        return on_postgres(version, datastore=datastore)

    connections = 9 * at(OLD, 100).roll_out_replicas
    # What PostgreSQL keeps for its administrators is not for servers; one more reads what is looked at here.
    arguments = ("postgres", f"-cmax_connections={connections + 4}")
    attrs.evolve(POSTGRES, arguments=arguments).start(namespace)
    assert helm.install(at(OLD, connections)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with _most_connections(namespace) as found, Load("an upgrade with few connections", address, KEY) as load:
            outcome = helm.upgrade(at(NEW, connections))
        assert outcome.ok, outcome.output
        assert load.unharmed()
    print(f"at most {max(found)} connections of {connections}")
    assert 2 * 9 < max(found) <= connections


def test_a_key_is_replaced_in_three_roll_outs(helm: Helm, namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    (beside,) = [step for step in commands(_GUIDE.read_text()) if "next-key" in step]
    Shell(namespace, tmp_path).run(beside)
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
        namespace.settled()

    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("the new key is let in", address, KEY) as load:
            roll_out(old_key, new_key)
        assert load.unharmed()
        with Load("servers change over, old", address, KEY) as load, Load("new", address, new) as other:
            roll_out(new_key, old_key)
        assert load.unharmed()
        assert other.unharmed()
        with Load("the old key is shut out", address, new) as load:
            roll_out(new_key)
        assert load.unharmed()
        with pytest.raises(grpc.RpcError, match=r"UNAUTHENTICATED|PERMISSION_DENIED"):
            Client(address, KEY).check()
