"""How objects come into the tree."""

from __future__ import annotations

from cdk8s_spicedb import SpiceDBProps
from cdk8s_spicedb.labels import Component
from cdk8s_spicedb.objects import Objects, api_rule
from tests.synth import POSTGRES, Manifests, chart, manifests

PROPS = SpiceDBProps(datastore=POSTGRES, labels={"team": "identity"}, annotations={"owner": "us", "role": "user's"})


def added(component: Component = Component.MIGRATION) -> Manifests:
    target = chart()
    objects = Objects(target, PROPS, component)
    objects.add_service_account({"role": "ours"})
    objects.add_role(api_rule("jobs", "list", group="batch"), api_rule("endpoints", "get", name="spicedb"))
    return manifests(target)


def test_all_objects_of_a_component_have_its_name() -> None:
    assert {found["metadata"]["name"] for found in added().objects} == {"spicedb-migration"}


def test_objects_have_the_components_labels_and_the_users() -> None:
    labels = added().one("ServiceAccount")["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "migration"
    assert labels["team"] == "identity"


def test_what_an_object_is_annotated_with_wins_over_the_users_annotations() -> None:
    assert added().one("ServiceAccount")["metadata"]["annotations"] == {"owner": "us", "role": "ours"}


def test_a_role_is_bound_to_the_components_own_account() -> None:
    binding = added(Component.CLEANUP).one("RoleBinding")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "spicedb-migration-cleanup"}]
    assert binding["roleRef"]["name"] == "spicedb-migration-cleanup"


def test_a_rule_is_for_one_object_only_when_it_names_it() -> None:
    assert added().one("Role")["rules"] == [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["endpoints"], "resourceNames": ["spicedb"], "verbs": ["get"]},
    ]


def test_fields_are_in_the_order_in_which_they_were_given() -> None:
    assert list(added().one("RoleBinding")) == ["apiVersion", "kind", "metadata", "roleRef", "subjects"]
