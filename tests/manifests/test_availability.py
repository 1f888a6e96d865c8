"""What keeps enough servers up: their number, their spread, their budget, their probes."""

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


def found(**server: Any) -> Manifests:
    return synth(SpiceDBProps(version="v1.56.0", datastore=POSTGRES, server=ServerProps(**server)))


def budget(**server: Any) -> Object | None:
    budgets = found(**server).all("PodDisruptionBudget")
    return budgets[0]["spec"] if budgets else None


def test_one_server_may_be_away_when_nodes_are_drained() -> None:
    assert budget() == {
        "maxUnavailable": 1,
        "selector": {"matchLabels": SERVERS},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


@pytest.mark.parametrize(
    "server",
    [{"replicas": 1}, {"autoscaling": Autoscaling(min_replicas=1, max_replicas=5)}, {"disruption_budget": None}],
)
def test_a_server_that_is_alone_keeps_no_node_from_being_drained(server: dict[str, Any]) -> None:
    assert budget(**server) is None


def test_the_budget_counts_no_jobs() -> None:
    jobs = [job["spec"]["template"]["metadata"]["labels"] for job in found().all("Job")]
    assert len(jobs) == 2
    assert not any(SERVERS.items() <= labels.items() for labels in jobs)


def test_servers_are_spread_over_zones_and_nodes() -> None:
    constraints = found().pod("Deployment")["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in constraints] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for each in constraints:
        assert (each["maxSkew"], each["whenUnsatisfiable"]) == (1, "ScheduleAnyway")
        assert each["labelSelector"] == {"matchLabels": SERVERS}
        assert each["matchLabelKeys"] == ["pod-template-hash"]


def test_servers_are_spread_as_asked() -> None:
    spread = TopologySpread(topology_key="rack", max_skew=2, when_unsatisfiable="DoNotSchedule")
    [constraint] = found(topology_spread=[spread]).pod("Deployment")["topologySpreadConstraints"]
    assert (constraint["topologyKey"], constraint["maxSkew"]) == ("rack", 2)
    assert constraint["whenUnsatisfiable"] == "DoNotSchedule"


@pytest.mark.parametrize("server", [{"replicas": 1}, {"topology_spread": ()}])
def test_one_server_is_spread_over_nothing(server: dict[str, Any]) -> None:
    assert "topologySpreadConstraints" not in found(**server).pod("Deployment")


def test_an_autoscaler_alone_says_how_many_servers_there_are() -> None:
    objects = found(autoscaling=Autoscaling(min_replicas=3, max_replicas=9, memory_utilization=80))
    assert "replicas" not in objects.one("Deployment")["spec"]
    spec = objects.one("HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "spicedb"}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 9)
    assert [
        (each["resource"]["name"], each["resource"]["target"]["averageUtilization"]) for each in spec["metrics"]
    ] == [("cpu", 75), ("memory", 80)]


def test_without_an_autoscaler_there_is_none() -> None:
    assert not found().all("HorizontalPodAutoscaler")


def test_a_roll_out_is_as_wide_as_asked() -> None:
    strategy = found(max_surge="50%", max_unavailable=1).one("Deployment")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": "50%", "maxUnavailable": 1}


def test_probes_are_as_patient_as_asked() -> None:
    probe = Probe(initial_delay_seconds=1, period_seconds=2, timeout_seconds=3, failure_threshold=4)
    said = {"initialDelaySeconds": 1, "periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 4}
    container = found(readiness_probe=probe, liveness_probe=probe, startup_probe=probe).container("Deployment")
    assert container["readinessProbe"] == {"grpc": {"port": 50051}, **said}
    assert container["livenessProbe"] == {"tcpSocket": {"port": "grpc"}, **said}
    assert container["startupProbe"] == {"tcpSocket": {"port": "grpc"}, **said}


def test_there_is_no_startup_probe_unless_asked_for() -> None:
    assert "startupProbe" not in found().container("Deployment")


def test_pods_have_the_priority_class_asked_for() -> None:
    assert found(priority_class_name="high").pod("Deployment")["priorityClassName"] == "high"
    assert "priorityClassName" not in found().pod("Deployment")


def test_the_one_server_of_the_memory_engine_has_no_budget_and_no_spread() -> None:
    objects = synth(SpiceDBProps(datastore=Memory()))
    assert not objects.all("PodDisruptionBudget")
    assert "topologySpreadConstraints" not in objects.pod("Deployment")
