"""Upgrades with a schema migration, and rollbacks."""

from __future__ import annotations

import pytest

from cdk8s_spicedb import CleanupProps, MigrationProps, Resources, ServerProps, SpiceDBProps, SpiceDBWarning
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, parse_time
from tests.lab.databases import postgres_revision
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, NEW_HEAD, NEWEST, OLD, OLD_HEAD, on_postgres


def _template_hashes(namespace: Namespace) -> set[str]:
    return {pod["metadata"]["labels"]["pod-template-hash"] for pod in namespace.servers()}


def test_upgrade_and_rollback_fail_no_requests(any_helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert any_helm.install(on_postgres(OLD)).ok
    assert postgres_revision(namespace) == OLD_HEAD
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("upgrade", address, KEY) as load:
            upgrade = any_helm.upgrade(on_postgres(NEWEST, cleanup=CleanupProps(enabled=False)))
        assert upgrade.ok, upgrade.output
        assert load.succeeded()
        with Load("rollback", address, KEY) as load:
            rollback = any_helm.rollback(1)
        assert rollback.ok, rollback.output
        assert load.succeeded()
    assert postgres_revision(namespace) == NEW_HEAD, "a rollback does not change the schema"


def test_upgrade_migrates_before_the_first_new_server_starts(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres(OLD)).ok
    before = {pod["metadata"]["name"] for pod in namespace.servers()}
    assert helm.upgrade(on_postgres(NEW, cleanup=CleanupProps(enabled=False))).ok
    job = namespace.get("job", "spicedb-migration")
    assert job
    new = [pod for pod in namespace.servers() if pod["metadata"]["name"] not in before]
    assert len(new) == 2
    completed = parse_time(job["status"]["completionTime"])
    assert all(completed <= parse_time(pod["metadata"]["creationTimestamp"]) for pod in new)
    assert {pod["spec"]["containers"][0]["image"] for pod in new} == {f"ghcr.io/authzed/spicedb:{NEW}"}
    assert postgres_revision(namespace) == NEW_HEAD


def test_migration_stops_at_the_target(helm: Helm, namespace: Namespace, postgres: None) -> None:
    target = "add-schema-tables"
    # Servers start only on their own head. They stay alive and wait for the rest of the migration.
    with pytest.warns(SpiceDBWarning, match="do not start on add-schema-tables"):
        outcome = helm.install(on_postgres(migration=MigrationProps(target_migration=target)), timeout=20)
    assert not outcome.ok
    assert postgres_revision(namespace) == target
    allowed = on_postgres(
        migration=MigrationProps(target_migration=target), server=ServerProps(allowed_migrations=[target])
    )
    outcome = helm.upgrade(allowed)
    assert outcome.ok, outcome.output
    assert postgres_revision(namespace) == target


def test_servers_restart_if_migration_settings_change(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres()).ok
    first = _template_hashes(namespace)
    assert helm.upgrade(_unrelated_changes()).ok
    assert _template_hashes(namespace) == first, "no setting of the servers or the migration has changed"
    assert helm.upgrade(on_postgres(migration=MigrationProps(backoff_limit=5))).ok
    assert _template_hashes(namespace) != first


def _unrelated_changes() -> SpiceDBProps:
    resources = Resources(requests={"cpu": "20m", "memory": "32Mi"}, limits={"cpu": "300m", "memory": "128Mi"})
    return on_postgres(labels={"team": "identity"}, cleanup=CleanupProps(resources=resources))
