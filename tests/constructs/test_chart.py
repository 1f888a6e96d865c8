"""A chart with one SpiceDB."""

from __future__ import annotations

import cdk8s
import pytest

from cdk8s_spicedb import InvalidProps, ServerProps, SpiceDB, SpiceDBChart, SpiceDBProps
from tests.synth import POSTGRES, manifests, synth

BASE = SpiceDBProps(version="v1.56.0", datastore=POSTGRES)


def test_the_chart_contains_only_one_spicedb() -> None:
    chart = SpiceDBChart(cdk8s.Testing.app(), "spicedb", BASE)
    assert isinstance(chart.spicedb, SpiceDB)
    assert chart.node.children == [chart.spicedb]
    assert manifests(chart).objects == synth(BASE).objects


def test_without_a_namespace_objects_have_none() -> None:
    chart = SpiceDBChart(cdk8s.Testing.app(), "spicedb", BASE)
    assert not any("namespace" in manifest["metadata"] for manifest in manifests(chart).objects)
    assert chart.spicedb.grpc_address == "spicedb:50051"


def test_the_namespace_is_on_every_object_and_in_the_address() -> None:
    chart = SpiceDBChart(cdk8s.Testing.app(), "spicedb", BASE, namespace="identity")
    assert {manifest["metadata"]["namespace"] for manifest in manifests(chart).objects} == {"identity"}
    assert chart.spicedb.grpc_address == "spicedb.identity:50051"


def test_the_labels_are_on_every_object_and_in_no_selector() -> None:
    chart = SpiceDBChart(cdk8s.Testing.app(), "spicedb", BASE, labels={"team": "identity"})
    found = manifests(chart)
    assert {manifest["metadata"]["labels"]["team"] for manifest in found.objects} == {"identity"}
    assert "team" not in found.named("Service", "spicedb")["spec"]["selector"]
    assert "team" not in found.one("Deployment")["spec"]["selector"]["matchLabels"]


def test_the_charts_labels_do_not_replace_the_packages_own() -> None:
    component = "app.kubernetes.io/component"
    chart = SpiceDBChart(cdk8s.Testing.app(), "spicedb", BASE, labels={component: "other"})
    assert {manifest["metadata"]["labels"][component] for manifest in manifests(chart).objects} == {
        "server",
        "migration",
        "cleanup",
    }


def test_invalid_props_add_no_chart() -> None:
    app = cdk8s.Testing.app()
    with pytest.raises(InvalidProps, match=r"server\.replicas"):
        SpiceDBChart(app, "spicedb", SpiceDBProps(datastore=POSTGRES, server=ServerProps(replicas=-1)))
    assert app.charts == []
