"""Faults around SpiceDB: what users see, and that nothing is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import grpc

from cdk8s_spicedb import MigrationProps, Resources

from .client import Client, Load, relay
from .cluster import Namespace, wait
from .conftest import KEY
from .databases import POSTGRES, USER, postgres_query, postgres_revision
from .helm import Helm
from .link import link
from .props import NEW, NEW_HEAD, OLD, on_postgres

_PATIENT = MigrationProps(restart_policy="Never", backoff_limit=6)
_PSQL = ("exec", POSTGRES.name, "--", "psql", "--host=/run/postgresql", f"--username={USER}")


@contextmanager
def _away(namespace: Namespace) -> Iterator[None]:
    """The database is not to be reached, and who had a connection loses it."""

    def select(app: str) -> None:
        patch = json.dumps({"spec": {"selector": {"app": app}}})
        namespace.kubectl("patch", "service", POSTGRES.name, "--patch", patch)

    select("nobody")
    time.sleep(1)
    postgres_query(
        namespace,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}' AND client_port > 0",
    )
    yield
    select(POSTGRES.name)


@contextmanager
def _held(namespace: Namespace, tables: str = "alembic_version", seconds: int = 12) -> Iterator[None]:
    """Somebody holds tables for a while: by default one that the migration has to change."""
    lock = f"BEGIN; LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT"
    with namespace.background(*_PSQL, f"--command={lock}") as holder:
        wait("the lock", lambda: postgres_query(namespace, "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock'"))
        yield
        assert holder.wait(timeout=60) == 0


def _answers(address: str) -> bool:
    try:
        return Client(address, KEY).check()
    except grpc.RpcError:
        return False


def test_a_database_that_comes_late_is_waited_for_at_install(helm: Helm, namespace: Namespace, postgres: None) -> None:
    chart = helm.chart(on_postgres(migration=_PATIENT))
    arguments = ("install", "release", chart, "--wait", "--timeout=150s")
    with namespace.background(*arguments, program=helm.program) as install:
        with _away(namespace):
            wait("a migration that failed", lambda: _failed(namespace))
        output, _ = install.communicate(timeout=160)
        assert install.returncode == 0, output
    assert postgres_revision(namespace) == NEW_HEAD


def _failed(namespace: Namespace) -> bool:
    job = namespace.get("job", "spicedb-migration")
    return bool(job and job["status"].get("failed"))


def test_servers_serve_again_by_themselves_when_the_database_was_away(
    helm: Helm, namespace: Namespace, postgres: None
) -> None:
    assert helm.install(on_postgres(OLD)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with _away(namespace):
            wait("a request that fails", lambda: not _answers(address))
            # An upgrade stops at the migration meanwhile, and says why.
            migration = MigrationProps(restart_policy="Never", backoff_limit=0)
            upgrade = helm.upgrade(on_postgres(NEW, migration=migration))
            assert not upgrade.ok
            assert "connect" in upgrade.output
        start = time.monotonic()
        wait("an answer", lambda: _answers(address), 90)
        print(f"the first answer {time.monotonic() - start:.1f} s after the database is back")
        wait("answers of all servers", lambda: all(_answers(address) for _ in range(20)), 90)
        assert _restarts(namespace) == [0, 0]
        with Load("an upgrade after the database was away", address, KEY) as load:
            again = helm.upgrade(on_postgres(NEW, migration=_PATIENT))
        assert again.ok, again.output
        assert load.unharmed()
    assert postgres_revision(namespace) == NEW_HEAD


def test_a_slow_database_slows_the_upgrade_and_loses_nothing(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres(OLD)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("an upgrade that waits for a lock", address, KEY) as load, _held(namespace):
            upgrade = helm.upgrade(on_postgres(NEW, migration=_PATIENT))
        assert upgrade.ok, upgrade.output
        assert upgrade.seconds > 10
        assert load.unharmed()


def test_servers_wait_for_a_slow_database_and_answer(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres()).ok
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        with _held(namespace, "relation_tuple", 6):
            start = time.monotonic()
            # What servers remember they answer at once; of this they have to ask the database.
            assert not client.check("unheard-of")
            seconds = time.monotonic() - start
    print(f"an answer after {seconds:.1f} s, while the database gave none for 6 s")
    assert seconds > 2
    assert _restarts(namespace) == [0, 0]


def _restarts(namespace: Namespace) -> list[int]:
    return [pod["status"]["containerStatuses"][0]["restartCount"] for pod in namespace.servers()]


def test_an_api_server_that_is_away_meanwhile_stops_no_upgrade(
    any_helm: Helm, namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    assert any_helm.install(on_postgres(OLD)).ok
    with relay(namespace) as address, link(tmp_path) as way:
        Client(address, KEY).write()
        arguments = (f"--kubeconfig={way.kubeconfig}", "--timeout=90s")
        with (
            Load("an upgrade while the API server is away", address, KEY) as load,
            any_helm.upgrading(on_postgres(NEW, migration=_PATIENT), arguments=arguments) as upgrade,
        ):
            with _held(namespace):
                wait("the migration", lambda: _running(namespace))
                way.cut(5)
            output, _ = upgrade.communicate(timeout=120)
            assert upgrade.returncode == 0, output
        assert load.unharmed()
    assert postgres_revision(namespace) == NEW_HEAD


def test_a_migration_that_is_killed_goes_on_where_it_stopped(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres(OLD)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with (
            Load("an upgrade whose migration is killed", address, KEY) as load,
            helm.upgrading(on_postgres(NEW, migration=_PATIENT)) as upgrade,
        ):
            with _held(namespace):
                pod = wait("the migration", lambda: _running(namespace))
                namespace.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
            output, _ = upgrade.communicate(timeout=120)
            assert upgrade.returncode == 0, output
        assert load.unharmed()
    assert postgres_revision(namespace) == NEW_HEAD


def _running(namespace: Namespace) -> str | None:
    pods = namespace.list("pods", component="migration")
    running = [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]
    return running[0] if running else None


def test_a_full_node_stops_the_roll_out_and_no_server(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres(OLD)).ok
    before = {pod["metadata"]["uid"] for pod in namespace.servers()}
    much = {"cpu": "1000", "memory": "1Gi"}
    server = attrs.evolve(on_postgres().server, resources=Resources(requests=much, limits=much))
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("an upgrade for which there is no room", address, KEY) as load:
            upgrade = helm.upgrade(attrs.evolve(on_postgres(NEW), server=server), timeout=20)
            assert not upgrade.ok
            events = namespace.kubectl("get", "events", "--field-selector=reason=FailedScheduling")
            assert "Insufficient cpu" in events
            back = helm.rollback(1)
            assert back.ok, back.output
        assert load.unharmed()
    assert {pod["metadata"]["uid"] for pod in namespace.servers()} == before


def test_a_server_is_evicted(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres()).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        first, second = (pod["metadata"]["name"] for pod in namespace.servers())
        with Load("a server evicted", address, KEY) as load:
            assert namespace.evict(first)
            # The budget keeps the other until there are two again.
            assert not namespace.evict(second)
            wait("two servers", lambda: len(namespace.servers()) == 2 and first not in _names(namespace))
            namespace.ready("app.kubernetes.io/component=server")
            wait("room in the budget", lambda: namespace.evict(second))
            wait("two servers again", lambda: not {first, second} & set(_names(namespace)))
            namespace.ready("app.kubernetes.io/component=server")
        assert load.unharmed()


def _names(namespace: Namespace) -> list[str]:
    return [pod["metadata"]["name"] for pod in namespace.servers()]
