"""How clients outside the cluster reach the servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from attrs import field, frozen

from .annotations import Pattern
from .types import Annotations, ObjectName, PublicName

ClientPort = Literal["grpc", "http"]
_Class = Annotated[str, Pattern(r"[-./\w]+", "the name of a load balancer class", "use a class of the cluster")]
_Range = Annotated[str, Pattern(r"[0-9a-f.:]+/\d+", "blocks of addresses", "use a block such as '10.0.0.0/8'")]


@frozen(kw_only=True)
class ExternalService:
    """A second Service, ``NAME-external``, for clients outside the cluster. It has only the ports of the API.

    The Service ``NAME`` stays as it is. It also has the metrics port, which is not meant for clients.
    """

    type: Literal["LoadBalancer", "NodePort"] = "LoadBalancer"
    """Type of the Service. Defaults to ``LoadBalancer``."""
    annotations: Annotations = field(factory=dict)
    """Annotations of the Service, for the cloud's load balancer. Defaults to none."""
    load_balancer_class: _Class | None = None
    """Class of the load balancer (``loadBalancerClass``). Defaults to the cluster's default."""
    load_balancer_source_ranges: Sequence[_Range] = ()
    """Addresses that may connect (``loadBalancerSourceRanges``). Defaults to all."""
    external_traffic_policy: Literal["Cluster", "Local"] = "Cluster"
    """``Local`` keeps the IP addresses of clients, and sends requests only to nodes that run a server. Defaults to
    ``Cluster``, as in Kubernetes."""


@frozen(kw_only=True)
class Ingress:
    """An Ingress. For gRPC, most controllers need an annotation: ingress-nginx needs
    ``{"nginx.ingress.kubernetes.io/backend-protocol": "GRPC"}``, or ``GRPCS`` if gRPC has TLS."""

    host: PublicName
    """DNS name that clients use. Required, because the certificate is for this name."""
    class_name: ObjectName | None = None
    """IngressClass (``ingressClassName``). Defaults to the cluster's default."""
    annotations: Annotations = field(factory=dict)
    """Annotations of the Ingress, for its controller. Defaults to none."""
    tls_secret: ObjectName | None = None
    """Secret with the certificate for clients. Defaults to the controller's own certificate."""
    port: ClientPort = "grpc"
    """Port of the servers. Defaults to ``grpc``."""


@frozen(kw_only=True)
class GRPCRoute:
    """A GRPCRoute of the Gateway API (``gateway.networking.k8s.io/v1``)."""

    gateway: ObjectName
    """Name of the Gateway. Required."""
    gateway_namespace: ObjectName | None = None
    """Namespace of the Gateway. Defaults to the namespace of the release."""
    section_name: ObjectName | None = None
    """Name of the listener of the Gateway. Defaults to every listener that accepts the route."""
    hostnames: Sequence[PublicName] = ()
    """DNS names that clients use. Defaults to the names of the listener."""
    annotations: Annotations = field(factory=dict)
    """Annotations of the route, for the Gateway's controller. Defaults to none."""
