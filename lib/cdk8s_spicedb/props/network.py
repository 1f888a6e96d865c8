"""Which connections the pods of a release accept and make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from attrs import field, frozen

from .fields import Pattern
from .types import Annotations, Block, ObjectName, Port, PublicName, Selector


@frozen(kw_only=True)
class NetworkPeer:
    """Pods, selected by their labels and the labels of their namespace, or a block of addresses."""

    pods: Selector | None = None
    """Labels of the pods. Defaults to all pods; without ``namespaces``, all pods of the release's namespace."""
    namespaces: Selector | None = None
    """Labels of the pods' namespace, such as ``{"kubernetes.io/metadata.name": "apps"}``. ``{}`` selects every
    namespace. Defaults to the namespace of the release."""
    cidr: Block | None = None
    """Block of addresses, instead of pods. Defaults to none."""

    def manifest(self) -> dict[str, Any]:
        """The peer in a NetworkPolicy's own form."""
        if self.cidr is not None:
            return {"ipBlock": {"cidr": self.cidr}}
        selectors = {"namespaceSelector": self.namespaces, "podSelector": self.pods}
        given = {name: labels for name, labels in selectors.items() if labels is not None}
        return {name: {"matchLabels": dict(labels)} if labels else {} for name, labels in given.items()}


@frozen(kw_only=True)
class Egress:
    """A destination that servers may reach in addition to the database."""

    ports: Sequence[Port]
    """TCP ports of the destination. Required."""
    to: Sequence[NetworkPeer] | None = None
    """Peers at the destination. Defaults to all addresses."""


@frozen(kw_only=True)
class NetworkPolicies:
    """NetworkPolicies for all pods of the release. They deny every connection that is not listed here.

    Servers may connect to the database and to DNS. Servers that dispatch may also connect to each other, and to the API
    server, where they look up each other's addresses. The migration may connect to the database, and the clean-up to
    the API server. DNS uses port 53. With ``SpiceDBProps.openshift``, DNS also uses port 5353, the port of OpenShift's
    DNS pods.

    For each list of peers, None allows all and an empty list allows none. Policies take effect only if the cluster's
    network enforces them.
    """

    clients: Sequence[NetworkPeer] | None = None
    """Peers that may connect to the API, over gRPC and HTTP. The release's Jobs always can. Defaults to all, because
    every request needs the preshared key anyway."""
    monitoring: Sequence[NetworkPeer] | None = ()
    """Peers that may connect to the metrics port. Add Prometheus here. Defaults to none, because the port also serves
    profiles of the SpiceDB process (pprof), without a key."""
    database: Sequence[NetworkPeer] | None = None
    """Addresses of the database. Defaults to all addresses, but only at the database's port."""
    database_port: Port | None = None
    """Port of the database. Set it if the port is only in the URI, in the Secret. Defaults to the datastore's ``port``,
    or the engine's usual port."""
    api_server: Sequence[NetworkPeer] | None = None
    """Addresses of the Kubernetes API server, which is not a pod. Defaults to all addresses, but only at the API
    server's ports."""
    api_server_ports: Sequence[Port] = (443, 6443)
    """Ports of the API server's own address (``kubectl get endpoints kubernetes``). Defaults to 443 and 6443, which
    nearly all clusters use; MicroK8s uses 16443."""
    egress: Sequence[Egress] = ()
    """Other destinations of the servers, such as a trace collector, or a cloud service that issues credentials.
    Defaults to none."""


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
