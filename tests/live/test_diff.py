"""What ``diff`` compares, and concludes from it."""

from __future__ import annotations

import json

import pytest

from cdk8s_spicedb import Delivery, ServerProps
from cdk8s_spicedb.errors import SpiceDBError
from cdk8s_spicedb.live.compare import Change, find_drift
from cdk8s_spicedb.live.diff import Diff, _removed, diff
from tests.apiserver import ApiServer
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


def test_removed_fields_are_those_that_were_released_before() -> None:
    live = {"a": 1, "b": 2, "c": {"d": 1, "e": 2}, "env": [{"name": "A"}, {"name": "B"}, {"name": "C"}], "args": ["x"]}
    old = {"a": 1, "b": 2, "c": {"d": 1}, "env": [{"name": "A"}, {"name": "B"}], "args": ["x", "y"]}
    new = {"a": 1, "c": {}, "env": [{"name": "A"}], "args": ["x"]}
    assert _removed(live, old, new) == {"a": 1, "c": {"e": 2}, "env": [{"name": "A"}, {"name": "C"}], "args": ["x"]}


_RICH = ServerProps(env={"A": "1"}, pod_annotations={"team": "a"}, dispatch_enabled=True)


def _changed(found: Diff) -> dict[str, str]:
    return {f"{each.kind} {each.name}": each.change.value for each in found.objects if each.change.value != "unchanged"}


def test_diff_of_an_install() -> None:
    found = diff(ApiServer().cluster(), props(OLD))
    assert {each.change for each in found.objects} == {Change.CREATED}


def test_diff_of_a_helm_release() -> None:
    before, after = props(OLD, server=_RICH), props(OLD, server=ServerProps())
    api = applied(before, **BY_HELM)
    other = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other"}}
    helm_keeps(api, *objects_of(before), other)
    assert _changed(diff(api.cluster(), before)) == {}
    found = diff(api.cluster(), after)
    assert _changed(found) == {
        "Deployment spicedb": "changed",
        "Role spicedb": "deleted",
        "RoleBinding spicedb": "deleted",
    }
    (deployment,) = [each for each in found.objects if each.kind == "Deployment"]
    fields = {field.path: (field.before, field.after) for field in deployment.fields}
    assert fields["spec.template.metadata.annotations.team"] == ("a", None)
    assert fields["spec.template.spec.containers[spicedb].env[A].value"] == ("(hidden)", None)
    text = " ".join(found.meaning)
    assert "Helm deletes Role spicedb, RoleBinding spicedb." in text
    assert "The Helm release also has Service other" in text
    api.deny("secrets")
    text = " ".join(diff(api.cluster(), after).meaning)
    assert "It is unknown what is removed: secrets is forbidden" in text


def test_diff_of_objects_that_kubectl_applied() -> None:
    before = props(OLD, server=_RICH, delivery=Delivery.KUBECTL)
    api = applied(before)
    for each in objects_of(before):
        last = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(each)}
        each["metadata"]["annotations"] = {**each["metadata"].get("annotations", {}), **last}
        api.load(each)
    assert _changed(diff(api.cluster(), before)) == {}
    drift = find_drift(api.cluster(), running_as(before, other="a"), None)
    assert (drift.known, drift.objects) == (True, ())
    after = props(OLD, server=ServerProps(), delivery=Delivery.KUBECTL)
    found = diff(api.cluster(), after)
    assert _changed(found) == {"Deployment spicedb": "changed"}
    assert any(each.startswith("Role spicedb, RoleBinding spicedb stay in the cluster") for each in found.meaning)


def test_refused_objects() -> None:
    api = applied(props(OLD), **BY_HELM)
    api.deny("services")
    with pytest.raises(SpiceDBError, match='would refuse the Service spicedb: services "spicedb" is forbidden'):
        diff(api.cluster(), props(OLD))
