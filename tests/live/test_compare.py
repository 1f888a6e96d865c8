"""Differences between objects, field by field."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb.live.compare import Change, _added, compare, differences, find_drift
from cdk8s_spicedb.live.instance import Applier
from tests.apiserver import Object
from tests.live.installed import (
    BY_HELM,
    OLD,
    applied,
    helm_keeps,
    objects_of,
    props,
)
from tests.live.objects import (
    running_as,
)


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
            {"spec.env[A].name": ("A", None), "spec.env[A].value": ("(hidden)", None)},
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


def test_the_template_of_a_cron_job_has_one_of_pods_inside() -> None:
    def cron_job(**pod: Any) -> Object:
        metadata = {"labels": {"a": "b", "app.kubernetes.io/managed-by": "Helm"}, "creationTimestamp": None}
        job = {"template": {"metadata": metadata, "spec": pod}}
        return _object(jobTemplate={"metadata": metadata, "spec": job})

    plain = {"metadata": {"labels": {"a": "b"}}}
    bare = _object(jobTemplate={**plain, "spec": {"template": {**plain, "spec": {"a": 1}}}})
    assert differences(cron_job(a=1), bare) == []
    [field] = differences(cron_job(a=1), cron_job(a=2))
    assert field.path == "spec.jobTemplate.spec.template.spec.a"


def test_values_of_secrets_are_hidden() -> None:
    one = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"key": "YWJj"}}
    two = {**one, "data": {"key": "ZGVm", "new": "Z2hp"}}
    assert [(field.path, field.before, field.after) for field in differences(one, two)] == [
        ("data.key", "(hidden)", "(hidden)"),
        ("data.new", None, "(hidden)"),
    ]


def test_hidden_values_that_differ_are_a_change() -> None:
    def box(**values: str) -> Object:
        env = [{"name": name.rstrip("_"), "value": value} for name, value in values.items()]
        return _object(
            containers=[{"name": "a", "env": env, "command": ["sh", "-c", f"PGPASSWORD={values['A']} psql"]}]
        )

    found = compare(box(A="1", B="x"), box(A="2", B="x"))
    assert found.change is Change.CHANGED
    assert [(field.path, field.before, field.after) for field in found.fields] == [
        ("spec.containers[a].env[A].value", "(hidden)", "(hidden)"),
        ("spec.containers[a].command", *[["sh", "-c", "PGPASSWORD=(hidden) psql"]] * 2),
    ]
    twice = compare(box(A="1", A_="1"), box(A="1", A_="2"))
    assert [(field.path, field.before, field.after) for field in twice.fields] == [
        ("spec.containers[a].env[1].value", "(hidden)", "(hidden)"),
    ]


def test_a_path_shows_no_secret() -> None:
    (field,) = differences(_object(args=["--a"]), _object(args=["--a", "--grpc-preshared-key abc"]))
    assert (field.path, field.after) == ("spec.args[--grpc-preshared-key (hidden)", "")


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


def test_drift_of_a_helm_release() -> None:
    api = applied(props(OLD), **BY_HELM)
    helm_keeps(api, *objects_of(props(OLD)))
    api.get("deployments", "spicedb")["spec"]["replicas"] = 5
    api.remove("roles")
    drift = find_drift(api.cluster(), running_as(props(OLD)), "release")
    assert {each.kind: each.change.value for each in drift.objects} == {"Deployment": "changed", "Role": "deleted"}
    ((field,),) = [each.fields for each in drift.objects if each.kind == "Deployment"]
    assert (field.path, field.before, field.after) == ("spec.replicas", 2, 5)
    api.deny("services")
    assert "needs the right to get and patch" in find_drift(api.cluster(), running_as(props(OLD)), "release").reason
    api.allow("services")
    api.remove("secrets")
    assert "no Secret of Helm's release" in find_drift(api.cluster(), running_as(props(OLD)), "release").reason


def test_drift_of_other_programs_is_unknown() -> None:
    api = applied(props(OLD))
    assert (
        "server-side apply keeps no copy" in find_drift(api.cluster(), running_as(props(OLD), other="a"), None).reason
    )
    operated = attrs.evolve(running_as(props(OLD)), applier=Applier.OPERATOR)
    assert "the operator corrects its own objects" in find_drift(api.cluster(), operated, None).reason
