"""Patches of objects, and pods on OpenShift."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cdk8s_spicedb import (
    Delivery,
    InvalidProps,
    Memory,
    Patch,
    PatchOperation,
    PostgreSQL,
    SecretKey,
    SpiceDB,
    SpiceDBProps,
    write_helm_chart,
)
from cdk8s_spicedb.manifests import release_manifests
from cdk8s_spicedb.props import problems
from tests.charts import rendered, same, without_chart_labels
from tests.synth import POSTGRES, Manifests, chart, synth


def add(path: str, value: Any) -> PatchOperation:
    return PatchOperation(op="add", path=path, value=value)


def patched(*patches: Patch, **fields: Any) -> SpiceDBProps:
    return SpiceDBProps(**{"version": "v1.56.0", "datastore": POSTGRES, "patches": patches, **fields})


def render(*patches: Patch, **fields: Any) -> Manifests:
    return synth(patched(*patches, **fields))


POD = "/spec/template/spec"
DNS = f"{POD}/dnsPolicy"


def test_a_patch_changes_only_its_object() -> None:
    objects = render(Patch(kind="Job", name="spicedb-migration", operations=[add(DNS, "Default")]))
    assert objects.pod("Job", "migration")["dnsPolicy"] == "Default"
    assert "dnsPolicy" not in objects.pod("Job", "cleanup")
    assert "dnsPolicy" not in objects.pod("Deployment")


def test_a_patch_without_a_name_changes_all_objects_of_the_kind() -> None:
    objects = render(Patch(kind="Job", operations=[add(DNS, "Default")]))
    assert [objects.pod("Job", name)["dnsPolicy"] for name in ("migration", "cleanup")] == ["Default", "Default"]


def test_operations_are_applied_in_order() -> None:
    operations = [
        PatchOperation(op="test", path="/spec/replicas", value=2),
        PatchOperation(op="replace", path="/spec/replicas", value=4),
        add("/spec/revisionHistoryLimit", 3),
        PatchOperation(op="remove", path="/spec/strategy"),
        add("/metadata/annotations", {}),
        add("/metadata/annotations/example.com~1note", "x"),
        add("/spec/template/spec/containers/0/args/-", "--dispatch-max-depth=100"),
    ]
    deployment = render(Patch(kind="Deployment", operations=operations)).one("Deployment")
    assert (deployment["spec"]["replicas"], deployment["spec"]["revisionHistoryLimit"]) == (4, 3)
    assert "strategy" not in deployment["spec"]
    assert deployment["metadata"]["annotations"] == {"example.com/note": "x"}
    assert deployment["spec"]["template"]["spec"]["containers"][0]["args"][-1] == "--dispatch-max-depth=100"


def test_objects_do_not_share_the_value_of_a_patch() -> None:
    value = {"a": "b"}
    path = "/spec/template/metadata/annotations"
    objects = render(Patch(kind="Job", operations=[add(path, value), add(f"{path}/c", "d")]))
    for name in ("migration", "cleanup"):
        metadata = objects.one("Job", name)["spec"]["template"]["metadata"]
        assert metadata["annotations"] == {"a": "b", "c": "d"}
    assert value == {"a": "b"}


def test_with_kubectl_a_patched_job_has_another_name() -> None:
    change = Patch(kind="Job", name="spicedb-migration", operations=[add(DNS, "Default")])
    plain, changed = (render(*patches, delivery=Delivery.KUBECTL).one("Job") for patches in ((), (change,)))
    assert plain["metadata"]["name"] != changed["metadata"]["name"]


def test_patches_change_a_written_chart(tmp_path: Path) -> None:
    write_helm_chart(tmp_path / "chart", patched(Patch(kind="Deployment", operations=[add(DNS, "Default")])))
    assert Manifests(rendered(tmp_path / "chart")).pod("Deployment")["dnsPolicy"] == "Default"


@pytest.mark.parametrize(
    ("patch", "field", "allowed"),
    [
        (
            Patch(kind="Deploymint", operations=[add(DNS, "x")]),
            "patches[0]",
            "of the release: Deployment spicedb",
        ),
        (Patch(kind="Job", name="other", operations=[add(DNS, "x")]), "patches[0]", "Job spicedb-migration"),
        (
            Patch(kind="Deployment", operations=[PatchOperation(op="replace", path="/spec/replica", value=1)]),
            "patches[0].operations[0]",
            "replica",
        ),
        (
            Patch(kind="Service", operations=[add("/spec/a/b", 1)]),
            "patches[0].operations[0]",
            "an operation that fits Service spicedb",
        ),
        (
            Patch(kind="Deployment", operations=[add(f"{POD}/containers/0/args/-", "--grpc-addr=:1")]),
            "patches[0].operations[0]",
            "arguments of Deployment spicedb that no prop sets; not --grpc-addr",
        ),
        (
            Patch(
                kind="Deployment",
                operations=[add(f"{POD}/containers/0/env/-", {"name": "SPICEDB_DATASTORE_ENGINE", "value": "memory"})],
            ),
            "patches[0].operations[0]",
            "leaves the variable SPICEDB_DATASTORE_ENGINE of Deployment spicedb only once",
        ),
        (
            Patch(kind="Deployment", operations=[PatchOperation(op="replace", path=f"{POD}/containers", value=5)]),
            "patches[0].operations[0]",
            "an operation that keeps the form of /spec/template/spec/containers in Deployment spicedb",
        ),
        (
            Patch(kind="Service", operations=[PatchOperation(op="replace", path="/spec/ports", value=["a"])]),
            "patches[0].operations[0]",
            "keeps the form of /spec/ports/0 in Service spicedb",
        ),
        (
            Patch(kind="Deployment", operations=[PatchOperation(op="replace", path=f"{POD}/securityContext")]),
            "patches[0].operations[0]",
            f"keeps the form of {POD}/securityContext",
        ),
        (
            Patch(kind="Service", operations=[add("/spec/x", {"since": [date(2001, 1, 1)]})]),
            "patches[0].operations[0].value",
            "a value that a manifest can hold",
        ),
        (
            Patch(kind="Service", operations=[PatchOperation(op="test", path="/spec/type", value="NodePort")]),
            "patches[0].operations[0]",
            "ClusterIP",
        ),
    ],
)
def test_a_patch_that_does_not_fit_is_rejected(patch: Patch, field: str, allowed: str, tmp_path: Path) -> None:
    target = chart()
    with pytest.raises(InvalidProps) as caught:
        SpiceDB(target, "spicedb", patched(patch))
    [problem] = caught.value.problems
    assert problem.field == field
    assert allowed in problem.allowed
    assert not target.node.children
    with pytest.raises(InvalidProps):
        write_helm_chart(tmp_path / "chart", patched(patch))
    assert not (tmp_path / "chart").exists()


@pytest.mark.parametrize(
    ("operation", "field", "allowed"),
    [
        ({"op": "move", "path": "/a"}, "op", "add, replace, remove, test"),
        ({"op": "add", "path": "spec/replicas"}, "path", "a JSON pointer"),
        ({"op": "add", "path": "/a~2b"}, "path", "a JSON pointer"),
        ({"op": "add", "path": "/a", "value": object()}, "value", "a value that a manifest can hold"),
        ({"op": "remove", "path": "/a", "value": 1}, "value", "None with op='remove'"),
    ],
)
def test_invalid_patches_are_rejected(operation: dict[str, Any], field: str, allowed: str) -> None:
    [problem] = problems(patched(Patch(kind="Service", operations=[PatchOperation(**operation)])))
    assert problem.field == f"patches[0].operations[0].{field}"
    assert allowed in problem.allowed


def test_openshift_chooses_the_users() -> None:
    for template in render(openshift=True).templates:
        assert template["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    assert synth(SpiceDBProps(datastore=Memory())).pod("Deployment")["securityContext"]["runAsUser"] == 65532


def operation(op: Any, path: str, value: Any = None) -> PatchOperation:
    return PatchOperation(op=op, path=path, value=value)


CA = PostgreSQL(host="db", database="d", user="u", password=SecretKey("pg", "p"), ca=SecretKey("pg-ca", "ca.crt"))


@pytest.mark.parametrize(
    ("kind", "change", "lost"),
    [
        ("Deployment", add(f"{POD}/volumes", [{"name": "x", "emptyDir": {}}]), "add would replace it"),
        ("Deployment", operation("replace", f"{POD}/volumes", [{"name": "x"}]), "keeps the volume datastore"),
        ("Deployment", operation("remove", f"{POD}/volumes/0"), "keeps the volume datastore"),
        ("Deployment", operation("replace", f"{POD}/containers/0/volumeMounts", []), "the mount at /etc/spicedb/data"),
        ("Deployment", operation("remove", f"{POD}/containers/0/env"), "keeps the variable"),
        ("Deployment", operation("replace", f"{POD}/containers/0/name", "other"), "keeps the container spicedb"),
        (
            "Deployment",
            operation("remove", "/spec/template/metadata/annotations"),
            "pods' annotation checksum/migration",
        ),
        ("Deployment", add("/spec/template/metadata/annotations", {"a": "b"}), "pods' annotation checksum/migration"),
        ("Deployment", add("/spec/template/metadata/labels", {"a": "b"}), "the pods' label app.kubernetes.io/comp"),
        ("Deployment", add("/spec/selector/matchLabels/team", "x"), "keeps its selector"),
        ("Deployment", operation("replace", "/metadata/name", "other"), "keeps its name"),
        ("Service", operation("replace", "/kind", "Ingress"), "keeps its kind"),
        ("Service", operation("remove", "/spec/selector/app.kubernetes.io~1component"), "keeps its selector"),
        ("Job", operation("remove", "/metadata/annotations/helm.sh~1hook"), "annotation helm.sh/hook"),
        ("Job", operation("remove", f"{POD}"), "keeps the container"),
    ],
)
def test_a_patch_cannot_remove_what_the_release_needs(kind: str, change: PatchOperation, lost: str) -> None:
    with pytest.raises(InvalidProps) as caught:
        render(Patch(kind=kind, operations=[change]), datastore=CA)
    [problem] = caught.value.problems
    assert lost in problem.allowed
    assert problem.field == "patches[0].operations[0]"
    assert problem.value == f"{change.op} {change.path}"
    assert len(str(problem)) < 500


@pytest.mark.parametrize("path", ["tolerations", "tolerations/-"])
def test_a_patch_can_set_tolerations(path: str) -> None:
    own: dict[str, Any] = {"key": "pool", "operator": "Exists"}
    value = own if path.endswith("-") else [own]
    pod = render(Patch(kind="Deployment", operations=[add(f"{POD}/{path}", value)])).pod("Deployment")
    assert own in pod["tolerations"]
    assert (len(pod["tolerations"]) == 1) is (path == "tolerations")


def test_a_patch_can_add_to_lists_and_change_values() -> None:
    operations = [
        add(f"{POD}/volumes/-", {"name": "more", "emptyDir": {}}),
        add(f"{POD}/volumes/0", {"name": "first", "emptyDir": {}}),
        add(f"{POD}/containers/-", {"name": "agent", "image": "example.com/agent:1"}),
        operation("replace", f"{POD}/containers/0/env/0", {"name": "SPICEDB_GRPC_PRESHARED_KEY", "value": "x"}),
    ]
    pod = render(Patch(kind="Deployment", operations=operations), datastore=CA).pod("Deployment")
    assert [each["name"] for each in pod["volumes"]] == ["first", "datastore", "more"]
    assert [each["name"] for each in pod["containers"]] == ["spicedb", "agent"]
    assert pod["containers"][0]["env"][0]["value"] == "x"


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("/spec/replicas", 7, ("replicas", "server.replicas")),
        (f"{POD}/tolerations", [{"operator": "Exists"}], ("tolerations", "server.tolerations")),
        (f"{POD}/tolerations/-", {"operator": "Exists"}, ("tolerations", "server.tolerations")),
        (f"{POD}/priorityClassName", "critical", ("priorityClassName", "server.priority_class_name")),
        (f"{POD}/containers/0/image", "x", ("image", "image")),
        (f"{POD}/containers/0/resources/limits/memory", "2Gi", ("resources", "server.resources")),
        (f"{POD}/containers/0/args/0", "--dispatch-max-depth=9", ("logLevel", "server.log_level")),
        (f"{POD}/containers/0/imagePullPolicy", "Always", ("image.pullPolicy", "image_pull_policy")),
        (f"{POD}/serviceAccountName", "x", ("serviceAccount.name", "server.service_account")),
        (f"{POD}/topologySpreadConstraints/-", {}, ("topologySpreadConstraints", "server.topology_spread")),
        (f"{POD}/terminationGracePeriodSeconds", 9, ("terminationGracePeriodSeconds", "server.termination_grace_pe")),
        ("/metadata/labels/app.kubernetes.io~1version", "x", ("image.tag", "version")),
    ],
)
def test_in_a_chart_a_patch_does_not_change_what_a_value_sets(
    path: str, value: Any, named: tuple[str, str], tmp_path: Path
) -> None:
    """Otherwise the value would silently undo the patch."""
    props = patched(Patch(kind="Deployment", operations=[add(path, value)]))
    assert synth(props)
    with pytest.raises(InvalidProps) as caught:
        write_helm_chart(tmp_path / "chart", props)
    [problem] = caught.value.problems
    assert problem.field == "patches[0].operations[0]"
    assert f"the value {named[0]} sets this one" in problem.allowed
    assert f"set the prop {named[1]}" in problem.fix
    assert not (tmp_path / "chart").exists()


PATCHES = {
    "a field": ("Deployment", add(DNS, "Default")),
    "a label of pods": ("Deployment", add("/spec/template/metadata/labels/team", "x")),
    "an annotation": ("Service", add("/metadata/annotations", {"a": "b"})),
    "annotations of pods": ("Job", add("/spec/template/metadata/annotations", {"a": "b"})),
    "a node selector": ("Deployment", add(f"{POD}/nodeSelector", {"pool": "iam"})),
    "a variable": ("Deployment", add(f"{POD}/containers/0/env/-", {"name": "A", "value": "{{ b }}"})),
    "a variable from another Secret": (
        "Deployment",
        add(
            f"{POD}/containers/0/env/-",
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k", "optional": True}}},
        ),
    ),
    "an argument": ("Deployment", add(f"{POD}/containers/0/args/-", "--dispatch-max-depth=100")),
    "a volume": ("Deployment", add(f"{POD}/volumes", [{"name": "x", "secret": {"secretName": "x"}}])),
    "a sidecar": ("Deployment", add(f"{POD}/containers/-", {"name": "agent", "image": "example.com/agent:1"})),
    "a field of the container": ("Deployment", add(f"{POD}/containers/0/workingDir", "/x")),
    "a session affinity": ("Service", add("/spec/sessionAffinity", "ClientIP")),
    "all Jobs": ("Job", add(f"{POD}/dnsPolicy", "Default")),
}


@pytest.mark.parametrize("name", PATCHES)
def test_a_chart_has_the_same_patches_as_the_constructs(name: str, tmp_path: Path) -> None:
    kind, change = PATCHES[name]
    props = patched(Patch(kind=kind, operations=[change]))
    write_helm_chart(tmp_path / "chart", props)
    assert same(without_chart_labels(rendered(tmp_path / "chart")), release_manifests(props))
