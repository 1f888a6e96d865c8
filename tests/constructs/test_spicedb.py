"""Servers, migration and clean-up together: what they share, and what keeps them apart."""

from __future__ import annotations

from typing import Any

import attrs
import cdk8s
import pytest
from constructs import Construct

from cdk8s_spicedb import (
    Cleanup,
    CleanupProps,
    Delivery,
    InvalidProps,
    Memory,
    Migration,
    MigrationProps,
    ServerProps,
    SpiceDB,
    SpiceDBProps,
)
from tests.synth import POSTGRES, chart, manifests, matrix, synth

BASE = SpiceDBProps(version="v1.56.0", datastore=POSTGRES)
MATRIX = matrix()
EXAMPLES = pytest.mark.parametrize("props", MATRIX.values(), ids=MATRIX)


def test_a_spicedb_is_its_migration_then_its_servers_then_its_clean_up() -> None:
    found = synth(BASE)
    assert [(each["kind"], each["metadata"]["name"]) for each in found.objects] == [
        ("Job", "spicedb-migration"),
        ("ServiceAccount", "spicedb"),
        ("Service", "spicedb"),
        ("Role", "spicedb"),
        ("RoleBinding", "spicedb"),
        ("Service", "spicedb-dispatch"),
        ("Service", "spicedb-dispatch-tls"),
        ("Deployment", "spicedb"),
        ("PodDisruptionBudget", "spicedb"),
        ("ServiceAccount", "spicedb-migration-cleanup"),
        ("Role", "spicedb-migration-cleanup"),
        ("RoleBinding", "spicedb-migration-cleanup"),
        ("Job", "spicedb-migration-cleanup"),
    ]


def test_the_two_jobs_are_the_only_hooks() -> None:
    hooks = [each for each in synth(BASE).objects if "helm.sh/hook" in each["metadata"].get("annotations", {})]
    assert [each["metadata"]["name"] for each in hooks] == ["spicedb-migration", "spicedb-migration-cleanup"]


def test_its_parts_are_at_hand() -> None:
    spicedb = SpiceDB(chart(), "spicedb", BASE)
    assert spicedb.props is BASE
    assert spicedb.server.deployment.kind == "Deployment"
    assert spicedb.server.service.kind == "Service"
    assert spicedb.migration is not None
    assert spicedb.migration.job.name == "spicedb-migration"
    assert spicedb.cleanup is not None
    assert spicedb.cleanup.job.name == "spicedb-migration-cleanup"


def test_memory_needs_one_server_and_nothing_else() -> None:
    target = chart()
    spicedb = SpiceDB(target, "spicedb", SpiceDBProps(datastore=Memory()))
    assert spicedb.migration is None
    assert spicedb.cleanup is None
    found = manifests(target)
    assert found.kinds == ["ServiceAccount", "Service", "Deployment"]
    assert found.one("Deployment")["spec"]["replicas"] == 1
    assert "annotations" not in found.one("Deployment")["spec"]["template"]["metadata"]
    assert not any("dispatch" in each for each in found.container("Deployment")["args"])


def test_without_a_migration_there_is_nothing_to_clean_up() -> None:
    target = chart()
    spicedb = SpiceDB(target, "spicedb", attrs.evolve(BASE, migration=MigrationProps(enabled=False)))
    assert spicedb.migration is None
    assert spicedb.cleanup is None
    found = manifests(target)
    assert found.all("Job") == []
    assert found.all(component="cleanup") == []


def test_a_migration_can_stay_where_it_is() -> None:
    target = chart()
    spicedb = SpiceDB(target, "spicedb", attrs.evolve(BASE, cleanup=CleanupProps(enabled=False)))
    assert spicedb.cleanup is None
    found = manifests(target)
    assert [each["metadata"]["name"] for each in found.all("Job")] == ["spicedb-migration"]
    assert found.all(component="cleanup") == []


def test_migration_and_clean_up_stand_alone() -> None:
    target = chart()
    Migration(target, "migration", BASE)
    Cleanup(target, "cleanup", BASE)
    alone, whole = manifests(target).objects, synth(BASE)
    assert alone == [*whole.all(component="migration"), *whole.all(component="cleanup")]


def test_props_are_checked_wherever_they_are_used() -> None:
    class Authz(cdk8s.Chart):
        """A chart of somebody's own, which keeps what it was given."""

        def __init__(self, scope: Construct, props: SpiceDBProps) -> None:
            super().__init__(scope, "authz")
            self.props = props
            SpiceDB(self, "spicedb", props)

    with pytest.raises(InvalidProps, match="replicas"):
        Authz(cdk8s.Testing.app(), SpiceDBProps(datastore=POSTGRES, server=ServerProps(replicas=0)))
    applied = SpiceDBProps(datastore=POSTGRES, delivery=Delivery.KUBECTL)
    within = SpiceDB(chart(), "spicedb", applied)
    with pytest.raises(InvalidProps, match="one with hooks"):
        Cleanup(within, "another", applied)


