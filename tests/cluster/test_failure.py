"""Migrations that fail."""

from __future__ import annotations

import attrs
import pytest

from cdk8s_spicedb import MigrationPhase, MigrationProps, PostgreSQL, SpiceDBWarning

from .client import Client, Load, relay
from .cluster import Namespace
from .conftest import KEY
from .databases import postgres_revision
from .helm import Helm
from .props import NEW, NEW_HEAD, OLD, OLD_HEAD, ON_POSTGRES, on_postgres

NEVER = MigrationProps(restart_policy="Never", backoff_limit=1)
_BROKEN: PostgreSQL = attrs.evolve(ON_POSTGRES, user="nobody")


def _reason(output: str) -> bool:
    return "password authentication failed" in output


def test_a_failed_install_starts_no_server_and_says_why(any_helm: Helm, namespace: Namespace, postgres: None) -> None:
    outcome = any_helm.install(on_postgres(datastore=_BROKEN, migration=NEVER))
    assert not outcome.ok
    assert _reason(outcome.output), outcome.output
    assert namespace.get("deployment", "spicedb") is None
    assert namespace.list("pods", component="server") == []
    pods = namespace.list("pods", component="migration")
    assert len(pods) == 2, "each attempt's pod stays"
    assert all(_reason(namespace.kubectl("logs", pod["metadata"]["name"])) for pod in pods)


def test_a_failed_install_with_retries_in_one_pod_fails_too(helm: Helm, namespace: Namespace, postgres: None) -> None:
    outcome = helm.install(on_postgres(datastore=_BROKEN, migration=MigrationProps(backoff_limit=1)))
    assert not outcome.ok
    assert namespace.get("deployment", "spicedb") is None
    job = namespace.get("job", "spicedb-migration")
    assert job
    assert job["status"]["failed"] >= 1


def test_a_failed_upgrade_leaves_the_old_servers_serving(any_helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert any_helm.install(on_postgres(OLD)).ok
    before = {pod["metadata"]["name"] for pod in namespace.servers()}
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("a failed upgrade", address, KEY) as load:
            outcome = any_helm.upgrade(on_postgres(NEW, datastore=_BROKEN, migration=NEVER))
        assert not outcome.ok
        assert _reason(outcome.output), outcome.output
        assert load.unharmed()
        assert {pod["metadata"]["name"] for pod in namespace.servers()} == before
        assert postgres_revision(namespace) == OLD_HEAD
        with Load("a good upgrade after it", address, KEY) as load:
            again = any_helm.upgrade(on_postgres(NEW))
        assert again.ok, again.output
        assert load.unharmed()
    assert postgres_revision(namespace) == NEW_HEAD


def test_a_phase_fails_with_the_programs_usage(helm: Helm, namespace: Namespace, postgres: None) -> None:
    phase = attrs.evolve(NEVER, target_phase=MigrationPhase.WRITE)
    with pytest.warns(SpiceDBWarning, match="migrate --phase"):
        outcome = helm.install(on_postgres(migration=phase))
    assert not outcome.ok
    assert "unknown flag: --phase" in outcome.output


def test_a_migration_that_takes_too_long_is_ended(helm: Helm, namespace: Namespace) -> None:
    outcome = helm.install(on_postgres(migration=MigrationProps(active_deadline_seconds=5)))
    assert not outcome.ok, "there is no database"
    job = namespace.get("job", "spicedb-migration")
    assert job
    reasons = {condition.get("reason") for condition in job["status"]["conditions"]}
    assert "DeadlineExceeded" in reasons
