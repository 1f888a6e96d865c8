"""Patches of objects, and pods on OpenShift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cdk8s_spicedb import Delivery, InvalidProps, Memory, Patch, PatchOperation, SpiceDB, SpiceDBProps, write_helm_chart
from cdk8s_spicedb.props import problems
from tests.charts import rendered
from tests.synth import POSTGRES, Manifests, chart, synth


def add(path: str, value: Any) -> PatchOperation:
    return PatchOperation(op="add", path=path, value=value)


def patched(*patches: Patch, **fields: Any) -> SpiceDBProps:
    return SpiceDBProps(**{"version": "v1.56.0", "datastore": POSTGRES, "patches": patches, **fields})


def render(*patches: Patch, **fields: Any) -> Manifests:
    return synth(patched(*patches, **fields))


DNS = "/spec/template/spec/dnsPolicy"


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
            "of the release: Job spicedb-mig",
        ),
        (Patch(kind="Job", name="other", operations=[add(DNS, "x")]), "patches[0]", "Deployment spicedb"),
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
        ({"op": "add", "path": "/a", "value": object()}, "value", "a value that YAML can hold"),
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
