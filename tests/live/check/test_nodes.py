"""What the loss of a node would take with it."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import Autoscaling, DispatchTLS, Memory, ServerProps, SpiceDBProps
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.live.check.nodes import node_findings
from tests.apiserver import ApiServer, Object
from tests.live.installed import installable, node, props

from .findings import texts


def on(name: str, *, ready: bool = True) -> Object:
    """A server on a node."""
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"metadata": {}, "spec": {"nodeName": name}, "status": {"conditions": conditions}}


def found(*servers: Object, api: ApiServer | None = None, settings: SpiceDBProps | None = None) -> list[Finding]:
    return list(node_findings((api or installable()).cluster(), settings or props(), servers))


FINE = [Finding.ok("Nodes", "if one of them dies, servers on the others go on")]


def test_the_defaults_survive() -> None:
    assert found() == FINE


@pytest.mark.parametrize(
    "server", [ServerProps(dispatch_enabled=True), ServerProps(dispatch_tls=DispatchTLS.from_secret("dispatch"))]
)
def test_servers_that_dispatch_fail_together(server: ServerProps) -> None:
    (finding,) = found(settings=props(server=server))
    assert finding.level is Level.WARNING
    assert finding.text == "servers dispatch: if the node of one dies, most requests to all of them fail for about 50 s"
    assert "server.dispatchEnabled" in finding.fix


@pytest.mark.parametrize(
    ("server", "field"),
    [
        ({"replicas": 1}, "server.replicas"),
        ({"replicas": 1, "dispatch_enabled": True}, "server.replicas"),
        ({"autoscaling": Autoscaling(min_replicas=1, max_replicas=9)}, "server.autoscaling.minReplicas"),
    ],
)
def test_one_server_dies_with_its_node(server: dict[str, Any], field: str) -> None:
    (finding,) = found(settings=props(server=ServerProps(**server)))
    assert finding.text.startswith("there is one server: if its node dies")
    assert finding.fix == f"set {field} to 3, or to 2 at least"


def test_one_server_is_all_that_an_engine_in_memory_can_have() -> None:
    settings = props(datastore=Memory())
    assert [finding.level for finding in found(settings=settings)] == [Level.OK]


def test_before_an_install_nodes_that_take_pods_are_counted() -> None:
    api = ApiServer()
    assert found(api=api) == FINE, "an autoscaler may add nodes"
    node(api, "one")
    node(api, "broken", ready=False)
    # As Kubernetes does when somebody cordons it, and for a control plane.
    node(api, "drained", taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}])
    node(api, "control", taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])
    assert texts(found(api=api)) == ["Nodes: only one takes new pods: all servers die with it"]
    assert found(on("one"), on("drained"), api=api) == FINE, "servers run on two"
    assert [each.fix for each in found(on("one"), on("one"), api=api)] == ["add nodes"]


@pytest.mark.parametrize("api", [installable(), installable(("list", "nodes"))])
def test_servers_that_share_a_node(api: ApiServer) -> None:
    shared = ["Nodes: all ready servers run on node-1: if it dies, every request fails until others have started"]
    assert texts(found(on("node-1"), on("node-1"), api=api)) == shared
    assert texts(found(on("node-1"), on("node-1"), on("node-2", ready=False), api=api)) == shared
    assert found(on("node-1"), api=api) == FINE
    assert found(on("node-1"), on("node-2"), api=api) == FINE
    assert all("kubectl rollout restart" in each.fix for each in found(on("node-1"), on("node-1"), api=api))
    draining = {**on("node-1"), "metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z"}}
    assert found(on("node-1"), draining, api=api) == FINE


def test_without_the_right_to_list_nodes() -> None:
    (finding,) = found(api=installable(("list", "nodes")))
    assert finding == Finding.ok("Nodes", "not counted: you may not list nodes, which only this hint needs")
