"""Settings that all kinds of pods have: their own, and those of all pods. And whose ServiceAccount they have."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb import (
    BackupProps,
    CleanupProps,
    Delivery,
    MigrationProps,
    MySQL,
    PermissionTest,
    PodSettings,
    PostgreSQL,
    SchemaProps,
    SecretKey,
    ServerProps,
    SpiceDBProps,
    Toleration,
)
from cdk8s_spicedb.manifests import release_manifests
from cdk8s_spicedb.props.pod import combined
from cdk8s_spicedb.props.rules.pods import CONTAINERS, VOLUMES, selects
from tests.synth import OF_LOST_NODES, POSTGRES, Object, matrix, template_of

PARTS = ("server", "migration", "cleanup", "schema", "test", "backup")
BASE = SpiceDBProps(
    version="v1.56.0",
    datastore=POSTGRES,
    schema=SchemaProps(text="definition user {}"),
    test=PermissionTest(resource="document", permission="read", subject="user"),
    backup=BackupProps(schedule="@daily"),
)
SETTINGS: dict[str, Any] = {
    "pod_labels": {"cost-center": "42"},
    "pod_annotations": {"sidecar.istio.io/inject": "false"},
    "node_selector": {"pool": "iam"},
    "tolerations": [Toleration(key="pool", operator="Exists")],
    "priority_class_name": "critical",
    "affinity": {"nodeAffinity": {}},
    "env": {"A": "b", "C": SecretKey("s", "k")},
    "extra_volumes": [{"name": "x", "emptyDir": {}}],
    "extra_volume_mounts": [{"name": "x", "mountPath": "/x"}],
    "init_containers": [{"name": "proxy", "image": "example.com/proxy:1", "restartPolicy": "Always"}],
    "extra_containers": [{"name": "agent", "image": "example.com/agent:1"}],
}


def pods(props: SpiceDBProps) -> dict[str, dict[str, Any]]:
    """The template of each component's pods."""
    return {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: template
        for each in release_manifests(props)
        if (template := template_of(each))
    }


def has_all(template: dict[str, Any]) -> bool:
    metadata, pod = template["metadata"], template["spec"]
    container = next((each for each in pod.get("initContainers", []) if each["name"] == "zed"), pod["containers"][0])
    found = (
        metadata["labels"].get("cost-center") == "42",
        metadata.get("annotations", {}).get("sidecar.istio.io/inject") == "false",
        pod.get("nodeSelector") == {"pool": "iam"},
        pod.get("tolerations") == [{"key": "pool", "operator": "Exists"}, *OF_LOST_NODES],
        pod.get("priorityClassName") == "critical",
        pod.get("affinity") == {"nodeAffinity": {}},
        {"name": "A", "value": "b"} in container.get("env", []),
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}} in container.get("env", []),
        {"name": "x", "emptyDir": {}} in pod.get("volumes", []),
        {"name": "x", "mountPath": "/x"} in container.get("volumeMounts", []),
        [each["name"] for each in pod.get("initContainers", [])][:1] == ["proxy"],
        [each["name"] for each in pod["containers"]][1:] == ["agent"],
    )
    assert all(found) or not any(found), found
    return all(found)


@pytest.mark.parametrize("delivery", [Delivery.HELM, Delivery.ARGOCD, Delivery.KUBECTL])
def test_all_pods_have_the_settings_of_all_pods(delivery: Delivery) -> None:
    test = BASE.test if delivery.is_chart else None
    found = pods(attrs.evolve(BASE, pods=PodSettings(**SETTINGS), delivery=delivery, test=test))
    assert found.keys() == {"server", "migration", "schema", "backup"} | (
        {"cleanup"} if delivery.has_hooks else set()
    ) | ({"test"} if test else set())
    assert {part for part, template in found.items() if has_all(template)} == found.keys()


@pytest.mark.parametrize("part", PARTS)
def test_each_kind_of_pod_has_settings_of_its_own(part: str) -> None:
    found = pods(attrs.evolve(BASE, **{part: attrs.evolve(getattr(BASE, part), **SETTINGS)}))
    assert [each for each, template in found.items() if has_all(template)] == [part]


