"""The clean-up, and what releases in one namespace leave to each other."""

from __future__ import annotations

from cdk8s_spicedb import CleanupProps

from .client import Client, relay
from .cluster import Namespace, wait
from .conftest import KEY
from .helm import Helm
from .props import on_postgres


def test_removes_its_own_finished_migration_alone(helm: Helm, namespace: Namespace, postgres: None) -> None:
    kept = on_postgres(name="other", cleanup=CleanupProps(enabled=False))
    assert helm.install(kept, release="other").ok
    assert helm.install(on_postgres()).ok
    wait("the Job's end", lambda: namespace.get("job", "spicedb-migration") is None, 20)
    # Kubernetes removes these when it gets to it.
    wait("its pods' end", lambda: namespace.list("pods", component="migration", instance="spicedb") == [], 120)
    assert namespace.get("job", "other-migration")
    assert namespace.list("jobs", component="cleanup") == [], "Helm removes the clean-up itself"


def test_may_delete_its_own_migration_and_nothing_else(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres()).ok
    account = "spicedb-migration-cleanup"
    assert namespace.can(account, "list", "jobs.batch")
    assert namespace.can(account, "delete", "jobs.batch/spicedb-migration")
    for verb, what in {
        "delete": "jobs.batch/other-migration",
        "create": "jobs.batch",
        "patch": "jobs.batch/spicedb-migration",
        "get": "secrets",
        "list": "pods",
        "watch": "endpoints",
    }.items():
        assert not namespace.can(account, verb, what), f"{verb} {what}"
    assert namespace.can("spicedb", "watch", "endpoints/spicedb-dispatch")
    for verb, what in {"list": "endpoints", "get": "secrets", "delete": "jobs.batch/spicedb-migration"}.items():
        assert not namespace.can("spicedb", verb, what), f"{verb} {what}"


def test_two_releases_share_a_namespace(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres(name="one"), release="one").ok
    assert helm.install(on_postgres(name="two"), release="two").ok
    for service in ("one", "two"):
        with relay(namespace, service) as address:
            client = Client(address, KEY)
            client.write()
            assert client.check()
    assert helm.uninstall("one").ok
    assert len(namespace.servers("two")) == 2
    assert namespace.servers("one") == []
