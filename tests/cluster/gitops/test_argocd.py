"""A SpiceDB from its first sync to its deletion, with Argo CD's controller and clients that never pause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attrs import evolve, frozen

from cdk8s_spicedb import CleanupProps, MigrationProps, PostgreSQL, SecretKey, ServerProps, SpiceDBProps
from cdk8s_spicedb.versions import SCHEMA_MODES
from tests import fast_yaml
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, is_ready, parse_time
from tests.lab.databases import POSTGRES, bundled_postgres, bundled_postgres_revision, postgres_revision
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres

from .argocd import FINALIZER, Application, ArgoCD, Operation
from .git import GitServer, Repository
from .written import chart, manifests

_NEVER = MigrationProps(restart_policy="Never", backoff_limit=1)
_BROKEN = evolve(_NEVER, backoff_limit=0, datastore_uri=SecretKey("broken", "uri"))
"""A migration with invalid credentials. The credentials of the servers are valid."""
_OFF = MigrationProps(enabled=False)
_KEEP = CleanupProps(enabled=False)
"""Keeps the finished migration, so that the test can read it."""
_KINDS = "all,serviceaccounts,roles,rolebindings,poddisruptionbudgets,networkpolicies,configmaps"
_JOB = "Job/spicedb-migration"


@frozen
class _Release:
    """A SpiceDB in a Git repository, its Application, and the address of its servers."""

    namespace: Namespace
    repository: Repository
    application: Application
    address: str
    write: Callable[[SpiceDBProps], Mapping[str, str]]

    def commit(self, what: str, props: SpiceDBProps) -> Operation:
        """Commits the files of a release, and waits for the sync."""
        return self.sync(what, lambda: self.repository.commit(self.write(props), what))

    def sync(self, what: str, commit: Callable[[], str]) -> Operation:
        """Commits, and waits until the Application is good or the sync has failed. No check of a client fails."""
        with Load(what, self.address, KEY) as load:
            revision = commit()
            operation = self.application.sync(revision)
            if operation.ok:
                self.application.wait_until_good(revision)
                self.namespace.wait_for_terminating_servers()
        assert load.succeeded()
        return operation

    def servers(self) -> set[str]:
        """The names of the servers, which must be ready."""
        servers = self.namespace.servers()
        assert all(is_ready(pod) for pod in servers)
        return {pod["metadata"]["name"] for pod in servers}


def _left(namespace: Namespace) -> list[str]:
    """The objects of the SpiceDB that exist."""
    return sorted(f"{item['kind']}/{item['metadata']['name']}" for item in namespace.list(_KINDS, instance="spicedb"))


@pytest.fixture
def broken(namespace: Namespace) -> None:
    """A Secret with the wrong credentials of the database."""
    namespace.secret("broken", {"uri": f"postgresql://nobody:wrong@{POSTGRES.name}:5432/spicedb?sslmode=disable"})


@pytest.mark.parametrize("source", ["manifests", "chart"])
def test_release_from_first_sync_to_deletion(
    argocd: ArgoCD, git: GitServer, namespace: Namespace, postgres: None, broken: None, source: str
) -> None:
    repository = git.repository(source)
    write = {"manifests": manifests, "chart": chart}[source]
    options: dict[str, Any] = {"syncOptions": ["ServerSideApply=true"]} if source == "chart" else {}
    revision = repository.commit(write(on_postgres(OLD, migration=_NEVER)), f"Install {OLD}")
    application = argocd.application("spicedb", repository, namespace, finalizers=[FINALIZER], **options)
    operation = application.sync(revision)
    assert operation.ok, operation.message
    application.wait_until_good(revision)
    assert postgres_revision(namespace) == OLD_HEAD
    assert namespace.list("jobs") == [], "the clean-up deletes the migration, and Argo CD deletes the clean-up"
    with relay(namespace) as address:
        Client(address, KEY).write()
        release = _Release(namespace, repository, application, address, write)
        _upgrade(release)
        _revert(release)
        if source == "manifests":
            _change_schema_mode(release)
        _delete(release, argocd, options)


def test_the_application_also_has_the_database(argocd: ArgoCD, git: GitServer, namespace: Namespace) -> None:
    """The migration runs in the Sync phase, after the database and before the servers."""
    secret = "product-authz"
    datastore = PostgreSQL(uri=SecretKey(secret, "datastore-uri"))
    database = {"database.yaml": fast_yaml.dump_all(bundled_postgres(secret, KEY))}
    migration = MigrationProps(hook=False)

    def files(version: str) -> Mapping[str, str]:
        props = on_postgres(version, datastore=datastore, migration=migration, cleanup=_KEEP)
        return {**manifests(props), **database}

    repository = git.repository("product")
    revision = repository.commit(files(OLD), f"Install {OLD}")
    application = argocd.application("product", repository, namespace, finalizers=[FINALIZER])
    for version, head in ((OLD, OLD_HEAD), (NEW, NEW_HEAD)):
        if version is NEW:
            revision = repository.commit(files(NEW), f"Upgrade to {NEW}")
        operation = application.sync(revision)
        assert operation.ok, operation.message
        application.wait_until_good(revision)
        assert bundled_postgres_revision(namespace) == head
        (job,) = namespace.list("jobs", component="migration")
        completed = parse_time(job["status"]["completionTime"])
        namespace.wait_for_terminating_servers()
        assert all(completed <= parse_time(pod["metadata"]["creationTimestamp"]) for pod in namespace.servers())
        assert namespace.versions() == {version}
    application.delete()


def _upgrade(release: _Release) -> None:
    """An upgrade whose migration fails, and the commit that mends it."""
    namespace, old = release.namespace, release.servers()
    failed = release.commit(f"Upgrade to {NEW} with the wrong password", on_postgres(NEW, migration=_BROKEN))
    assert failed.phase == "Failed"
    assert "one or more synchronization tasks completed unsuccessfully" in failed.message
    assert "backoff limit" in failed.results[_JOB]["message"], "the result of the Job contains the reason"
    assert set(failed.results) == {_JOB}, "nothing else was applied"
    release.application.wait_for_condition("Failed last sync attempt")
    log = namespace.kubectl("logs", "--selector=app.kubernetes.io/component=migration")
    assert "password authentication failed" in log, "the pods of the failed migration stay, with their logs"
    assert release.servers() == old
    assert postgres_revision(namespace) == OLD_HEAD

    mended = release.commit(
        f"Upgrade to {NEW} with the right password", on_postgres(NEW, migration=_NEVER, cleanup=_KEEP)
    )
    assert mended.ok, mended.message
    assert postgres_revision(namespace) == NEW_HEAD
    (job,) = namespace.list("jobs", component="migration")
    completed, pods = parse_time(job["status"]["completionTime"]), namespace.servers()
    assert all(completed <= parse_time(pod["metadata"]["creationTimestamp"]) for pod in pods)
    assert release.namespace.versions() == {NEW}


def _revert(release: _Release) -> None:
    """The revert of the commits of an upgrade, which fails, and the commit that goes back."""
    new = release.servers()
    # The upgrade took two commits, because the first one failed.
    reverted = release.sync("Revert the upgrade", lambda: release.repository.revert(2))
    assert reverted.phase == "Failed"
    assert set(reverted.results) == {_JOB}, "nothing else was applied"
    log = release.namespace.kubectl("logs", "--selector=app.kubernetes.io/component=migration")
    assert "unable to find migration for revision" in log, "SpiceDB has no way back"
    assert release.servers() == new, "the newer servers serve"

    back = release.commit(f"Go back to {OLD}", on_postgres(OLD, migration=_OFF))
    assert back.ok, back.message
    assert release.namespace.versions() == {OLD}
    assert postgres_revision(release.namespace) == NEW_HEAD
    assert len(release.namespace.list("jobs", component="migration")) == 1, "the failed migration stays"


def _change_schema_mode(release: _Release) -> None:
    """The phases to the unified schema storage, each of them one commit."""
    mode: Any
    for mode in SCHEMA_MODES:
        phase = release.commit(mode, on_postgres(NEW, migration=_NEVER, server=ServerProps(schema_mode=mode)))
        assert phase.ok, phase.message
        arguments = [argument for pod in release.namespace.servers() for argument in _arguments(pod)]
        assert f"--experimental-schema-mode={mode}" in arguments
        # As the page about phases says, before servers read from the unified table.
        Client(release.address, KEY).write_schema()


def _arguments(pod: dict[str, Any]) -> list[str]:
    arguments: list[str] = pod["spec"]["containers"][0]["args"]
    return arguments


def _delete(release: _Release, argocd: ArgoCD, options: Mapping[str, Any]) -> None:
    """Deletes the Application without its objects, creates it again, and deletes it with its objects."""
    namespace, application = release.namespace, release.application
    before, servers = _left(namespace), release.servers()
    with Load("deletion without the finalizer", release.address, KEY) as load:
        application.remove_finalizers()
        application.delete()
        assert _left(namespace) == before, "the objects stay"
        again = argocd.application("spicedb", release.repository, namespace, finalizers=[FINALIZER], **options)
        again.wait_until_good(release.repository.revision())
    assert load.succeeded()
    assert release.servers() == servers, "no server restarts"
    failed = release.commit("A failed migration before the deletion", on_postgres(NEW, migration=_BROKEN))
    assert failed.phase == "Failed"
    again.delete()
    assert _left(namespace) == [], "also the failed migration is gone"
    assert postgres_revision(namespace) == NEW_HEAD, "the data stays"
