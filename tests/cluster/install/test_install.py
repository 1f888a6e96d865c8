"""Installation."""

from __future__ import annotations

from cdk8s_spicedb import CleanupProps, Memory, MigrationProps
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, parse_time, wait
from tests.lab.databases import postgres_revision
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW_HEAD, on_postgres


def test_install_migrates_before_it_creates_the_servers(any_helm: Helm, namespace: Namespace, postgres: None) -> None:
    outcome = any_helm.install(on_postgres(cleanup=CleanupProps(enabled=False)))
    assert outcome.ok, outcome.output
    print(f"install: {outcome.seconds:.1f} s")
    job, deployment = namespace.get("job", "spicedb-migration"), namespace.get("deployment", "spicedb")
    assert job
    assert deployment
    assert parse_time(job["status"]["completionTime"]) <= parse_time(deployment["metadata"]["creationTimestamp"])
    assert deployment["status"]["readyReplicas"] == 2
    assert postgres_revision(namespace) == NEW_HEAD
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        assert client.check()


def test_helm_output_contains_the_migration_log(any_helm: Helm, namespace: Namespace, postgres: None) -> None:
    outcome = any_helm.install(on_postgres())
    assert outcome.ok, outcome.output
    assert NEW_HEAD in outcome.output


def test_memory_engine_serves_without_a_migration(helm: Helm, namespace: Namespace) -> None:
    outcome = helm.install(on_postgres(datastore=Memory()))
    assert outcome.ok, outcome.output
    assert namespace.get("job", "spicedb-migration") is None
    assert len(namespace.servers()) == 1
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        assert client.check()


def test_disabled_migration_leaves_the_schema_unchanged(helm: Helm, namespace: Namespace, postgres: None) -> None:
    outcome = helm.install(on_postgres(migration=MigrationProps(enabled=False)), timeout=20)
    assert not outcome.ok
    assert namespace.get("job", "spicedb-migration") is None
    assert postgres_revision(namespace) == ""
    assert helm.upgrade(on_postgres()).ok, "the next release migrates"
    assert postgres_revision(namespace) == NEW_HEAD
    again = helm.upgrade(on_postgres(migration=MigrationProps(enabled=False)))
    assert again.ok, again.output


def test_uninstall_deletes_all_objects(any_helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert any_helm.install(on_postgres(service_account_annotations={"example.com/role": "spicedb"})).ok
    assert any_helm.uninstall().ok
    kinds = "deployments,replicasets,pods,services,endpointslices,jobs,serviceaccounts,roles,rolebindings"
    wait("the deletion of all objects", lambda: namespace.list(kinds, name="spicedb") == [])
