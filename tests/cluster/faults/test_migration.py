"""Failed migrations."""

from __future__ import annotations

import attrs
import pytest

from cdk8s_spicedb import MigrationPhase, MigrationProps, PostgreSQL, SpiceDBWarning
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace
from tests.lab.databases import postgres_revision
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, OLD_HEAD, ON_POSTGRES, on_postgres

NEVER = MigrationProps(restart_policy="Never", backoff_limit=1)
_BROKEN: PostgreSQL = attrs.evolve(ON_POSTGRES, user="nobody")


def _has_reason(output: str) -> bool:
    return "password authentication failed" in output


def test_failed_install_starts_no_server_and_shows_the_reason(
    any_helm: Helm, namespace: Namespace, postgres: None
) -> None:
    outcome = any_helm.install(on_postgres(datastore=_BROKEN, migration=NEVER))
    assert not outcome.ok
    assert _has_reason(outcome.output), outcome.output
    assert namespace.get("deployment", "spicedb") is None
    assert namespace.list("pods", component="server") == []
    pods = namespace.list("pods", component="migration")
    assert len(pods) == 2, "the pod of each attempt is kept"
    assert all(_has_reason(namespace.kubectl("logs", pod["metadata"]["name"])) for pod in pods)


def test_failed_install_with_restarts_in_one_pod_starts_no_server(
    helm: Helm, namespace: Namespace, postgres: None
) -> None:
    outcome = helm.install(on_postgres(datastore=_BROKEN, migration=MigrationProps(backoff_limit=1)))
    assert not outcome.ok
    assert namespace.get("deployment", "spicedb") is None
    job = namespace.get("job", "spicedb-migration")
    assert job
    assert job["status"]["failed"] >= 1


def test_old_servers_serve_after_a_failed_upgrade(any_helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert any_helm.install(on_postgres(OLD)).ok
    before = {pod["metadata"]["name"] for pod in namespace.servers()}
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("a failed upgrade", address, KEY) as load:
            outcome = any_helm.upgrade(on_postgres(NEW, datastore=_BROKEN, migration=NEVER))
        assert not outcome.ok
        assert _has_reason(outcome.output), outcome.output
        assert load.succeeded()
        assert {pod["metadata"]["name"] for pod in namespace.servers()} == before
        assert postgres_revision(namespace) == OLD_HEAD
        with Load("a successful upgrade after the failed one", address, KEY) as load:
            again = any_helm.upgrade(on_postgres(NEW))
        assert again.ok, again.output
        assert load.succeeded()
    assert postgres_revision(namespace) == NEW_HEAD


def test_target_phase_fails_with_the_usage_text(helm: Helm, namespace: Namespace, postgres: None) -> None:
    phase = attrs.evolve(NEVER, target_phase=MigrationPhase.WRITE)
    with pytest.warns(SpiceDBWarning, match="migrate --phase"):
        outcome = helm.install(on_postgres(migration=phase))
    assert not outcome.ok
    assert "unknown flag: --phase" in outcome.output


def test_migration_stops_at_its_deadline(helm: Helm, namespace: Namespace) -> None:
    outcome = helm.install(on_postgres(migration=MigrationProps(active_deadline_seconds=5)))
    assert not outcome.ok, "there is no database"
    job = namespace.get("job", "spicedb-migration")
    assert job
    reasons = {condition.get("reason") for condition in job["status"]["conditions"]}
    assert "DeadlineExceeded" in reasons
