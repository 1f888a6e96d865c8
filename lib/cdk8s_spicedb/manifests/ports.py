"""SpiceDB's default ports, by the names that they have in pods and Services."""

from __future__ import annotations

from ..props import SpiceDBProps

GRPC, HTTP, METRICS, DISPATCH, DISPATCH_TLS = "grpc", "http", "metrics", "dispatch", "dispatch-tls"
NUMBERS = {GRPC: 50051, HTTP: 8443, METRICS: 9090, DISPATCH: 50053, DISPATCH_TLS: 50053}


def dispatch_port(props: SpiceDBProps) -> str:
    """The name of the port on which servers connect to each other."""
    return DISPATCH_TLS if props.server.dispatch_tls else DISPATCH


def dispatch_service(props: SpiceDBProps, port: str) -> str:
    """The name of the Service by which servers with this dispatch port find each other."""
    return f"{props.name}-{port}"


def open_ports(props: SpiceDBProps) -> dict[str, int]:
    """The ports on which the servers listen."""
    is_open = {
        GRPC: True,
        HTTP: props.server.http_enabled,
        METRICS: props.server.metrics_enabled,
        dispatch_port(props): props.dispatches,
    }
    return {name: number for name, number in NUMBERS.items() if is_open.get(name)}
