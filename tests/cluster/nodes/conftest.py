"""What tests of nodes need."""

from __future__ import annotations

import attrs
import pytest

from tests.lab.cluster import Namespace
from tests.lab.databases import POSTGRES
from tests.lab.nodes import Nodes


@pytest.fixture
def nodes() -> Nodes:
    """Three nodes or more, one of which the test can kill."""
    found = Nodes.find()
    if not found.command or len(found.names) < 3:
        pytest.skip("needs three nodes, and in NODES the command that kills one of them")
    return found


@pytest.fixture
def safe_postgres(nodes: Nodes, namespace: Namespace) -> None:
    """A PostgreSQL on a node that no test kills."""
    attrs.evolve(POSTGRES, node=nodes.safe).start(namespace)
