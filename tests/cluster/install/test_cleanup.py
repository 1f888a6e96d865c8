"""The clean-up, and several releases in one namespace."""

from __future__ import annotations

from cdk8s_spicedb import CleanupProps, ServerProps
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, wait
from tests.lab.helm import Helm
from tests.lab.props import KEY, on_postgres


def test_cleanup_deletes_only_its_own_finished_migration(helm: Helm, namespace: Namespace, postgres: None) -> None:
    kept = on_postgres(name="other", cleanup=CleanupProps(enabled=False))
    assert helm.install(kept, release="other").ok
    assert helm.install(on_postgres()).ok
    wait("the deletion of the Job", lambda: namespace.get("job", "spicedb-migration") is None, 20)
    # Kubernetes deletes the pods of a Job in the background.
    wait(
        "the deletion of its pods", lambda: namespace.list("pods", component="migration", instance="spicedb") == [], 120
    )
    assert namespace.get("job", "other-migration")
    assert namespace.list("jobs", component="cleanup") == [], "Helm deletes the clean-up Job"


def test_service_accounts_have_only_the_required_permissions(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(on_postgres()).ok
    assert not namespace.can("spicedb", "watch", "endpoints/spicedb-dispatch"), "without dispatch, servers need nothing"
    assert helm.upgrade(on_postgres(server=ServerProps(dispatch_enabled=True))).ok
    account = "spicedb-migration-cleanup"
    assert namespace.can(account, "list", "jobs.batch")
    assert namespace.can(account, "delete", "jobs.batch/spicedb-migration")
    for verb, resource in {
        "delete": "jobs.batch/other-migration",
        "create": "jobs.batch",
        "patch": "jobs.batch/spicedb-migration",
        "get": "secrets",
        "list": "pods",
        "watch": "endpoints",
    }.items():
        assert not namespace.can(account, verb, resource), f"{verb} {resource}"
    assert namespace.can("spicedb", "watch", "endpoints/spicedb-dispatch")
    for verb, resource in {"list": "endpoints", "get": "secrets", "delete": "jobs.batch/spicedb-migration"}.items():
        assert not namespace.can("spicedb", verb, resource), f"{verb} {resource}"


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
