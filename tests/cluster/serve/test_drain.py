"""How servers stop: Kubernetes' sleep, and SpiceDB's own report that it stops."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from cdk8s_spicedb import ServerProps
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace
from tests.lab.helm import Helm
from tests.lab.props import KEY, on_postgres

_REPORTS = "v1.57.1"
"""A release that can report that it stops, and still serve."""


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(ServerProps(), id="sleep"),
        pytest.param(ServerProps(pre_stop_sleep_seconds=0, shutdown_drain_delay=timedelta(seconds=5)), id="report"),
        pytest.param(ServerProps(shutdown_drain_delay=timedelta(seconds=5)), id="both"),
    ],
)
def test_a_roll_out_loses_no_request(helm: Helm, namespace: Namespace, postgres: None, server: ServerProps) -> None:
    """Without both of them, some do: a server closes its port before all nodes know that it stops."""
    assert helm.install(on_postgres(_REPORTS, server=server)).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("a roll-out", address, KEY) as load:
            upgraded = helm.upgrade(on_postgres(_REPORTS, server=attrs.evolve(server, log_level="warn")))
            assert upgraded.ok, upgraded.output
            namespace.wait_for_terminating_servers()
        assert load.succeeded()