def test_the_settings_of_one_kind_take_precedence() -> None:
    shared = PodSettings(
        pod_labels={"a": "1", "b": "1"},
        tolerations=[Toleration(key="a", operator="Exists")],
        affinity={"nodeAffinity": {}},
        priority_class_name="low",
        env={"A": "1", "B": "1"},
        extra_volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}],
    )
    own = ServerProps(
        pod_labels={"b": "2"},
        tolerations=[Toleration(key="b", operator="Exists")],
        affinity={"podAffinity": {}},
        priority_class_name="high",
        env={"B": "2"},
        extra_volumes=[{"name": "b", "hostPath": {"path": "/b"}}, {"name": "c", "emptyDir": {}}],
        replicas=7,
    )
    found = combined(shared, own)
    assert (found.pod_labels, found.env) == ({"a": "1", "b": "2"}, {"A": "1", "B": "2"})
    assert (found.tolerations, found.affinity, found.priority_class_name) == (
        own.tolerations,
        own.affinity,
        "high",
    )
    assert [*found.extra_volumes] == [{"name": "a", "emptyDir": {}}, *own.extra_volumes]
    assert found.replicas == 7
    assert combined(PodSettings(), own) is own


def test_the_names_of_this_package_are_reserved() -> None:
    """A volume or a container that is new here must also be in the lists of names that users cannot take."""
    templates = [
        template
        for props in matrix().values()
        for each in release_manifests(attrs.evolve(props, pods=PodSettings()))
        if (template := template_of(each))
    ]
    volumes = {volume["name"]: volume for template in templates for volume in template["spec"].get("volumes", [])}
    own = {name for name, volume in volumes.items() if "projected" in volume or name in ("backup", "schema")}
    assert own == set(VOLUMES)
    containers = [
        *(template["spec"]["containers"][0] for template in templates),
        *(container for template in templates for container in template["spec"].get("initContainers", [])),
    ]
    assert {container["name"] for container in containers} == set(CONTAINERS)
    for container in containers:
        for mount in container.get("volumeMounts", []):
            assert mount["name"] not in own or mount["mountPath"] == f"/etc/spicedb/{mount['name']}"


IAM = PostgreSQL(host="db", database="d", user="u", credentials_provider="aws-iam")
MYSQL_IAM = MySQL(host="db", database="d", user="u", credentials_provider="aws-iam")
ROLE = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/spicedb"}
OWN, SHARED = "spicedb-migration", "authz"
NO_ROLE = MigrationProps(service_account_annotations={})
ACCOUNTS: list[tuple[dict[str, Any], str, str | None]] = [
    # props, the account of the servers, and that of the migration
    ({}, "spicedb", None),
    ({"server": ServerProps(service_account=SHARED)}, SHARED, SHARED),
    ({"pods": PodSettings(service_account=SHARED)}, SHARED, SHARED),
    ({"pods": PodSettings(service_account="all"), "server": ServerProps(service_account=SHARED)}, SHARED, SHARED),
    (
        {"server": ServerProps(service_account=SHARED), "migration": MigrationProps(service_account="owner")},
        SHARED,
        "owner",
    ),
    ({"pods": PodSettings(service_account=SHARED), "migration": MigrationProps(service_account="o")}, SHARED, "o"),
    ({"service_account_annotations": ROLE}, "spicedb", OWN),
    (
        {
            "server": ServerProps(service_account=SHARED),
            "migration": MigrationProps(service_account_annotations=ROLE),
        },
        SHARED,
        OWN,
    ),
    (
        {"service_account_annotations": ROLE, "migration": MigrationProps(service_account_annotations={})},
        "spicedb",
        None,
    ),
    ({"datastore": IAM}, "spicedb", OWN),
    ({"datastore": MYSQL_IAM}, "spicedb", OWN),
    ({"datastore": IAM, "server": ServerProps(service_account=SHARED)}, SHARED, SHARED),
    ({"datastore": IAM, "migration": MigrationProps(service_account="owner")}, "spicedb", "owner"),
    ({"datastore": IAM, "migration": NO_ROLE}, "spicedb", None),
]


