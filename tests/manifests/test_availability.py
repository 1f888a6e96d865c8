"""Availability of the servers: their number, spread, disruption budget and probes."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import Autoscaling, Memory, Probe, ServerProps, SpiceDBProps, TopologySpread
from tests.synth import POSTGRES, Manifests, Object, synth

SERVERS = {
    "app.kubernetes.io/name": "spicedb",
    "app.kubernetes.io/instance": "spicedb",
    "app.kubernetes.io/component": "server",
}


def render(**server: Any) -> Manifests:
    return synth(SpiceDBProps(version="v1.56.0", datastore=POSTGRES, server=ServerProps(**server)))


def budget(**server: Any) -> Object | None:
    budgets = render(**server).all("PodDisruptionBudget")
    return budgets[0]["spec"] if budgets else None


def test_one_server_may_be_unavailable_during_a_drain() -> None:
    assert budget() == {
        "maxUnavailable": 1,
        "selector": {"matchLabels": SERVERS},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


@pytest.mark.parametrize(
    "server",
    [{"replicas": 1}, {"autoscaling": Autoscaling(min_replicas=1, max_replicas=5)}, {"disruption_budget": None}],
)
def test_there_is_no_budget_for_one_server_or_if_it_is_disabled(server: dict[str, Any]) -> None:
    assert budget(**server) is None


def test_the_budget_selects_no_pods_of_jobs() -> None:
    jobs = [job["spec"]["template"]["metadata"]["labels"] for job in render().all("Job")]
    assert len(jobs) == 2
    assert not any(SERVERS.items() <= labels.items() for labels in jobs)


def test_servers_are_spread_over_zones_and_nodes() -> None:
    constraints = render().pod("Deployment")["topologySpreadConstraints"]
    assert [constraint["topologyKey"] for constraint in constraints] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    for constraint in constraints:
        assert (constraint["maxSkew"], constraint["whenUnsatisfiable"]) == (1, "ScheduleAnyway")
        assert constraint["labelSelector"] == {"matchLabels": SERVERS}
        assert constraint["matchLabelKeys"] == ["pod-template-hash"]


def test_the_topology_spread_can_be_configured() -> None:
    spread = TopologySpread(topology_key="rack", max_skew=2, when_unsatisfiable="DoNotSchedule")
    [constraint] = render(topology_spread=[spread]).pod("Deployment")["topologySpreadConstraints"]
    assert (constraint["topologyKey"], constraint["maxSkew"]) == ("rack", 2)
    assert constraint["whenUnsatisfiable"] == "DoNotSchedule"


@pytest.mark.parametrize("server", [{"replicas": 1}, {"topology_spread": ()}])
def test_there_is_no_spread_for_one_server_or_if_it_is_empty(server: dict[str, Any]) -> None:
    assert "topologySpreadConstraints" not in render(**server).pod("Deployment")


def test_an_autoscaler_replaces_the_number_of_replicas() -> None:
    objects = render(autoscaling=Autoscaling(min_replicas=3, max_replicas=9, memory_utilization=80))
    assert "replicas" not in objects.one("Deployment")["spec"]
    spec = objects.one("HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "spicedb"}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 9)
    assert [
        (metric["resource"]["name"], metric["resource"]["target"]["averageUtilization"]) for metric in spec["metrics"]
    ] == [("cpu", 75), ("memory", 80)]


def test_there_is_no_autoscaler_by_default() -> None:
    assert not render().all("HorizontalPodAutoscaler")


def test_the_rolling_update_can_be_configured() -> None:
    strategy = render(max_surge="50%", max_unavailable=1).one("Deployment")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": "50%", "maxUnavailable": 1}


def test_the_timing_of_probes_can_be_configured() -> None:
    probe = Probe(initial_delay_seconds=1, period_seconds=2, timeout_seconds=3, failure_threshold=4)
    timing = {"initialDelaySeconds": 1, "periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 4}
    container = render(readiness_probe=probe, liveness_probe=probe, startup_probe=probe).container("Deployment")
    assert container["readinessProbe"] == {"grpc": {"port": 50051}, **timing}
    assert container["livenessProbe"] == {"tcpSocket": {"port": "grpc"}, **timing}
    assert container["startupProbe"] == {"tcpSocket": {"port": "grpc"}, **timing}


def test_there_is_no_startup_probe_by_default() -> None:
    assert "startupProbe" not in render().container("Deployment")


def test_the_priority_class_can_be_configured() -> None:
    assert render(priority_class_name="high").pod("Deployment")["priorityClassName"] == "high"
    assert "priorityClassName" not in render().pod("Deployment")


def test_the_memory_engine_has_no_budget_and_no_spread() -> None:
    objects = synth(SpiceDBProps(datastore=Memory()))
    assert not objects.all("PodDisruptionBudget")
    assert "topologySpreadConstraints" not in objects.pod("Deployment")
