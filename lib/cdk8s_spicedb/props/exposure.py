"""How clients outside the cluster reach the servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import field, frozen

from ..checks import Metadata, each, one_of, optional, rule, show, text
from ..errors import Problem
from ..labels import annotations_check

_NAME = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"


def _host() -> Metadata:
    return text(
        r"(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?", "a DNS name, maybe with '*.' before it", "write 'spicedb.example.com'"
    )


def _named(what: str) -> Metadata:
    return text(_NAME, f"the name of {what}", f"give the name of {what} that the cluster has")


def _port() -> Metadata:
    return one_of("grpc", "http", fix="write 'grpc', or 'http' for the HTTP gateway")


@frozen(kw_only=True)
class ExternalService:
    """A second Service, ``NAME-external``, for clients outside the cluster: of the API's ports alone.

    The first one stays as it is: it also has the port of metrics, which is for nobody outside.
    """

    type: str = field(default="LoadBalancer", metadata=one_of("LoadBalancer", "NodePort"))
    """How clients reach it: ``LoadBalancer`` or ``NodePort``. Default: ``LoadBalancer``."""
    annotations: Mapping[str, str] = field(factory=dict, metadata=annotations_check())
    """What the cloud's controller is told, in its own words. Default: none."""
    load_balancer_class: str | None = field(default=None, metadata=optional(text(r"[-./\w]+", "a class", "name one")))
    """Which controller makes the load balancer (``loadBalancerClass``). Default: the cluster's own."""
    load_balancer_source_ranges: Sequence[str] = field(
        factory=tuple, metadata=each(text(r"[0-9a-f.:]+/\d+", "blocks of addresses", "write '10.0.0.0/8'"))
    )
    """The addresses that may connect (``loadBalancerSourceRanges``). Default: all."""
    external_traffic_policy: str = field(default="Cluster", metadata=one_of("Cluster", "Local"))
    """``Local`` keeps the clients' addresses and sends them to nodes with a server alone. Default: ``Cluster``, as in
    Kubernetes."""

    @rule("type", "load_balancer_class", "load_balancer_source_ranges")
    def _only_load_balancers(self) -> Iterator[Problem]:
        for name in ("load_balancer_class", "load_balancer_source_ranges"):
            value = getattr(self, name)
            if value and self.type != "LoadBalancer":
                yield Problem(name, show(value), "nothing but with type='LoadBalancer'", "leave it out")


@frozen(kw_only=True)
class Ingress:
    """An Ingress. For gRPC its controller has to be told so, in an annotation of its own: with ingress-nginx
    ``{"nginx.ingress.kubernetes.io/backend-protocol": "GRPC"}``, or ``GRPCS`` where gRPC has TLS."""

    host: str = field(metadata=_host())
    """The name that clients use. Required: it is what the certificate is for."""
    class_name: str | None = field(default=None, metadata=optional(_named("an IngressClass")))
    """The IngressClass (``ingressClassName``). Default: the cluster's."""
    annotations: Mapping[str, str] = field(factory=dict, metadata=annotations_check())
    """What its controller is told, in its own words. Default: none."""
    tls_secret: str | None = field(default=None, metadata=optional(_named("a Secret")))
    """The Secret with the certificate that clients see. Default: the controller's own."""
    port: str = field(default="grpc", metadata=_port())
    """The servers' port. Default: ``grpc``."""


@frozen(kw_only=True)
class GRPCRoute:
    """A GRPCRoute of the Gateway API (``gateway.networking.k8s.io/v1``)."""

    gateway: str = field(metadata=_named("a Gateway"))
    """The Gateway that it is attached to. Required."""
    gateway_namespace: str | None = field(default=None, metadata=optional(_named("a namespace")))
    """The Gateway's namespace. Default: the release's."""
    section_name: str | None = field(default=None, metadata=optional(_named("a listener")))
    """The Gateway's listener. Default: every one that takes it."""
    hostnames: Sequence[str] = field(factory=tuple, metadata=each(_host()))
    """The names that clients use. Default: those of the listener."""
    annotations: Mapping[str, str] = field(factory=dict, metadata=annotations_check())
    """Annotations, in the words of the Gateway's controller. Default: none."""
