"""Names and labels, which must not change because running releases depend on them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

import cdk8s_spicedb
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


LIBRARY = Path(cdk8s_spicedb.__file__).parent
KEY = re.compile(
    r"(?:[a-z0-9-]+\.)*(?:kubernetes\.io|helm\.sh|argoproj\.io|fluxcd\.io)/(?!v\d)[a-z][a-z0-9-]*"
    r"|authzed\.com/cluster|checksum/[a-z-]+|pod-template-hash"
)
"""Labels and annotations of Kubernetes, of the programs that apply objects, and of this package."""
OTHERS = {
    "kubernetes.io/dockercfg",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/h2c",
    "kubernetes.io/hostname",
    "kubernetes.io/serviceaccount",
    "kubernetes.io/tls",
    "topology.kubernetes.io/zone",
}
"""Types of Secrets, protocols of ports, labels of nodes, which users choose, and the folder of a pod's account."""


def literals(tree: ast.AST) -> Iterator[str]:
    """The text of a module, without its documentation."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def keys(path: Path) -> list[str]:
    """The labels and annotations that a module spells."""
    return [key for text in literals(ast.parse(path.read_text(encoding="utf-8"))) for key in KEY.findall(text)]


def test_only_one_module_spells_labels_and_annotations() -> None:
    others = (path for path in LIBRARY.rglob("*.py") if path.name != "labels.py")
    assert {path.name: found for path in others if (found := [key for key in keys(path) if key not in OTHERS])} == {}


def test_that_module_spells_each_of_them_once() -> None:
    found = keys(LIBRARY / "labels.py")
    assert len(found) > 20
    assert sorted(found) == sorted(set(found))
