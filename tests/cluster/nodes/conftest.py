"""What tests of nodes need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from tests.lab.cluster import Namespace, Object
from tests.lab.command import Command
from tests.lab.databases import POSTGRES
from tests.lab.nodes import Nodes


@attrs.frozen
class Place:
    """A namespace with a PostgreSQL on a node that no test kills."""

    namespace: Namespace
    command: Command
    nodes: Nodes

    def on(self, node: str, component: str = "server") -> list[Object]:
        """The pods on a node, among them those that terminate."""
        pods = self.namespace.list("pods", component=component)
        return [pod for pod in pods if pod["spec"].get("nodeName") == node]

    def runs_on(self, node: str, component: str) -> bool:
        """Whether a pod runs on a node."""
        return any(pod["status"]["phase"] == "Running" for pod in self.on(node, component))


@pytest.fixture
def nodes() -> Nodes:
    """The nodes of the cluster, three or more."""
    found = Nodes.find()
    if len(found.names) < 3:
        pytest.skip("needs a cluster of three nodes or more, each with room for a server")
    return found


@pytest.fixture
def mortal(nodes: Nodes) -> Nodes:
    """Nodes of which the test can kill one."""
    if not nodes.command:
        pytest.skip("needs in NODES the command that kills a node")
    return nodes


@pytest.fixture
def new_place(nodes: Nodes, new_namespace: Callable[[], Namespace], tmp_path: Path) -> Callable[[], Place]:
    """Makes a place."""

    def make() -> Place:
        namespace = new_namespace()
        attrs.evolve(POSTGRES, node=nodes.safe).start(namespace)
        folder = tmp_path / namespace.name
        folder.mkdir()
        return Place(namespace, Command(namespace, folder), nodes)

    return make


@pytest.fixture
def place(new_place: Callable[[], Place]) -> Place:
    """A place for one SpiceDB."""
    return new_place()
