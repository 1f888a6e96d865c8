"""Servers, migration and clean-up together."""

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


def test_the_order_is_migration_then_servers_then_clean_up() -> None:
    found = synth(BASE)
    assert [(manifest["kind"], manifest["metadata"]["name"]) for manifest in found.objects] == [
        ("Job", "spicedb-migration"),
        ("ServiceAccount", "spicedb"),
        ("Service", "spicedb"),
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
    hooks = [
        manifest for manifest in synth(BASE).objects if "helm.sh/hook" in manifest["metadata"].get("annotations", {})
    ]
    assert [manifest["metadata"]["name"] for manifest in hooks] == ["spicedb-migration", "spicedb-migration-cleanup"]


def test_its_parts_are_attributes() -> None:
    spicedb = SpiceDB(chart(), "spicedb", BASE)
    assert spicedb.props is BASE
    assert spicedb.server.deployment.kind == "Deployment"
    assert spicedb.server.service.kind == "Service"
    assert spicedb.migration is not None
    assert spicedb.migration.job.name == "spicedb-migration"
    assert spicedb.cleanup is not None
    assert spicedb.cleanup.job.name == "spicedb-migration-cleanup"


def test_the_memory_engine_has_only_one_server() -> None:
    target = chart()
    spicedb = SpiceDB(target, "spicedb", SpiceDBProps(datastore=Memory()))
    assert spicedb.migration is None
    assert spicedb.cleanup is None
    found = manifests(target)
    assert found.kinds == ["ServiceAccount", "Service", "Deployment"]
    assert found.one("Deployment")["spec"]["replicas"] == 1
    assert "annotations" not in found.one("Deployment")["spec"]["template"]["metadata"]
    assert not any("dispatch" in arg for arg in found.container("Deployment")["args"])


def test_without_a_migration_there_is_no_clean_up() -> None:
    target = chart()
    spicedb = SpiceDB(target, "spicedb", attrs.evolve(BASE, migration=MigrationProps(enabled=False)))
    assert spicedb.migration is None
    assert spicedb.cleanup is None
    found = manifests(target)
    assert found.all("Job") == []
    assert found.all(component="cleanup") == []


def test_the_clean_up_can_be_disabled() -> None:
    target = chart()
    spicedb = SpiceDB(target, "spicedb", attrs.evolve(BASE, cleanup=CleanupProps(enabled=False)))
    assert spicedb.cleanup is None
    found = manifests(target)
    assert [job["metadata"]["name"] for job in found.all("Job")] == ["spicedb-migration"]
    assert found.all(component="cleanup") == []


def test_migration_and_clean_up_can_be_used_alone() -> None:
    target = chart()
    Migration(target, "migration", BASE)
    Cleanup(target, "cleanup", BASE)
    parts, whole = manifests(target).objects, synth(BASE)
    assert parts == [*whole.all(component="migration"), *whole.all(component="cleanup")]


def test_every_construct_checks_its_props() -> None:
    class Authz(cdk8s.Chart):
        """A chart of an app, which has an attribute ``props`` as well."""

        def __init__(self, scope: Construct, props: SpiceDBProps) -> None:
            super().__init__(scope, "authz")
            self.props = props
            SpiceDB(self, "spicedb", props)

    with pytest.raises(InvalidProps, match="replicas"):
        Authz(cdk8s.Testing.app(), SpiceDBProps(datastore=POSTGRES, server=ServerProps(replicas=0)))
    applied = SpiceDBProps(datastore=POSTGRES, delivery=Delivery.KUBECTL)
    within = SpiceDB(chart(), "spicedb", applied)
    with pytest.raises(InvalidProps, match="a delivery with hooks"):
        Cleanup(within, "another", applied)


def test_two_spicedbs_in_one_chart_share_nothing() -> None:
    found = synth(BASE, attrs.evolve(BASE, name="other", server=ServerProps(replicas=3)))
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in found.objects]
    assert len(names) == len(set(names)) == 22
    pods = [template["metadata"]["labels"] for template in found.templates]
    for name in ("spicedb", "other"):
        selector = found.named("Service", name)["spec"]["selector"]
        assert [pod["app.kubernetes.io/instance"] for pod in pods if selector.items() <= pod.items()] == [name]


def test_two_spicedbs_render_as_each_does_alone() -> None:
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
def test_its_address_is_that_of_its_service(name: str, namespace: str | None, address: str) -> None:
    target = chart(namespace)
    spicedb = SpiceDB(target, "id", attrs.evolve(BASE, name=name))
    assert spicedb.grpc_address == address
    assert spicedb.service_name == name == spicedb.server.service.name
    ports = {port["name"]: port["port"] for port in manifests(target).named("Service", name)["spec"]["ports"]}
    assert address.endswith(f":{ports['grpc']}")


def test_its_labels_select_only_the_servers_pods() -> None:
    target = chart()
    spicedb = SpiceDB(target, "spicedb", BASE)
    found = manifests(target)
    assert spicedb.labels == found.named("Service", "spicedb")["spec"]["selector"]
    pods = [template["metadata"]["labels"] for template in found.templates]
    assert [labels["app.kubernetes.io/component"] for labels in pods if spicedb.labels.items() <= labels.items()] == [
        "server"
    ]


def test_an_app_can_patch_its_objects() -> None:
    target = chart()
    spicedb = SpiceDB(target, "spicedb", BASE)
    spicedb.server.deployment.add_json_patch(
        cdk8s.JsonPatch.replace("/spec/strategy/rollingUpdate/maxSurge", "50%"),
        cdk8s.JsonPatch.add("/spec/template/spec/containers/-", {"name": "proxy", "image": "proxy:1"}),
    )
    spec = manifests(target).one("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxSurge"] == "50%"
    assert [container["name"] for container in spec["template"]["spec"]["containers"]] == ["spicedb", "proxy"]


@pytest.mark.parametrize(
    "broken",
    [{"name": "Not a name"}, {"server": ServerProps(replicas=0)}, {"cleanup": CleanupProps(image="kubectl")}],
    ids=lambda broken: next(iter(broken)),
)
def test_invalid_props_add_nothing(broken: dict[str, Any]) -> None:
    target = chart()
    with pytest.raises(InvalidProps):
        SpiceDB(target, "spicedb", attrs.evolve(BASE, **broken))
    assert manifests(target).objects == []
    assert target.node.children == []


@EXAMPLES
def test_services_select_no_pods_of_jobs(props: SpiceDBProps) -> None:
    found = synth(props)
    with_pods = [manifest for manifest in found.objects if "template" in manifest.get("spec", {})]
    for service in found.all("Service"):
        selector = service["spec"]["selector"].items()
        selected = [
            manifest["kind"]
            for manifest in with_pods
            if selector <= manifest["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert selected == ["Deployment"]


@EXAMPLES
def test_every_account_of_a_pod_exists(props: SpiceDBProps) -> None:
    found = synth(props)
    named = {
        template["spec"]["serviceAccountName"]
        for template in found.templates
        if "serviceAccountName" in template["spec"]
    }
    assert named == {account["metadata"]["name"] for account in found.all("ServiceAccount")}


@EXAMPLES
def test_there_are_no_secrets(props: SpiceDBProps) -> None:
    assert "Secret" not in synth(props).kinds


def test_the_same_props_always_render_the_same() -> None:
    for props in MATRIX.values():
        assert synth(props).objects == synth(props).objects
