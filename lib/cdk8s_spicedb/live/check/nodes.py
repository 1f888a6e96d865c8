"""What the loss of a node would take with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ..apierror import ClusterError
from ..cluster import NODE, Cluster
from ..pods import is_ready, is_terminating
from .finding import Finding

_SUBJECT = "Nodes"
_SPREAD = "run `kubectl rollout restart`: the new servers spread over the nodes that have room"


def node_findings(cluster: Cluster, props: SpiceDBProps, servers: Sequence[Manifest]) -> Iterator[Finding]:
    """What a dying node would do to the servers of the props. ``servers`` are the pods that run now."""
    if props.datastore.max_replicas == 1:
        yield Finding.ok(_SUBJECT, "not checked: with this engine there is one server, and its data is lost with it")
        return
    findings = [*_configured(props), *_placed(cluster, servers)]
    yield from findings or [Finding.ok(_SUBJECT, "if one of them dies, servers on the others go on")]


def _configured(props: SpiceDBProps) -> Iterator[Finding]:
    if props.replicas == 1:
        text = "there is one server: if its node dies, every request fails until another server has started"
        field = "server.autoscaling.minReplicas" if props.server.autoscaling else "server.replicas"
        yield Finding.warning(_SUBJECT, text, f"set {field} to 3, or to 2 at least")
    elif props.dispatches:
        text = "servers dispatch: if the node of one dies, most requests to all of them fail for about 50 s"
        fix = "unless you have measured that you need dispatch, remove server.dispatchEnabled and server.dispatchTls"
        yield Finding.warning(_SUBJECT, text, fix)


def _placed(cluster: Cluster, servers: Sequence[Manifest]) -> Iterator[Finding]:
    """Where the servers run. Before an install, how many nodes there are for them."""
    used = [pod["spec"]["nodeName"] for pod in servers if is_ready(pod) and not is_terminating(pod)]
    if len({*used}) > 1 or len(used) == 1:
        return
    usable = _usable(cluster)
    if used:
        text = f"all ready servers run on {used[0]}: if it dies, every request fails until others have started"
        yield Finding.warning(_SUBJECT, text, "add nodes" if usable is not None and len(usable) < 2 else _SPREAD)
    elif usable is None:
        yield Finding.ok(_SUBJECT, "not counted: you may not list nodes, which only this hint needs")
    elif len(usable) == 1:
        yield Finding.warning(_SUBJECT, f"only {usable[0]} takes new pods: all servers die with it", "add nodes")


def _usable(cluster: Cluster) -> list[str] | None:
    """The nodes that take new pods without a toleration of their own. None if they may not be listed."""
    try:
        return [node["metadata"]["name"] for node in cluster.find(NODE) if _takes_pods(node)]
    except ClusterError:
        return None


def _takes_pods(node: Manifest) -> bool:
    taints = [taint["effect"] for taint in node["spec"].get("taints") or ()]
    return is_ready(node) and not {"NoSchedule", "NoExecute"}.intersection(taints)