def test_two_spicedbs_in_one_chart_share_nothing() -> None:
    found = synth(BASE, attrs.evolve(BASE, name="other", server=ServerProps(replicas=3)))
    names = [(each["kind"], each["metadata"]["name"]) for each in found.objects]
    assert len(names) == len(set(names)) == 26
    pods = [each["metadata"]["labels"] for each in found.templates]
    for name in ("spicedb", "other"):
        selector = found.named("Service", name)["spec"]["selector"]
        assert [pod["app.kubernetes.io/instance"] for pod in pods if selector.items() <= pod.items()] == [name]


def test_two_spicedbs_render_as_each_would_alone() -> None:
    other = attrs.evolve(BASE, name="other")
    assert synth(BASE, other).objects == [*synth(BASE).objects, *synth(other).objects]


@pytest.mark.parametrize(
    ("name", "namespace", "address"),
    [
        ("spicedb", None, "spicedb:50051"),
        ("permissions", None, "permissions:50051"),
        ("spicedb", "identity", "spicedb.identity:50051"),
    ],
)
def test_clients_find_it_at_its_address(name: str, namespace: str | None, address: str) -> None:
    target = chart(namespace)
    spicedb = SpiceDB(target, "id", attrs.evolve(BASE, name=name))
    assert spicedb.grpc_address == address
    assert spicedb.service_name == name == spicedb.server.service.name
    ports = {port["name"]: port["port"] for port in manifests(target).named("Service", name)["spec"]["ports"]}
    assert address.endswith(f":{ports['grpc']}")


def test_its_labels_select_the_servers_pods_alone() -> None:
    target = chart()
    spicedb = SpiceDB(target, "spicedb", BASE)
    found = manifests(target)
    assert spicedb.labels == found.named("Service", "spicedb")["spec"]["selector"]
    hit = [each["metadata"]["labels"] for each in found.templates]
    assert [each["app.kubernetes.io/component"] for each in hit if spicedb.labels.items() <= each.items()] == ["server"]


def test_an_app_that_embeds_it_patches_what_has_no_prop() -> None:
    target = chart()
    spicedb = SpiceDB(target, "spicedb", BASE)
    spicedb.server.deployment.add_json_patch(
        cdk8s.JsonPatch.replace("/spec/strategy/rollingUpdate/maxSurge", "50%"),
        cdk8s.JsonPatch.add("/spec/template/spec/containers/-", {"name": "proxy", "image": "proxy:1"}),
    )
    spec = manifests(target).one("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxSurge"] == "50%"
    assert [each["name"] for each in spec["template"]["spec"]["containers"]] == ["spicedb", "proxy"]


@pytest.mark.parametrize(
    "broken",
    [{"name": "Not a name"}, {"server": ServerProps(replicas=0)}, {"cleanup": CleanupProps(image="kubectl")}],
    ids=lambda broken: next(iter(broken)),
)
def test_props_that_are_refused_add_nothing(broken: dict[str, Any]) -> None:
    target = chart()
    with pytest.raises(InvalidProps):
        SpiceDB(target, "spicedb", attrs.evolve(BASE, **broken))
    assert manifests(target).objects == []
    assert target.node.children == []


@EXAMPLES
def test_no_job_ends_up_behind_the_service(props: SpiceDBProps) -> None:
    found = synth(props)
    behind = [each for each in found.objects if "template" in each.get("spec", {})]
    for service in found.all("Service"):
        selector = service["spec"]["selector"].items()
        hit = [each["kind"] for each in behind if selector <= each["spec"]["template"]["metadata"]["labels"].items()]
        assert hit == ["Deployment"]


@EXAMPLES
def test_every_account_that_a_pod_names_is_there(props: SpiceDBProps) -> None:
    found = synth(props)
    named = {each["spec"]["serviceAccountName"] for each in found.templates if "serviceAccountName" in each["spec"]}
    assert named == {each["metadata"]["name"] for each in found.all("ServiceAccount")}


@EXAMPLES
def test_no_object_holds_the_value_of_a_secret(props: SpiceDBProps) -> None:
    assert "Secret" not in synth(props).kinds


def test_the_same_props_render_the_same_every_time() -> None:
    for props in MATRIX.values():
        assert synth(props).objects == synth(props).objects
