"""Which ports the servers open, and who reaches them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import Problem
from ..annotations import Problems, rule, unset
from ..exposure import ExternalService, Ingress
from ..monitoring import Monitoring
from ..network import NetworkPeer
from ..server import ServerProps
from ..spicedb import SpiceDBProps
from ..tls import TLS


@rule(ExternalService)
def only_load_balancers_have_their_settings(
    type: str, load_balancer_class: str | None, load_balancer_source_ranges: Sequence[str]
) -> Problems:
    if type != "LoadBalancer":
        when = "without type='LoadBalancer'"
        yield from unset("load_balancer_class", load_balancer_class, when)
        yield from unset("load_balancer_source_ranges", load_balancer_source_ranges or None, when)


@rule(ServerProps)
def http_ingress_needs_http(ingress: Ingress | None, http_enabled: bool) -> Problems:
    if ingress and ingress.port == "http" and not http_enabled:
        yield Problem("ingress.port", "'http'", "grpc when http_enabled is False", "use http_enabled=True")


@rule(ServerProps)
def certificates_are_for_open_ports(
    http_tls: TLS | None,
    http_enabled: bool,
    metrics_tls: TLS | None,
    metrics_enabled: bool,
    dispatch_tls: TLS | None,
    dispatch_enabled: bool | None,
) -> Problems:
    certificates = {"http": http_tls, "metrics": metrics_tls, "dispatch": dispatch_tls}
    enabled = {"http": http_enabled, "metrics": metrics_enabled, "dispatch": dispatch_enabled}
    for port, tls in certificates.items():
        if enabled[port] is False:
            when, fix = f"with {port}_enabled=False", f"remove it, or use {port}_enabled=True"
            yield from unset(f"{port}_tls", tls, when, fix, shown="(set)")


@rule(SpiceDBProps)
def pod_monitor_needs_metrics(server: ServerProps, monitoring: Monitoring) -> Problems:
    if not server.metrics_enabled:
        when, fix = "with server.metrics_enabled=False", "remove it, or use metrics_enabled=True"
        yield from unset("monitoring.pod_monitor", monitoring.pod_monitor, when, fix, shown="(set)")


@rule(NetworkPeer)
def either_pods_or_addresses(
    pods: Mapping[str, str] | None, namespaces: Mapping[str, str] | None, cidr: str | None
) -> Problems:
    if (pods is not None or namespaces is not None) is (cidr is not None):
        allowed = "pods, namespaces or both, or only cidr"
        yield Problem("cidr", repr(cidr), allowed, "set labels of pods or namespaces, or a block of addresses")
