"""Manifests that are rendered without cdk8s."""

from __future__ import annotations

import attrs
import pytest

from cdk8s_spicedb import CleanupProps, Delivery, SpiceDBProps
from cdk8s_spicedb.labels import Component
from cdk8s_spicedb.manifests import release_manifests
from cdk8s_spicedb.manifests.objects import Objects, api_rule
from tests.synth import POSTGRES, matrix, synth

MATRIX = matrix()
PROPS = SpiceDBProps(datastore=POSTGRES, labels={"team": "identity"}, annotations={"owner": "us", "role": "user's"})


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize("props", MATRIX.values(), ids=MATRIX)
def test_constructs_render_the_same_objects(props: SpiceDBProps, delivery: Delivery) -> None:
    test = props.test if delivery is Delivery.HELM else None
    delivered = attrs.evolve(props, delivery=delivery, test=test)
    assert release_manifests(delivered) == synth(delivered).objects


def test_the_migration_comes_first_and_the_clean_up_last() -> None:
    components = [found["metadata"]["labels"]["app.kubernetes.io/component"] for found in release_manifests(PROPS)]
    assert components == ["migration", *["server"] * 6, *["cleanup"] * 4]


def test_there_is_no_clean_up_if_it_is_disabled() -> None:
    kinds = [found["kind"] for found in release_manifests(attrs.evolve(PROPS, cleanup=CleanupProps(enabled=False)))]
    assert kinds.count("Job") == 1


def test_objects_have_the_components_name_and_labels_and_the_users_labels() -> None:
    account = Objects(PROPS, Component.MIGRATION).service_account()
    assert account["metadata"]["name"] == "spicedb-migration"
    assert account["metadata"]["labels"]["app.kubernetes.io/component"] == "migration"
    assert account["metadata"]["labels"]["team"] == "identity"


def test_an_objects_own_annotations_take_precedence() -> None:
    account = Objects(PROPS, Component.MIGRATION).service_account({"role": "ours"})
    assert account["metadata"]["annotations"] == {"owner": "us", "role": "ours"}


@pytest.mark.parametrize(("account", "subject"), [(None, "spicedb-migration-cleanup"), ("theirs", "theirs")])
def test_a_role_is_bound_to_the_components_account_or_to_another(account: str | None, subject: str) -> None:
    _, binding = Objects(PROPS, Component.CLEANUP).role(api_rule("jobs", "list", group="batch"), account=account)
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": subject}]
    assert binding["roleRef"]["name"] == "spicedb-migration-cleanup"


def test_a_rule_with_a_name_is_for_one_object() -> None:
    assert api_rule("jobs", "list", group="batch") == {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]}
    named = {"apiGroups": [""], "resources": ["endpoints"], "resourceNames": ["spicedb"], "verbs": ["get"]}
    assert api_rule("endpoints", "get", name="spicedb") == named
