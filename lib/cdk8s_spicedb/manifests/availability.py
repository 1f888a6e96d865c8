"""What keeps enough servers up: their budget of disruptions, their autoscaler, their spread."""

from __future__ import annotations

from ..labels import Component, selector_labels
from ..props import Autoscaling, SpiceDBProps
from .metadata import Objects
from .template import Manifest


def availability_manifests(props: SpiceDBProps, objects: Objects) -> list[Manifest]:
    """The PodDisruptionBudget and the HorizontalPodAutoscaler, where there are to be ones."""
    budget, autoscaling = props.server.disruption_budget, props.server.autoscaling
    # With one server a budget would either say nothing or keep its node from being drained.
    needs_budget = budget is not None and props.replicas > 1
    return [
        *([objects.make("PodDisruptionBudget", {"spec": _budget(props, budget)})] if needs_budget else []),
        *([objects.make("HorizontalPodAutoscaler", {"spec": _autoscaler(props, autoscaling)})] if autoscaling else []),
    ]


def _budget(props: SpiceDBProps, budget: int | None) -> Manifest:
    return {
        "maxUnavailable": budget,
        "selector": {"matchLabels": selector_labels(props.name, Component.SERVER)},
        # A server that is not ready serves nobody, and must not keep its node from being drained.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


def _autoscaler(props: SpiceDBProps, autoscaling: Autoscaling) -> Manifest:
    targets = {"cpu": autoscaling.cpu_utilization, "memory": autoscaling.memory_utilization}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": props.name},
        "minReplicas": autoscaling.min_replicas,
        "maxReplicas": autoscaling.max_replicas,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": target}},
            }
            for name, target in targets.items()
            if target is not None
        ],
    }


def topology_spread(props: SpiceDBProps) -> list[Manifest]:
    """Where the servers run, as ``topologySpreadConstraints``; one alone has nobody to keep away from."""
    return [
        {
            "maxSkew": spread.max_skew,
            "topologyKey": spread.topology_key,
            "whenUnsatisfiable": spread.when_unsatisfiable,
            "labelSelector": {"matchLabels": selector_labels(props.name, Component.SERVER)},
            # Otherwise the servers that leave in a roll-out would count, and the new ones end up uneven.
            "matchLabelKeys": ["pod-template-hash"],
        }
        for spread in (props.server.topology_spread if props.max_replicas > 1 else ())
    ]
