"""How many servers run at once."""

from __future__ import annotations

from .availability import DEFAULT_REPLICAS
from .datastores.base import Datastore
from .server import ServerProps


def replicas(datastore: Datastore, server: ServerProps) -> int:
    """Number of servers; with an autoscaler, the minimum."""
    if server.autoscaling:
        return server.autoscaling.min_replicas
    return server.replicas or min(DEFAULT_REPLICAS, datastore.max_replicas or DEFAULT_REPLICAS)


def max_replicas(datastore: Datastore, server: ServerProps) -> int:
    """Maximum number of servers, apart from roll-outs."""
    return server.autoscaling.max_replicas if server.autoscaling else replicas(datastore, server)


def roll_out_replicas(datastore: Datastore, server: ServerProps) -> int:
    """Maximum number of servers with connections in a roll-out: all desired ones, the surge, and those that drain."""
    maximum = max_replicas(datastore, server)
    surge = _of(server.max_surge, maximum)
    draining = max(surge, 1) + _of(server.max_unavailable, maximum)
    return min(maximum + surge + draining, 2 * maximum)


def _of(share: int | str, replicas: int) -> int:
    """A number of servers. Kubernetes rounds a percentage up when it starts more."""
    return share if isinstance(share, int) else -(-int(share.rstrip("%")) * replicas // 100)
