"""A chart with one SpiceDB."""

from __future__ import annotations

import cdk8s
import pytest

from cdk8s_spicedb import InvalidProps, ServerProps, SpiceDB, SpiceDBChart, SpiceDBProps
from tests.synth import POSTGRES, manifests, synth

BASE = SpiceDBProps(version="v1.56.0", datastore=POSTGRES)


def test_the_chart_holds_one_spicedb_and_nothing_else() -> None:
    chart = SpiceDBChart(cdk8s.Testing.app(), "spicedb", BASE)
    assert isinstance(chart.spicedb, SpiceDB)
    assert chart.node.children == [chart.spicedb]
    assert manifests(chart).objects == synth(BASE).objects


def test_without_a_namespace_objects_are_in_the_one_installed_into() -> None:
    chart = SpiceDBChart(cdk8s.Testing.app(), "spicedb", BASE)
    assert not any("namespace" in each["metadata"] for each in manifests(chart).objects)
    assert chart.spicedb.grpc_address == "spicedb:50051"


def test_the_namespace_is_on_every_object_and_in_the_address() -> None:
    chart = SpiceDBChart(cdk8s.Testing.app(), "spicedb", BASE, namespace="identity")
    assert {each["metadata"]["namespace"] for each in manifests(chart).objects} == {"identity"}
    assert chart.spicedb.grpc_address == "spicedb.identity:50051"


def test_the_labels_are_on_every_object_and_in_no_selector() -> None:
    chart = SpiceDBChart(cdk8s.Testing.app(), "spicedb", BASE, labels={"team": "identity"})
    found = manifests(chart)
    assert {each["metadata"]["labels"]["team"] for each in found.objects} == {"identity"}
    assert "team" not in found.named("Service", "spicedb")["spec"]["selector"]
    assert "team" not in found.one("Deployment")["spec"]["selector"]["matchLabels"]


def test_the_charts_labels_do_not_replace_the_packages_own() -> None:
    own = "app.kubernetes.io/component"
    chart = SpiceDBChart(cdk8s.Testing.app(), "spicedb", BASE, labels={own: "other"})
    assert {each["metadata"]["labels"][own] for each in manifests(chart).objects} == {"server", "migration", "cleanup"}


def test_props_that_are_refused_leave_the_app_without_a_chart() -> None:
    app = cdk8s.Testing.app()
    with pytest.raises(InvalidProps, match=r"server\.replicas"):
        SpiceDBChart(app, "spicedb", SpiceDBProps(datastore=POSTGRES, server=ServerProps(replicas=-1)))
    assert app.charts == []
