"""What the loss of a node would take with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ..apierror import Forbidden
from ..cluster import NODE, Cluster
from ..pods import is_ready
from .finding import Finding

_SUBJECT = "Nodes"


def node_findings(cluster: Cluster, props: SpiceDBProps, servers: Sequence[Manifest]) -> Iterator[Finding]:
    """What a dying node would do to the servers of the props. ``servers`` are the pods that run now."""
    if props.datastore.max_replicas == 1:
        yield Finding.ok(_SUBJECT, "not checked: with this engine there is one server, and its data is lost with it")
        return
    risks = [*_configured(props), *_placed(cluster, servers)]
    yield from risks or [Finding.ok(_SUBJECT, "if one of them dies, servers on the others go on")]


def _configured(props: SpiceDBProps) -> Iterator[Finding]:
    if props.replicas == 1:
        text = "there is one server: if its node dies, every request fails until another server has started"
        yield Finding.warning(_SUBJECT, text, "set server.replicas to 3, or to 2 at least")
    elif props.dispatches:
        text = "servers dispatch: if the node of one dies, most requests to all of them fail for about 50 s"
        fix = "unless you have measured that you need dispatch, remove server.dispatchEnabled and server.dispatchTls"
        yield Finding.warning(_SUBJECT, text, fix)


def _placed(cluster: Cluster, servers: Sequence[Manifest]) -> Iterator[Finding]:
    used = {pod["spec"]["nodeName"] for pod in servers if is_ready(pod)}
    try:
        usable = [node["metadata"]["name"] for node in cluster.find(NODE) if _usable(node)]
    except Forbidden:
        yield Finding.ok(_SUBJECT, "not counted: you have no permission to list nodes, and do not need it")
        return
    if len(usable) < 2:
        ready = f"only {usable[0]} is ready: if it dies, all servers die with it" if usable else "none is ready"
        yield Finding.warning(_SUBJECT, ready, "add nodes")
    elif len(servers) > 1 and len(used) == 1:
        text = f"all servers run on {used.pop()}: if it dies, every request fails until others have started"
        yield Finding.warning(_SUBJECT, text, "restart the servers: they spread over the nodes that have room")


def _usable(node: Manifest) -> bool:
    """Whether a node takes new pods."""
    return is_ready(node) and not node["spec"].get("unschedulable", False)
