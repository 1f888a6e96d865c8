"""Faults that ``upgrade`` finds before it changes anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, wait
from tests.lab.command import Command
from tests.lab.databases import PASSWORD, POSTGRES, USER, postgres_query
from tests.lab.props import KEY, NEW, OLD


@contextmanager
def wrong_password(namespace: Namespace) -> Iterator[None]:
    namespace.secret("spicedb", {"preshared-key": KEY, "password": "another"})
    yield
    namespace.secret("spicedb", {"preshared-key": KEY, "password": PASSWORD})


@contextmanager
def missing_key(namespace: Namespace) -> Iterator[None]:
    namespace.kubectl("patch", "secret", "spicedb", "--type=json", '--patch=[{"op":"remove","path":"/data/password"}]')
    yield
    namespace.secret("spicedb", {"preshared-key": KEY, "password": PASSWORD})


@contextmanager
def lock(namespace: Namespace) -> Iterator[None]:
    sql = "BEGIN; LOCK TABLE relation_tuple IN SHARE ROW EXCLUSIVE MODE; SELECT pg_sleep(60)"
    psql = ("exec", POSTGRES.name, "--", "psql", "--host=/run/postgresql", f"--username={USER}", f"--command={sql}")
    asleep = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    with namespace.databases.background(*psql):
        wait("the lock", lambda: postgres_query(namespace, f"SELECT 1 {asleep}") or None)
        yield
        postgres_query(namespace, f"SELECT pg_terminate_backend(pid) {asleep}")


@contextmanager
def few_connections(namespace: Namespace) -> Iterator[None]:
    postgres_query(namespace, f"ALTER ROLE {USER} CONNECTION LIMIT 5")
    yield
    postgres_query(namespace, f"ALTER ROLE {USER} CONNECTION LIMIT -1")


@contextmanager
def small_quota(namespace: Namespace) -> Iterator[None]:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"pods": "3"}},  # as many as there are: two servers and the relay
    }
    namespace.apply(quota)
    wait("the quota", lambda: (namespace.get("resourcequota", "small") or {}).get("status", {}).get("used"))
    yield
    namespace.kubectl("delete", "resourcequota", "small")


@contextmanager
def unknown_revision(namespace: Namespace) -> Iterator[None]:
    revision = postgres_query(namespace, "SELECT version_num FROM alembic_version")
    postgres_query(namespace, "UPDATE alembic_version SET version_num = 'of-a-branch'")
    yield
    postgres_query(namespace, f"UPDATE alembic_version SET version_num = '{revision}'")


FAULTS = {
    "wrong password": (wrong_password, "rejects the user or the password"),
    "missing key": (missing_key, "Secret spicedb"),
    "lock": (lock, "relation_tuple"),
    "few connections": (few_connections, "limit of the user spicedb"),
    "small quota": (small_quota, "ResourceQuota small"),
    "unknown revision": (unknown_revision, "of-a-branch is not known"),
}


def test_faults_are_found_before_anything_changes(command: Command, namespace: Namespace, postgres: None) -> None:
    command.install(OLD)
    file = command.write(NEW)
    upgrade = ("upgrade", "--file", str(file), "--yes", "--observe=0")
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("upgrades that are refused", address, KEY) as load:
            for name, (fault, text) in FAULTS.items():
                with fault(namespace):
                    start = time.monotonic()
                    result = command.run(*upgrade, "--no-pull-images")
                print(f"{name}: refused after {time.monotonic() - start:.1f} s")
                assert result.code == 1, name
                assert "Nothing was changed." in result.error, name
                assert any("failure" in line and text in line for line in result.output.splitlines()), name
            command.write(NEW, more="image: ghcr.io/authzed/no-such-spicedb")
            image = command.run(*upgrade, "--no-database")
            assert image.code == 1
            assert "no-such-spicedb" in image.output
        assert load.succeeded()
    assert namespace.versions() == {OLD}
    assert namespace.get("configmap", "spicedb-upgrade") is None
    command.write(NEW)
    assert command.run(*upgrade).code == 0, "after the fixes, nothing is in the way"
