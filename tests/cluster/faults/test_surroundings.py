"""Faults around SpiceDB: their effects, and that no data is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import grpc

from cdk8s_spicedb import MigrationProps, Resources
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, wait
from tests.lab.databases import POSTGRES, USER, postgres_locked, postgres_query, postgres_revision
from tests.lab.helm import Helm
from tests.lab.link import link
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, on_postgres

_RETRYING = MigrationProps(restart_policy="Never", backoff_limit=6)


@contextmanager
def _database_unreachable(namespace: Namespace) -> Iterator[None]:
    """Makes the database unreachable, and closes existing connections."""

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
def _locked(namespace: Namespace, table: str = "alembic_version", seconds: int = 12) -> Iterator[None]:
    """Locks a table for a while, by default one that the migration must change."""
    with postgres_locked(namespace, table, seconds) as holder:
        yield
        assert holder.wait(timeout=60) == 0


def _check_succeeds(address: str) -> bool:
    try:
        return Client(address, KEY).check()
    except grpc.RpcError:
        return False


def test_install_waits_for_the_database(helm: Helm, namespace: Namespace, own_postgres: None) -> None:
    chart = helm.chart(on_postgres(migration=_RETRYING))
    arguments = ("install", "release", chart, "--wait", "--timeout=150s")
    with namespace.background(*arguments, program=helm.program) as install:
        with _database_unreachable(namespace):
            wait("a failed migration", lambda: _migration_failed(namespace))
        output, _ = install.communicate(timeout=160)
        assert install.returncode == 0, output
    assert postgres_revision(namespace) == NEW_HEAD


def _migration_failed(namespace: Namespace) -> bool:
    job = namespace.get("job", "spicedb-migration")
    return bool(job and job["status"].get("failed"))


def test_servers_recover_after_a_database_outage(helm: Helm, namespace: Namespace, own_postgres: None) -> None:
    assert helm.install(on_postgres(OLD)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with _database_unreachable(namespace):
            wait("a failed request", lambda: not _check_succeeds(address))
            # During the outage an upgrade stops at the migration, and shows the reason.
            migration = MigrationProps(restart_policy="Never", backoff_limit=0)
            upgrade = helm.upgrade(on_postgres(NEW, migration=migration))
            assert not upgrade.ok
            assert "connect" in upgrade.output
        start = time.monotonic()
        wait("a successful request", lambda: _check_succeeds(address), 90)
        print(f"first successful request {time.monotonic() - start:.1f} s after the database is reachable")
        wait("successful requests to all servers", lambda: all(_check_succeeds(address) for _ in range(20)), 90)
        assert _restarts(namespace) == [0, 0]
        with Load("an upgrade after a database outage", address, KEY) as load:
            again = helm.upgrade(on_postgres(NEW, migration=_RETRYING))
        assert again.ok, again.output
        assert load.succeeded()
    assert postgres_revision(namespace) == NEW_HEAD


def test_upgrade_waits_for_a_database_lock_without_failed_requests(
    helm: Helm, namespace: Namespace, postgres: None
) -> None:
    assert helm.install(on_postgres(OLD)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("an upgrade that waits for a lock", address, KEY) as load, _locked(namespace):
            upgrade = helm.upgrade(on_postgres(NEW, migration=_RETRYING))
        assert upgrade.ok, upgrade.output
        assert upgrade.seconds > 10
        assert load.succeeded()


def test_servers_wait_for_a_slow_database(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres()).ok
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        with _locked(namespace, "relation_tuple", 6):
            start = time.monotonic()
            # Servers answer from their cache. A new document needs a query.
            assert not client.check("unheard-of")
            seconds = time.monotonic() - start
    print(f"answer after {seconds:.1f} s, with the database locked for 6 s")
    assert seconds > 2
    assert _restarts(namespace) == [0, 0]


def _restarts(namespace: Namespace) -> list[int]:
    return [pod["status"]["containerStatuses"][0]["restartCount"] for pod in namespace.servers()]


def test_upgrade_survives_an_api_server_outage(
    any_helm: Helm, namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    assert any_helm.install(on_postgres(OLD)).ok
    with relay(namespace) as address, link(tmp_path) as proxy:
        Client(address, KEY).write()
        arguments = (f"--kubeconfig={proxy.kubeconfig}", "--timeout=90s")
        with (
            Load("an upgrade during an API server outage", address, KEY) as load,
            any_helm.upgrading(on_postgres(NEW, migration=_RETRYING), arguments=arguments) as upgrade,
        ):
            with _locked(namespace):
                wait("the migration to run", lambda: _running_migration(namespace))
                proxy.interrupt(5)
            output, _ = upgrade.communicate(timeout=120)
            assert upgrade.returncode == 0, output
        assert load.succeeded()
    assert postgres_revision(namespace) == NEW_HEAD


def test_killed_migration_continues(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres(OLD)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with (
            Load("an upgrade with a killed migration", address, KEY) as load,
            helm.upgrading(on_postgres(NEW, migration=_RETRYING)) as upgrade,
        ):
            with _locked(namespace):
                pod = wait("the migration to run", lambda: _running_migration(namespace))
                namespace.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
            output, _ = upgrade.communicate(timeout=120)
            assert upgrade.returncode == 0, output
        assert load.succeeded()
    assert postgres_revision(namespace) == NEW_HEAD


def _running_migration(namespace: Namespace) -> str | None:
    pods = namespace.list("pods", component="migration")
    running = [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]
    return running[0] if running else None


def test_roll_out_without_free_resources_stops_no_server(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres(OLD)).ok
    before = {pod["metadata"]["uid"] for pod in namespace.servers()}
    too_much = {"cpu": "1000", "memory": "1Gi"}
    server = attrs.evolve(on_postgres().server, resources=Resources(requests=too_much, limits=too_much))
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("an upgrade without free resources", address, KEY) as load:
            upgrade = helm.upgrade(attrs.evolve(on_postgres(NEW), server=server), timeout=20)
            assert not upgrade.ok
            events = namespace.kubectl("get", "events", "--field-selector=reason=FailedScheduling")
            assert "Insufficient cpu" in events
            back = helm.rollback(1)
            assert back.ok, back.output
        assert load.succeeded()
    assert {pod["metadata"]["uid"] for pod in namespace.servers()} == before


def test_evictions_fail_no_requests(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres()).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        first, second = (pod["metadata"]["name"] for pod in namespace.servers())
        with Load("evictions", address, KEY) as load:
            assert namespace.evict(first)
            # The disruption budget protects the other server until two are ready.
            assert not namespace.evict(second)
            wait("two servers", lambda: len(namespace.servers()) == 2 and first not in _server_names(namespace))
            namespace.wait_until_ready("app.kubernetes.io/component=server")
            wait("the disruption budget to allow an eviction", lambda: namespace.evict(second))
            wait("two servers again", lambda: not {first, second} & set(_server_names(namespace)))
            namespace.wait_until_ready("app.kubernetes.io/component=server")
        assert load.succeeded()


def _server_names(namespace: Namespace) -> list[str]:
    return [pod["metadata"]["name"] for pod in namespace.servers()]
