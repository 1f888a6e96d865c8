"""Names and labels, which must not change because running releases depend on them."""

from __future__ import annotations

from itertools import combinations

import pytest

from cdk8s_spicedb.labels import LONGEST_NAME, RESERVED, Component, object_name, selector_labels, selector_text


@pytest.mark.parametrize(
    ("component", "name"),
    [
        (Component.SERVER, "spicedb"),
        (Component.MIGRATION, "spicedb-migration"),
        (Component.CLEANUP, "spicedb-migration-cleanup"),
    ],
)
def test_object_names(component: Component, name: str) -> None:
    assert object_name("spicedb", component) == name


def test_the_longest_name_fits_into_a_label_of_every_component() -> None:
    longest = max(len(object_name("a" * LONGEST_NAME, component)) for component in Component)
    assert longest == 63


def test_a_selector_has_name_instance_and_component() -> None:
    assert selector_labels("permissions", Component.MIGRATION) == {
        "app.kubernetes.io/name": "spicedb",
        "app.kubernetes.io/instance": "permissions",
        "app.kubernetes.io/component": "migration",
    }


def test_selector_text_is_a_kubectl_selector() -> None:
    assert selector_text("permissions", Component.CLEANUP) == (
        "app.kubernetes.io/name=spicedb,app.kubernetes.io/instance=permissions,app.kubernetes.io/component=cleanup"
    )


def test_no_two_components_or_releases_share_a_selector() -> None:
    selectors = [selector_labels(name, component) for name in ("a", "b") for component in Component]
    assert all(first != second for first, second in combinations(selectors, 2))


def test_selector_labels_are_reserved() -> None:
    assert set(selector_labels("spicedb", Component.SERVER)) < set(RESERVED)


def test_selector_labels_are_a_copy() -> None:
    selector_labels("spicedb", Component.SERVER)["team"] = "a"
    assert "team" not in selector_labels("spicedb", Component.SERVER)
