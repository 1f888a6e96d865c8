"""Flux's real kustomize-controller applies manifests from Git, under load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from cdk8s_spicedb import MigrationProps
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, is_ready, wait
from tests.lab.databases import PASSWORD, POSTGRES, postgres_locked, postgres_revision
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres

from .flux import KUSTOMIZATION, flux
from .git import git_server
from .sources import NAME, Committed, say
from .state import (
    BROKEN,
    NEVER,
    PHASES,
    broken_secret,
    jobs,
    only_migrations_are_left,
    step,
    uid_of,
)


@pytest.fixture
def committed(namespace: Namespace, postgres: None, tmp_path: Path) -> Iterator[Committed]:
    with flux(namespace, tmp_path / "flux") as started, git_server(tmp_path / "git") as server:
        yield Committed(started, server.repository("authz"))


def test_kustomization(committed: Committed, namespace: Namespace) -> None:
    """From the first reconciliation to the deletion, with manifests."""
    broken_secret(namespace)
    say(committed.start(on_postgres(OLD)))
    assert namespace.versions(ready=True) == {OLD}
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        _fail_and_mend(committed, namespace, address)
        _retry(committed, namespace, address)
        _go_back(committed, namespace, address)
        _change_modes(committed, namespace, address)
    _delete(committed, namespace)


def _fail_and_mend(committed: Committed, namespace: Namespace, address: str) -> None:
    with step("a migration that fails", address):
        failed = committed.commit(on_postgres(migration=BROKEN), ready="False")
    say(failed)
    assert failed.reason == "HealthCheckFailed"
    assert f"Job/{namespace.name}/spicedb-migration-" in failed.message
    assert namespace.versions(ready=True) == {OLD}
    assert postgres_revision(namespace) == OLD_HEAD
    with step("an upgrade that mends it", address):
        say(committed.commit(on_postgres(migration=NEVER)))
    assert namespace.versions(ready=True) == {NEW}
    assert postgres_revision(namespace) == NEW_HEAD
    namespace.wait_for_terminating_servers()


def _retry(committed: Committed, namespace: Namespace, address: str) -> None:
    """The same manifests do not retry a failed Job. Flux creates it again when it is deleted."""
    other: MigrationProps = attrs.evolve(BROKEN, log_level="debug")
    before = jobs(namespace)
    failed = committed.commit(on_postgres(migration=other), ready="False")
    (job,) = jobs(namespace) - before
    uid = uid_of(namespace, job)
    broken_secret(namespace, POSTGRES.env["POSTGRES_USER"], PASSWORD)
    committed.flux.request(KUSTOMIZATION, NAME)
    assert committed.wait(committed.repository.revision(), "False").reason == failed.reason
    assert uid_of(namespace, job) == uid, "no retry"
    with step("a retry", address):
        namespace.kubectl("delete", "job", job)
        committed.flux.request(KUSTOMIZATION, NAME)
        say(committed.wait(committed.repository.revision()))
    assert uid_of(namespace, job) != uid


def _go_back(committed: Committed, namespace: Namespace, address: str) -> None:
    """The older migration's Job still exists, so it does not run. Without it, it would fail."""
    (old,) = [job for job in jobs(namespace) if _image(namespace, job) == OLD]
    with step("a revert", address):
        say(committed.commit(on_postgres(OLD)))
    assert namespace.versions(ready=True) == {OLD}
    namespace.wait_for_terminating_servers()
    with step("the newer version again", address):
        say(committed.commit(on_postgres(migration=NEVER)))
    assert namespace.versions(ready=True) == {NEW}
    namespace.wait_for_terminating_servers()
    namespace.kubectl("delete", "job", old)
    with step("a revert after the older Job is deleted", address):
        late = committed.commit(on_postgres(OLD, migration=NEVER), ready="False")
        say(late)
        wait("the older servers", lambda: namespace.versions(ready=True) == {OLD}, 120)
        say(committed.commit(on_postgres(OLD, migration=MigrationProps(enabled=False))))
    assert namespace.versions(ready=True) == {OLD}
    assert postgres_revision(namespace) == NEW_HEAD
    namespace.wait_for_terminating_servers()
    with step("the newer version a third time", address):
        say(committed.commit(on_postgres(migration=NEVER)))
    namespace.wait_for_terminating_servers()


def _image(namespace: Namespace, job: str) -> str:
    image = namespace.kubectl("get", "job", job, "--output=jsonpath={.spec.template.spec.containers[0].image}")
    return image.rpartition(":")[2]


def _change_modes(committed: Committed, namespace: Namespace, address: str) -> None:
    """Two of the steps of a plan, as two commits."""
    for planned in PHASES:
        with step(f"to {planned.schema_mode}", address):
            say(committed.commit(on_postgres().at(planned)))
        assert namespace.versions(ready=True) == {NEW}
        namespace.wait_for_terminating_servers()
        Client(address, KEY).write_schema()


def _delete(committed: Committed, namespace: Namespace) -> None:
    namespace.kubectl("delete", KUSTOMIZATION, NAME, "--timeout=120s")
    only_migrations_are_left(namespace)


@pytest.mark.parametrize("wait_for_health", [False, True], ids=["without-wait", "wait"])
def test_next_commit_does_not_stop_a_migration(
    committed: Committed, namespace: Namespace, wait_for_health: bool
) -> None:
    """Prune keeps a migration that runs when the next commit replaces it."""
    committed.start(on_postgres(OLD), wait=wait_for_health)
    wait("the servers", lambda: len([pod for pod in namespace.servers() if is_ready(pod)]) == 2, 180)
    old = jobs(namespace)
    with relay(namespace) as address:
        Client(address, KEY).write()
        with step("the next commit during a migration", address):
            with postgres_locked(namespace, "alembic_version", 45) as lock:
                committed.push(on_postgres())
                wait("the migration", lambda: jobs(namespace) - old, 60)
                (first,) = jobs(namespace) - old
                uid = uid_of(namespace, first)
                wait("its pod", lambda: _is_active(namespace, first), 60)
                revision = committed.push(on_postgres(migration=MigrationProps(log_level="debug")))
                if not wait_for_health:
                    committed.wait(revision)
                    assert len(jobs(namespace) - old) == 2
                    assert _is_active(namespace, first), "it still runs"
                assert lock.wait(timeout=120) == 0
            committed.wait(revision)
            wait(
                "the newer servers",
                lambda: namespace.versions(ready=True) == {NEW} and len(namespace.servers()) == 2,
                180,
            )
    wait("both migrations to succeed", lambda: len(_complete(namespace) - old) == 2, 120)
    assert uid_of(namespace, first) == uid, "it was not replaced"
    assert postgres_revision(namespace) == NEW_HEAD


def _is_active(namespace: Namespace, job: str) -> bool:
    return namespace.kubectl("get", "job", job, "--output=jsonpath={.status.ready}") == "1"


def _complete(namespace: Namespace) -> set[str]:
    """The names of the migration's Jobs that succeeded."""
    found = namespace.list("jobs", instance=NAME, component="migration")
    return {job["metadata"]["name"] for job in found if job["status"].get("succeeded")}
