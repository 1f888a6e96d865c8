"""What ``diff`` concludes from objects, and how it prints it."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from cdk8s_spicedb import Delivery, Memory, MigrationProps, PostgreSQL, SecretKey, ServerProps, SpiceDBProps
from cdk8s_spicedb.cli import main
from cdk8s_spicedb.cli.diff import lines
from cdk8s_spicedb.errors import SpiceDBError
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.compare import Change, FieldDiff, ObjectDiff, _added, compare, differences, find_drift
from cdk8s_spicedb.live.diff import Diff, _removed, diff
from cdk8s_spicedb.live.instance import Applier, Running, describe
from cdk8s_spicedb.live.meaning import Change as Meant
from cdk8s_spicedb.live.meaning import meaning
from cdk8s_spicedb.live.released import KINDS, HelmRelease, deployed, is_hook, read_stored
from cdk8s_spicedb.manifests import release_manifests
from tests import fast_yaml

from .fake import Object, cluster_of, plural_of

PROPS = SpiceDBProps(version="v1.52.0", datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")))


def props(version: str = "v1.52.0", **fields: Any) -> SpiceDBProps:
    """SpiceDB with some settings."""
    return attrs.evolve(PROPS, version=version, **fields)


def deployment_of(wanted: SpiceDBProps) -> Object:
    """The Deployment of a release."""
    (found,) = [each for each in release_manifests(wanted) if each["kind"] == "Deployment"]
    found["metadata"]["namespace"] = "authz"
    return found


def running(wanted: SpiceDBProps, **annotations: str) -> Running:
    """The servers of a release, as if they ran."""
    found = deployment_of(wanted)
    found["metadata"]["annotations"] = annotations or {"meta.helm.sh/release-name": "release"}
    return describe(found)


def sentences(before: SpiceDBProps | None, after: SpiceDBProps, **fields: Any) -> str:
    """What a change of a Deployment means."""
    one = deployment_of(before) if before else None
    meant = Meant(
        running=running(before) if before else None,
        props=after,
        objects=[compare(one, deployment_of(after))],
        **{"deletes": (), "leaves": (), "foreign": (), "unknown": "", **fields},
    )
    return " ".join(meaning(meant))


# ---------------------------------------------------------------- fields


def _object(**spec: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, {"spec.a.b": (1, 2)}),
        ({"a": 1}, {"a": 1, "b": {"c": {"d": 2}}}, {"spec.b.c.d": (None, 2)}),
        ({"args": ["--a=1", "--b"]}, {"args": ["--a=2", "--b"]}, {"spec.args[--a]": ("1", "2")}),
        ({"args": ["--a=1", "--b"]}, {"args": ["--b", "--a=1"]}, {"spec.args": (["--a=1", "--b"], ["--b", "--a=1"])}),
        ({"args": ["--a=1", "--a=2"]}, {"args": ["--a=1"]}, {"spec.args": (["--a=1", "--a=2"], ["--a=1"])}),
        ({"command": ["a"]}, {"command": ["b"]}, {"spec.command": (["a"], ["b"])}),
        (
            {"env": [{"name": "A", "value": "1"}]},
            {"env": []},
            {"spec.env[A].name": ("A", None), "spec.env[A].value": ("1", None)},
        ),
        (
            {"rules": [{"verbs": ["get"]}]},
            {"rules": [{"verbs": ["list"]}]},
            {"spec.rules[0].verbs": (["get"], ["list"])},
        ),
        ({"a": "x"}, {"a": {"b": 1}}, {"spec.a": ("x", {"b": 1})}),
        ({"a": {}}, {}, {"spec.a": ({}, None)}),
        ({"x/y": 1}, {"x/y": 2}, {"spec[x/y]": (1, 2)}),
    ],
)
def test_paths_of_fields(before: Object, after: Object, expected: dict[str, tuple[Any, Any]]) -> None:
    found = differences(_object(**before), _object(**after))
    assert {field.path: (field.before, field.after) for field in found} == expected


def test_what_programs_add_is_no_difference() -> None:
    plain = _object(a=1)
    marked = {
        **_object(a=1),
        "metadata": {
            "name": "a",
            "uid": "1",
            "generation": 3,
            "managedFields": [],
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "a", "deployment.kubernetes.io/revision": "2"},
        },
        "status": {"ready": True},
    }
    assert compare(plain, marked).change is Change.UNCHANGED
    assert compare(None, plain).change is Change.CREATED
    assert [field.path for field in compare(None, plain).fields] == ["spec.a"]
    assert compare(plain, None).change is Change.DELETED


def test_values_of_secrets_are_hidden() -> None:
    one = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"key": "YWJj"}}
    two = {**one, "data": {"key": "ZGVm", "new": "Z2hp"}}
    assert [(field.path, field.before, field.after) for field in differences(one, two)] == [
        ("data.key", "(hidden)", "(hidden)"),
        ("data.new", None, "(hidden)"),
    ]


def test_removed_fields_are_those_that_were_released_before() -> None:
    live = {"a": 1, "b": 2, "c": {"d": 1, "e": 2}, "env": [{"name": "A"}, {"name": "B"}, {"name": "C"}], "args": ["x"]}
    old = {"a": 1, "b": 2, "c": {"d": 1}, "env": [{"name": "A"}, {"name": "B"}], "args": ["x", "y"]}
    new = {"a": 1, "c": {}, "env": [{"name": "A"}], "args": ["x"]}
    assert _removed(live, old, new) == {"a": 1, "c": {"e": 2}, "env": [{"name": "A"}, {"name": "C"}], "args": ["x"]}


def test_fields_that_people_set() -> None:
    container = {"name": "spicedb", "image": "a", "env": [{"name": "OWN", "value": "1"}]}
    released = _object(containers=[container])
    added = {"name": "GOGC", "value": "2"}
    live = _object(containers=[{**container, "env": [*container["env"], added], "tty": True}], other=1)
    by_hand: Object = {
        "f:spec": {
            "f:containers": {
                'k:{"name":"spicedb"}': {
                    ".": {},
                    "f:env": {'k:{"name":"GOGC"}': {".": {}, "f:name": {}, "f:value": {}}, 'k:{"name":"GONE"}': {}},
                }
            }
        }
    }
    by_kubernetes: Object = {"f:spec": {"f:other": {}}}
    live["metadata"] = {
        "name": "a",
        "managedFields": [
            {"manager": "kubectl-set", "operation": "Update", "fieldsV1": by_hand},
            {"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": by_kubernetes},
            {"manager": "kubectl", "operation": "Update", "subresource": "scale", "fieldsV1": by_kubernetes},
        ],
    }
    assert [(field.path, field.after) for field in _added(live, released, "helm")] == [
        ("spec.containers[spicedb].env[GOGC].name", "GOGC"),
        ("spec.containers[spicedb].env[GOGC].value", "2"),
    ]


# ---------------------------------------------------------------- Helm


def _release(revision: int, state: str) -> HelmRelease:
    return HelmRelease(release="a", revision=revision, status=state, created="", secret=f"v{revision}")


def test_helm_compares_with_the_deployed_revision() -> None:
    assert deployed([]) is None
    revisions = [_release(1, "superseded"), _release(2, "deployed"), _release(3, "failed")]
    found = deployed(revisions)
    assert found is not None
    assert found.revision == 2
    found = deployed(revisions[::2])
    assert found is not None
    assert found.revision == 3


@pytest.mark.parametrize("compressed", [True, False])
def test_manifests_in_helms_secret(compressed: bool) -> None:
    manifest = "---\n# Source: a\nkind: Service\n---\n---\nkind: Role\n"
    text = json.dumps({"manifest": manifest, "config": {"server": {"replicas": 3}}}).encode()
    content = base64.b64encode(gzip.compress(text) if compressed else text)
    data = {"release": base64.b64encode(content).decode()}
    stored = read_stored(_secrets(data), _release(1, "deployed"))
    assert [each["kind"] for each in stored.manifests] == ["Service", "Role"]
    assert stored.values == ("server",)
    with pytest.raises(SpiceDBError, match="cannot read the manifests in Helm's Secret v1"):
        read_stored(_secrets({"release": "YWJj"}), _release(1, "deployed"))


def _secrets(data: Object) -> Cluster:
    return cluster_of(secrets=[{"metadata": {"name": "v1"}, "data": data}])


# ---------------------------------------------------------------- meaning


def test_an_install() -> None:
    text = sentences(None, props())
    assert "this installs SpiceDB v1.52.0 on postgres with 2 servers" in text
    assert "migrates the datastore to add-index-for-transaction-gc" in text


def test_an_upgrade_that_migrates() -> None:
    text = sentences(props(), props("v1.56.0"))
    assert "2 servers are replaced in a rolling update: image " in text
    assert "from add-index-for-transaction-gc to populate-schema-tables (2 migrations: " in text
    assert "older servers also start on populate-schema-tables" in text
    assert "has nothing to do" not in text


def test_an_upgrade_with_several_steps() -> None:
    text = sentences(props("v1.8.0"), props("v1.56.0"))
    assert "Do not apply this file at once" in text
    assert "has no rollback" in text


def test_a_downgrade_has_no_plan() -> None:
    text = sentences(props("v1.56.0"), props("v1.52.0"))
    assert "There is no plan from v1.56.0 to v1.52.0" in text
    assert "helm rollback" in text


def test_a_change_of_settings() -> None:
    server = ServerProps(log_level="debug", env={"A": "1"}, replicas=3)
    text = sentences(props(), props(server=server, migration=MigrationProps(backoff_limit=7)))
    assert "--log-level changes from info to debug" in text
    assert "a setting of the migration changed (checksum/migration-config)" in text
    assert "variable A" in text
    assert "The number of servers changes from 2 to 3." in text
    assert "The datastore's schema does not change" in text
    assert "has nothing to do" in text


def test_a_release_without_migration() -> None:
    off = MigrationProps(enabled=False)
    assert "Migrate the datastore yourself before you install it." in sentences(None, props(migration=off))
    assert "Before you apply this, you must migrate the datastore from" in sentences(
        props(migration=off), props("v1.56.0", migration=off)
    )
    target = MigrationProps(target_migration="add-schema-tables")
    assert "migrates the datastore to add-schema-tables" in sentences(None, props("v1.56.0", migration=target))


def test_an_unknown_release() -> None:
    assert "v1.99.0 is an unknown release" in sentences(props(), props("v1.99.0"))
    digest = f"ghcr.io/authzed/spicedb@sha256:{'0' * 64}"
    unknown = deployment_of(props(image=digest))
    del unknown["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"]
    meant = Meant(running=describe(unknown), props=props(), objects=(), deletes=(), leaves=(), foreign=(), unknown="")
    assert "The release that runs is unknown" in " ".join(meaning(meant))


def test_a_single_server() -> None:
    one = ServerProps(replicas=1)
    text = sentences(props(server=one), props("v1.56.0", server=one))
    assert "The server is replaced in a rolling update" in text
    assert "clients reconnect to the new one" in text


def test_nothing_changes() -> None:
    assert sentences(props(), props()).startswith("No server restarts.")


def test_schema_modes() -> None:
    modes = ["read-legacy-write-legacy", "read-legacy-write-both", "read-new-write-both", "read-new-write-new"]
    before = [props("v1.56.0", server=ServerProps(schema_mode=mode)) for mode in modes]  # type: ignore[arg-type]
    one = sentences(before[0], before[1])
    assert "The schema mode changes from read-legacy-write-legacy to read-legacy-write-both." in one
    assert "skips" not in one
    assert "That skips a schema mode" in sentences(before[0], before[2])
    assert "That is a step back" in sentences(before[2], before[1])


def test_other_origins() -> None:
    assert "The release was applied with helm, but the file has the delivery kubectl." in sentences(
        props(), props(delivery=Delivery.KUBECTL)
    )
    memory = attrs.evolve(PROPS, datastore=Memory())
    assert "The datastore changes from postgres to memory" in sentences(props(), memory)
    assert "new servers start without schema" in sentences(memory, attrs.evolve(memory, version="v1.56.0"))


def test_objects_that_go_or_stay() -> None:
    text = sentences(
        props(), props(), deletes=["Role a"], leaves=["Role b"], foreign=["Service c"], values=["image"], unknown="why"
    )
    assert "Helm deletes Role a." in text
    assert "Role b stays in the cluster" in text
    assert "The Helm release also has Service c" in text
    assert "It is unknown what is removed: why." in text
    assert "The Helm release has its own values (image)" in text


# ---------------------------------------------------------------- the whole


def applied(wanted: SpiceDBProps, **annotations: str) -> dict[str, list[Object]]:
    """The objects of a release as they are after it was applied, by plural name. Other kinds have none."""
    found: dict[str, list[Object]] = {plural_of(kind.kind): [] for kind in KINDS}
    for each in release_manifests(wanted):
        if not is_hook(each):
            each["metadata"]["annotations"] = {**each["metadata"].get("annotations", {}), **annotations}
            each["metadata"]["namespace"] = "authz"
            found.setdefault(plural_of(each["kind"]), []).append(each)
    return {"secrets": [], "jobs": [], **found}


def helm_secret(*manifests: Object) -> Object:
    """The Secret in which Helm keeps a revision with these objects."""
    content = json.dumps({"manifest": fast_yaml.dump_all(manifests)}).encode()
    data = base64.b64encode(base64.b64encode(gzip.compress(content))).decode()
    labels = {"version": "1", "status": "deployed"}
    return {"metadata": {"name": "v1", "labels": labels, "creationTimestamp": ""}, "data": {"release": data}}


_BY_HELM = {"meta.helm.sh/release-name": "release"}
_RICH = ServerProps(env={"A": "1"}, pod_annotations={"team": "a"})


def _changed(found: Diff) -> dict[str, str]:
    return {f"{each.kind} {each.name}": each.change.value for each in found.objects if each.change.value != "unchanged"}


def test_diff_of_an_install() -> None:
    empty: dict[str, list[Object]] = {plural: [] for plural in applied(props())}
    found = diff(cluster_of(**empty), props())
    assert {each.change for each in found.objects} == {Change.CREATED}


def test_diff_of_a_helm_release() -> None:
    before, after = props(server=_RICH), props(server=ServerProps(dispatch_enabled=False))
    objects = applied(before, **_BY_HELM)
    stored = [each for each in release_manifests(before) if not is_hook(each)]
    other = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other"}}
    objects["secrets"] = [helm_secret(*stored, other)]
    assert _changed(diff(cluster_of(**objects), before)) == {}
    found = diff(cluster_of(**objects), after)
    assert _changed(found) == {
        "Deployment spicedb": "changed",
        "Role spicedb": "deleted",
        "RoleBinding spicedb": "deleted",
    }
    (deployment,) = [each for each in found.objects if each.kind == "Deployment"]
    fields = {field.path: (field.before, field.after) for field in deployment.fields}
    assert fields["spec.template.metadata.annotations.team"] == ("a", None)
    assert fields["spec.template.spec.containers[spicedb].env[A].value"] == ("1", None)
    text = " ".join(found.meaning)
    assert "Helm deletes Role spicedb, RoleBinding spicedb." in text
    assert "The Helm release also has Service other" in text
    del objects["secrets"]
    text = " ".join(diff(cluster_of(**objects), after).meaning)
    assert "It is unknown what is removed: secrets is forbidden" in text


def test_diff_of_objects_that_kubectl_applied() -> None:
    before = props(server=_RICH, delivery=Delivery.KUBECTL)
    objects = applied(before)
    for found_objects in objects.values():
        for each in found_objects:
            last = json.dumps(each)
            each["metadata"]["annotations"] = {
                **each["metadata"]["annotations"],
                "kubectl.kubernetes.io/last-applied-configuration": last,
            }
    assert _changed(diff(cluster_of(**objects), before)) == {}
    drift = find_drift(cluster_of(**objects), running(before, other="a"))
    assert (drift.known, drift.objects) == (True, ())
    after = props(server=ServerProps(dispatch_enabled=False), delivery=Delivery.KUBECTL)
    found = diff(cluster_of(**objects), after)
    assert _changed(found) == {"Deployment spicedb": "changed"}
    assert any(each.startswith("Role spicedb, RoleBinding spicedb stay in the cluster") for each in found.meaning)


def test_refused_objects() -> None:
    objects = applied(props(), **_BY_HELM)
    del objects["services"]
    with pytest.raises(SpiceDBError, match="Kubernetes would refuse the Service spicedb: services is forbidden"):
        diff(cluster_of(**objects), props())


def test_drift_of_a_helm_release() -> None:
    objects = applied(props(), **_BY_HELM)
    stored = [each for each in release_manifests(props()) if not is_hook(each)]
    objects["secrets"] = [helm_secret(*stored)]
    objects["deployments"][0]["spec"]["replicas"] = 5
    objects["roles"].clear()
    drift = find_drift(cluster_of(**objects), running(props()))
    assert {each.kind: each.change.value for each in drift.objects} == {"Deployment": "changed", "Role": "deleted"}
    ((field,),) = [each.fields for each in drift.objects if each.kind == "Deployment"]
    assert (field.path, field.before, field.after) == ("spec.replicas", 2, 5)
    services = objects.pop("services")
    assert "needs the right to get and patch" in find_drift(cluster_of(**objects), running(props())).reason
    objects.update(services=services, secrets=[])
    assert "no Secret of Helm's release" in find_drift(cluster_of(**objects), running(props())).reason


def test_drift_of_other_programs_is_unknown() -> None:
    objects = applied(props())
    assert "server-side apply keeps no copy" in find_drift(cluster_of(**objects), running(props(), other="a")).reason
    operated = attrs.evolve(running(props()), applier=Applier.OPERATOR)
    assert "the operator corrects its own objects" in find_drift(cluster_of(**objects), operated).reason


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "spicedb.yaml"
    file.write_text("version: v1.52.0\ndatastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}\n")
    objects = applied(props(), **_BY_HELM)
    objects["secrets"] = [helm_secret()]
    monkeypatch.setattr("cdk8s_spicedb.cli.diff.connect", lambda _: cluster_of(**objects))
    assert main(["diff", "-f", str(file), "--exit-code"]) == 0
    assert capsys.readouterr().out.startswith("No changes in namespace authz: ")
    objects["deployments"][0]["spec"]["replicas"] = 5
    assert main(["diff", "-f", str(file)]) == 0
    assert "- spec.replicas: 5\n+ spec.replicas: 2\n" in capsys.readouterr().out
    assert main(["diff", "-f", str(file), "--exit-code", "--output=json"]) == 3
    assert json.loads(capsys.readouterr().out)["name"] == "spicedb"


# ---------------------------------------------------------------- text


def test_text() -> None:
    fields = (
        FieldDiff(path="spec.replicas", before=2, after=3),
        FieldDiff(path="data.schema", before="a\nb\nc", after="a\nB\nc"),
        FieldDiff(path="spec.args[--insecure]", before=None, after=""),
        FieldDiff(path="data.long", before=None, after="a\n" * 30),
    )
    objects = (
        ObjectDiff(kind="Deployment", name="a", change=Change.CHANGED, fields=fields),
        ObjectDiff(kind="Role", name="a", change=Change.DELETED, fields=fields),
        ObjectDiff(kind="Service", name="a", change=Change.UNCHANGED),
    )
    found = Diff(name="a", namespace="authz", objects=objects, meaning=("It restarts.",))
    assert found.changes
    assert list(lines(found)) == [
        "== Deployment a: changed",
        "- spec.replicas: 2",
        "+ spec.replicas: 3",
        "@@ data.schema",
        "@@ -1,3 +1,3 @@",
        " a",
        "-b",
        "+B",
        " c",
        "+ spec.args[--insecure]",
        "@@ data.long",
        "+ (30 lines)",
        "",
        "== Role a: deleted",
        "",
        "1 other object is unchanged.",
        "",
        "What this means:",
        "  * It restarts.",
    ]
    same = Diff(name="a", namespace="authz", objects=objects[2:], meaning=())
    assert list(lines(same)) == ["No changes in namespace authz: 1 object is as in the file."]
