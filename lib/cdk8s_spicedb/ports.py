"""The ports that SpiceDB listens on by default, by the names that the Service gives them."""

from __future__ import annotations

from .props import SpiceDBProps

GRPC, HTTP, METRICS, DISPATCH = "grpc", "http", "metrics", "dispatch"
NUMBERS = {GRPC: 50051, HTTP: 8443, METRICS: 9090, DISPATCH: 50053}


def open_ports(props: SpiceDBProps) -> dict[str, int]:
    """The ports that the servers listen on."""
    is_open = {
        GRPC: True,
        HTTP: props.server.http_enabled,
        METRICS: props.server.metrics_enabled,
        DISPATCH: props.dispatches,
    }
    return {name: number for name, number in NUMBERS.items() if is_open[name]}
