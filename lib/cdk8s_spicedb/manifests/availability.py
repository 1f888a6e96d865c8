"""What keeps enough servers available: a disruption budget, an autoscaler, and their spread over nodes."""

from __future__ import annotations

from collections.abc import Iterator

from ..props import Autoscaling
from .manifest import Manifest
from .metadata import Objects


def availability_manifests(objects: Objects) -> Iterator[Manifest]:
    """The PodDisruptionBudget and the HorizontalPodAutoscaler, if they are configured."""
    props, server = objects.props, objects.props.server
    # With one server, a budget would either have no effect or block the drain of its node.
    if server.disruption_budget is not None and props.replicas > 1:
        spec = {
            "maxUnavailable": server.disruption_budget,
            "selector": {"matchLabels": objects.selector},
            # A server that is not ready serves no requests, so it must not block the drain of its node.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
        yield objects.make("policy/v1", "PodDisruptionBudget", spec=spec)
    if server.autoscaling:
        yield objects.make(
            "autoscaling/v2", "HorizontalPodAutoscaler", spec=_autoscaler(objects.name, server.autoscaling)
        )


def _autoscaler(deployment: str, autoscaling: Autoscaling) -> Manifest:
    targets = {"cpu": autoscaling.cpu_utilization, "memory": autoscaling.memory_utilization}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment},
        "minReplicas": autoscaling.min_replicas,
        "maxReplicas": autoscaling.max_replicas,
        "metrics": [_metric(name, target) for name, target in targets.items() if target is not None],
    }


def _metric(resource: str, percent: int) -> Manifest:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}


def topology_spread(objects: Objects) -> list[Manifest]:
    """The servers' ``topologySpreadConstraints``, if there can be more than one server."""
    props = objects.props
    return [
        {
            "maxSkew": spread.max_skew,
            "topologyKey": spread.topology_key,
            "whenUnsatisfiable": spread.when_unsatisfiable,
            "labelSelector": {"matchLabels": objects.selector},
            # Otherwise the old servers of a roll-out count too, and the new servers end up unevenly spread.
            "matchLabelKeys": ["pod-template-hash"],
        }
        for spread in (props.server.topology_spread if props.max_replicas > 1 else ())
    ]
