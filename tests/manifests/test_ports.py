"""The ports that servers listen on."""

from __future__ import annotations

import pytest

from cdk8s_spicedb import DispatchTLS, Memory, ServerProps, SpiceDBProps
from cdk8s_spicedb.manifests.pods import open_ports
from tests.synth import POSTGRES

TLS = DispatchTLS.from_secret("dispatch")
ALL = {"grpc": 50051, "http": 8443, "metrics": 9090, "dispatch": 50053, "dispatch-tls": 50053}


@pytest.mark.parametrize(
    ("server", "closed"),
    [
        (ServerProps(http_enabled=True), {"dispatch-tls"}),
        (ServerProps(), {"http", "dispatch-tls"}),
        (ServerProps(metrics_enabled=False), {"http", "metrics", "dispatch-tls"}),
        (ServerProps(dispatch_enabled=False), {"http", "dispatch", "dispatch-tls"}),
        (ServerProps(dispatch_tls=TLS), {"http", "dispatch"}),
    ],
)
def test_only_enabled_ports_are_open(server: ServerProps, closed: set[str]) -> None:
    ports = open_ports(SpiceDBProps(datastore=POSTGRES, server=server))
    assert ports == {name: number for name, number in ALL.items() if name not in closed}


def test_the_memory_engine_has_no_dispatch_port() -> None:
    assert set(open_ports(SpiceDBProps(datastore=Memory()))) == {"grpc", "metrics"}