@pytest.mark.parametrize("delivery", [Delivery.HELM, Delivery.ARGOCD, Delivery.KUBECTL])
@pytest.mark.parametrize(("fields", "servers", "migration"), ACCOUNTS)
def test_servers_and_migration_have_the_same_identity(
    fields: dict[str, Any], servers: str, migration: str | None, delivery: Delivery
) -> None:
    props = attrs.evolve(BASE, delivery=delivery, test=None, **fields)
    found = {part: template["spec"].get("serviceAccountName") for part, template in pods(props).items()}
    assert (found["server"], found["migration"]) == (servers, migration)
    made = {each["metadata"]["name"]: each for each in release_manifests(props) if each["kind"] == "ServiceAccount"}
    # What the release does not create exists already.
    assert ("spicedb" in made, OWN in made) == (servers == "spicedb", migration == OWN)
    dispatches = attrs.evolve(props, server=attrs.evolve(props.server, dispatch_enabled=True))
    bound = [each for each in release_manifests(dispatches) if each["kind"] == "RoleBinding"]
    assert {each["metadata"]["name"]: each["subjects"][0]["name"] for each in bound}["spicedb"] == servers


def test_jobs_can_have_an_account_that_exists() -> None:
    props = attrs.evolve(
        BASE,
        cleanup=CleanupProps(service_account="deleter"),
        schema=SchemaProps(text="definition user {}", service_account="writer"),
        test=PermissionTest(resource="document", permission="read", subject="user", service_account="tester"),
        backup=BackupProps(schedule="@daily", service_account="keeper"),
    )
    found = {part: template["spec"].get("serviceAccountName") for part, template in pods(props).items()}
    assert found == {
        "server": "spicedb",
        "migration": None,
        "cleanup": "deleter",
        "schema": "writer",
        "test": "tester",
        "backup": "keeper",
    }
    objects = release_manifests(props)
    assert [each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount"] == ["spicedb"]
    bindings = {each["metadata"]["name"]: each for each in objects if each["kind"] == "RoleBinding"}
    assert bindings["spicedb-migration-cleanup"]["subjects"] == [{"kind": "ServiceAccount", "name": "deleter"}]


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "1", "b": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["0", "1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
    ],
)
def test_selectors_match_as_in_kubernetes(selector: dict[str, Any] | None, selected: bool) -> None:
    assert selects(selector, {"a": "1"}) is selected


@pytest.mark.parametrize(
    "terms",
    [
        5,
        {"a": "b"},
        ["x", None],
        [{"labelSelector": None}, {"labelSelector": "x"}],
        [{"labelSelector": {"matchLabels": ["a"], "matchExpressions": [{"key": ["a"], "operator": ["In"]}]}}],
        [{"labelSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": 5}]}}],
    ],
)
def test_kubernetes_itself_refuses_an_affinity_of_another_form(terms: Any) -> None:
    rules = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    props = attrs.evolve(BASE, server=ServerProps(affinity=rules))
    assert pods(props)["server"]["spec"]["affinity"] == rules


@pytest.mark.parametrize(
    ("own", "added"),
    [
        (None, OF_LOST_NODES),
        (Toleration(key="pool", operator="Exists"), OF_LOST_NODES),
        (Toleration(key="node.kubernetes.io/not-ready", operator="Exists", toleration_seconds=90), OF_LOST_NODES[1:]),
        (Toleration(key="node.kubernetes.io/not-ready", operator="Exists", effect="NoSchedule"), OF_LOST_NODES),
        # It tolerates every taint.
        (Toleration(operator="Exists"), []),
    ],
)
def test_pods_leave_a_node_that_does_not_answer(own: Toleration | None, added: list[Object]) -> None:
    """For 30 s, they wait for the node. What the user says takes precedence."""
    given = [own] if own else []
    for template in pods(attrs.evolve(BASE, pods=PodSettings(tolerations=given))).values():
        found = template["spec"].get("tolerations", [])
        assert found[len(given) :] == added
