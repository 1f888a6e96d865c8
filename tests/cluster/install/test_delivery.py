"""One release with every delivery: old servers serve, and new servers wait for the migration."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import attrs
import pytest

from cdk8s_spicedb import CleanupProps, MigrationProps, SecretKey
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, parse_time
from tests.lab.databases import POSTGRES, postgres_revision
from tests.lab.deliver import ArgoCDDeliverer, Deliverer, HelmDeliverer, KubectlDeliverer
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres

KEEP_MIGRATION = CleanupProps(enabled=False)
"""Keeps the finished migration, so that tests can read it."""
NEVER = MigrationProps(restart_policy="Never", backoff_limit=1)
BROKEN: MigrationProps = attrs.evolve(NEVER, datastore_uri=SecretKey("broken", "uri"))
"""A migration with invalid credentials. The credentials of the servers are valid."""


@pytest.fixture(params=["helm", "helm3", "kubectl", "argocd"])
def deliverer(request: pytest.FixtureRequest, namespace: Namespace, tmp_path: Path) -> Deliverer:
    if request.param == "kubectl":
        return KubectlDeliverer(namespace, tmp_path)
    if request.param == "argocd":
        return ArgoCDDeliverer(namespace, tmp_path)
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not on PATH")
    return HelmDeliverer(namespace, tmp_path, request.param)


def server_names(namespace: Namespace) -> set[str]:
    return {pod["metadata"]["name"] for pod in namespace.servers()}


def test_upgrades_migrate_before_new_servers_serve(deliverer: Deliverer, namespace: Namespace, postgres: None) -> None:
    namespace.secret("broken", {"uri": f"postgresql://nobody:wrong@{POSTGRES.name}:5432/spicedb?sslmode=disable"})
    installed = deliverer.deliver(on_postgres(OLD, migration=NEVER, cleanup=KEEP_MIGRATION))
    assert installed.ok, installed.output
    assert postgres_revision(namespace) == OLD_HEAD
    with relay(namespace) as address:
        Client(address, KEY).write()
        before = server_names(namespace)

        with Load("a failed migration", address, KEY) as load:
            failed = deliverer.deliver(on_postgres(NEW, migration=BROKEN, cleanup=KEEP_MIGRATION))
        assert not failed.ok
        assert "password authentication failed" in failed.output, "the output contains the reason"
        assert load.succeeded()
        assert postgres_revision(namespace) == OLD_HEAD
        assert namespace.versions(ready=True) == {OLD}, "new servers do not serve before the migration succeeds"
        assert before <= server_names(namespace), "the old servers still serve"

        with Load("an upgrade", address, KEY) as load:
            upgraded = deliverer.deliver(on_postgres(NEW, migration=NEVER, cleanup=KEEP_MIGRATION))
        assert upgraded.ok, upgraded.output
        assert load.succeeded()
        assert postgres_revision(namespace) == NEW_HEAD
        assert namespace.versions(ready=True) == {NEW}
        assert not before & server_names(namespace)
        if deliverer.delivery.has_hooks:
            assert all(
                migration_completed_at(namespace) <= parse_time(created) for created in server_creation_times(namespace)
            )

        namespace.wait_for_terminating_servers()
        serving = server_names(namespace)
        with Load("an unchanged release", address, KEY) as load:
            again = deliverer.deliver(on_postgres(NEW, migration=NEVER, cleanup=KEEP_MIGRATION))
        assert again.ok, again.output
        assert load.succeeded()
        assert server_names(namespace) == serving, "an unchanged release restarts no server"

        with Load("a rollback without a migration", address, KEY) as load:
            back = deliverer.deliver(on_postgres(OLD, migration=MigrationProps(enabled=False)))
        assert back.ok, back.output
        assert load.succeeded()
        assert namespace.versions(ready=True) == {OLD}


def migration_completed_at(namespace: Namespace) -> datetime:
    (job,) = namespace.list("jobs", component="migration")
    return parse_time(job["status"]["completionTime"])


def server_creation_times(namespace: Namespace) -> list[str]:
    return [pod["metadata"]["creationTimestamp"] for pod in namespace.servers()]


def test_argo_cd_sync_of_an_older_version_fails_at_the_migration(
    namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    argocd = ArgoCDDeliverer(namespace, tmp_path)
    assert argocd.deliver(on_postgres(NEW)).ok
    assert namespace.list("jobs", component="migration") == [], "the clean-up deletes it"
    assert namespace.list("jobs", component="cleanup") == []
    serving = server_names(namespace)
    failed = argocd.deliver(on_postgres(OLD, migration=NEVER))
    assert not failed.ok
    assert server_names(namespace) == serving, "the servers of the newer version still serve"


def test_kubectl_rolls_back_while_the_older_migration_exists(
    namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    kubectl = KubectlDeliverer(namespace, tmp_path)
    for version in (OLD, NEW, OLD):
        delivered = kubectl.deliver(on_postgres(version))
        assert delivered.ok, delivered.output
    assert postgres_revision(namespace) == NEW_HEAD
    assert len(namespace.list("jobs", component="migration")) == 2, "the name of each Job depends on what it runs"


@pytest.mark.parametrize("deliverer_class", [KubectlDeliverer, ArgoCDDeliverer])
def test_service_account_exists_before_the_migration(
    deliverer_class: type[Deliverer], namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    delivered = deliverer_class(namespace, tmp_path).deliver(
        on_postgres(service_account_annotations={"example.com/role": "one"})
    )
    assert delivered.ok, delivered.output


_TAKE_OVER = ("--take-ownership", "--force-conflicts")


def test_helm_takes_over_what_kubectl_applied(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    """The clean-up leaves the finished Job of the delivery before, which it may not delete."""
    assert KubectlDeliverer(namespace, tmp_path).deliver(on_postgres(OLD)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("from kubectl to Helm", address, KEY) as load:
            delivered = HelmDeliverer(namespace, tmp_path, "helm", *_TAKE_OVER).deliver(on_postgres(NEW))
        assert delivered.ok, delivered.output
        assert load.succeeded()
    assert namespace.versions(ready=True) == {NEW}
    (left,) = namespace.list("jobs", component="migration")
    assert left["metadata"]["name"] != "spicedb-migration"
