"""How many servers run, and where."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from .types import Count, NodeLabel, Percent

DEFAULT_REPLICAS = 2


@frozen(kw_only=True)
class Autoscaling:
    """A HorizontalPodAutoscaler, which sets the number of servers by their load.

    It needs a metrics server in the cluster. If you change a running SpiceDB from ``replicas`` to autoscaling, it has
    one server until the autoscaler first acts, because Kubernetes defaults a missing number of replicas to 1.
    """

    max_replicas: Count
    """Maximum number of servers. Required, because the database needs connections for all of them."""
    min_replicas: Count = DEFAULT_REPLICAS
    """Minimum number of servers. Defaults to 2, so that one can stop without a lost request."""
    cpu_utilization: Percent | None = 75
    """Target CPU utilization, in percent of the requested CPU. Defaults to 75, because a new server needs a moment
    before it takes load."""
    memory_utilization: Percent | None = None
    """Target memory utilization, in percent of the requested memory. Defaults to none: caches fill the memory that they
    get and keep it, so memory use says little about the load."""


@frozen(kw_only=True)
class TopologySpread:
    """Spreads the servers over the nodes (``topologySpreadConstraints``)."""

    topology_key: NodeLabel
    """Label of nodes, such as ``topology.kubernetes.io/zone``. Servers are spread over its values. Required."""
    max_skew: Count = 1
    """Maximum difference in the number of servers between two values of the label. Defaults to 1, the most even
    spread."""
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = "ScheduleAnyway"
    """What Kubernetes does with a server if every node would exceed ``max_skew``. Defaults to ``ScheduleAnyway``,
    because a server in the wrong place is better than none."""


SPREAD = (
    TopologySpread(topology_key="topology.kubernetes.io/zone"),
    TopologySpread(topology_key="kubernetes.io/hostname"),
)
"""Over zones and over nodes."""
