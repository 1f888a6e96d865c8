"""How manifests come into the tree."""

from __future__ import annotations

from cdk8s_spicedb.constructs.objects import add
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


def test_what_is_added_is_what_was_given() -> None:
    target = chart()
    added = add(target, [ACCOUNT, BINDING])
    assert [each.name for each in added.values()] == ["one", "two"]
    assert manifests(target).objects == [ACCOUNT, BINDING]


def test_a_charts_namespace_and_labels_are_added() -> None:
    target = chart(namespace="authz")
    add(target, [ACCOUNT])
    assert manifests(target).one("ServiceAccount")["metadata"]["namespace"] == "authz"


def test_fields_are_in_the_order_in_which_they_were_given() -> None:
    target = chart()
    add(target, [BINDING])
    assert list(manifests(target).one("RoleBinding")) == ["apiVersion", "kind", "metadata", "roleRef", "subjects"]
