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
    return {"spec": {"nodeName": name}, "status": {"conditions": conditions}}


def found(*servers: Object, api: ApiServer | None = None, settings: SpiceDBProps | None = None) -> list[Finding]:
    return list(node_findings((api or installable()).cluster(), settings or props(), servers))


def test_the_defaults_survive() -> None:
    assert found() == [Finding.ok("Nodes", "if one of them dies, servers on the others go on")]
    assert found(on("node-1"), on("node-2")) == found()


@pytest.mark.parametrize(
    "server", [ServerProps(dispatch_enabled=True), ServerProps(dispatch_tls=DispatchTLS.from_secret("dispatch"))]
)
def test_servers_that_dispatch_fail_together(server: ServerProps) -> None:
    (finding,) = found(settings=props(server=server))
    assert finding.level is Level.WARNING
    assert finding.text == "servers dispatch: if the node of one dies, most requests to all of them fail for about 50 s"
    assert "server.dispatchEnabled" in finding.fix


@pytest.mark.parametrize(
    "server",
    [
        {"replicas": 1},
        {"replicas": 1, "dispatch_enabled": True},
        {"autoscaling": Autoscaling(min_replicas=1, max_replicas=9)},
    ],
)
def test_one_server_dies_with_its_node(server: dict[str, Any]) -> None:
    (finding,) = found(settings=props(server=ServerProps(**server)))
    assert finding.text.startswith("there is one server: if its node dies")


def test_one_server_is_all_that_an_engine_in_memory_can_have() -> None:
    settings = props(datastore=Memory())
    assert [finding.level for finding in found(settings=settings)] == [Level.OK]


def test_a_cluster_of_one_node() -> None:
    api = ApiServer()
    assert texts(found(api=api)) == ["Nodes: none is ready"]
    node(api, "one")
    node(api, "broken", ready=False)
    node(api, "drained", unschedulable=True)
    assert texts(found(api=api)) == ["Nodes: only one is ready: if it dies, all servers die with it"]


def test_servers_that_share_a_node_although_there_are_others() -> None:
    shared = "Nodes: all servers run on node-1: if it dies, every request fails until others have started"
    assert texts(found(on("node-1"), on("node-1"))) == [shared]
    assert texts(found(on("node-1"), on("node-2", ready=False))) == [shared]
    assert texts(found(on("node-1"))) == ["Nodes: if one of them dies, servers on the others go on"]


def test_without_the_right_to_list_nodes() -> None:
    (finding,) = found(api=installable(("list", "nodes")))
    assert finding == Finding.ok("Nodes", "not counted: you have no permission to list nodes, and do not need it")
