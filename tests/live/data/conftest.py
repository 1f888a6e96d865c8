"""SpiceDBs for tests of copies."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

from cdk8s_spicedb.live.data.server import Server
from tests.live.clock import FakeClock
from tests.spicedbserver import KEY, SpiceDBServer

SCHEMA = "definition user {}\n\ndefinition document {\n\trelation reader: user\n\tpermission read = reader\n}"
TEXTS = [
    *(f"document:d{number}#reader@user:u{number % 4}" for number in range(10)),
    "document:d1#owner@group:all#member",
    'document:d2#reader@user:u9[old:{"age":18,"names":["a",{"b":true}]}]',
    "document:d3#reader@user:u9[old]",
    "document:d4#reader@user:u9[expiration:2100-01-02T03:04:05Z]",
    "document:d5#reader@user:*",
]


def connect(spicedb: SpiceDBServer, key: str = KEY) -> Server:
    """A connection on whose pauses nobody waits."""
    return attrs.evolve(Server.connect(spicedb.address, key), clock=FakeClock())


@pytest.fixture
def spicedb() -> Iterator[SpiceDBServer]:
    """A SpiceDB with a schema and relationships."""
    with SpiceDBServer(SCHEMA) as made:
        made.put(*TEXTS)
        yield made


@pytest.fixture
def empty() -> Iterator[SpiceDBServer]:
    """A SpiceDB without a schema."""
    with SpiceDBServer() as made:
        yield made
