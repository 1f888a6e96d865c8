"""How clients outside the cluster reach the servers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...errors import Problem
from ..annotations import rule
from ..exposure import ExternalService, Ingress
from ..kinds import show
from ..server import ServerProps


@rule(ExternalService)
def only_load_balancers_have_their_settings(
    type: str, load_balancer_class: str | None, load_balancer_source_ranges: Sequence[str]
) -> Iterator[Problem]:
    values = {
        "load_balancer_class": load_balancer_class,
        "load_balancer_source_ranges": load_balancer_source_ranges,
    }
    for name, value in values.items():
        if value and type != "LoadBalancer":
            yield Problem(name, show(value), "None without type='LoadBalancer'", "remove it")


@rule(ServerProps)
def http_ingress_needs_http(ingress: Ingress | None, http_enabled: bool) -> Iterator[Problem]:
    if ingress and ingress.port == "http" and not http_enabled:
        yield Problem("ingress.port", show("http"), "grpc when http_enabled is False", "use http_enabled=True")
