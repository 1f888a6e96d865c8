"""Adding manifests to the construct tree."""

from __future__ import annotations

from cdk8s_spicedb.constructs.spicedb import add
from tests.synth import chart, manifests

ACCOUNT = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "one", "labels": {"team": "identity"}},
    "automountServiceAccountToken": False,
}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "two"},
    "roleRef": {"kind": "Role", "name": "two"},
    "subjects": [],
}


def test_objects_are_added_unchanged() -> None:
    target = chart()
    added = add(target, [ACCOUNT, BINDING])
    assert [item.name for item in added.values()] == ["one", "two"]
    assert manifests(target).objects == [ACCOUNT, BINDING]


def test_the_charts_namespace_is_added() -> None:
    target = chart(namespace="authz")
    add(target, [ACCOUNT])
    assert manifests(target).one("ServiceAccount")["metadata"]["namespace"] == "authz"


def test_fields_keep_their_order() -> None:
    target = chart()
    add(target, [BINDING])
    assert list(manifests(target).one("RoleBinding")) == ["apiVersion", "kind", "metadata", "roleRef", "subjects"]
