"""Which connections the pods of a release accept and make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from .types import Block, Port, Selector


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
        return {name: _selector(labels) for name, labels in selectors.items() if labels is not None}


def _selector(labels: Mapping[str, str]) -> dict[str, Any]:
    return {"matchLabels": dict(labels)} if labels else {}


@frozen(kw_only=True)
class Egress:
    """A destination that servers may reach in addition to the database."""

    ports: Sequence[Port]
    """TCP ports of the destination. Required."""
    to: Sequence[NetworkPeer] | None = None
    """Peers at the destination. Defaults to all addresses."""


@frozen(kw_only=True)
class NetworkPolicies:
    """NetworkPolicies for servers, migration and clean-up. They deny every connection that is not listed here.

    Servers may connect to each other, to the database, to DNS, and to the API server, where they look up each other's
    addresses. The migration may connect to the database, and the clean-up to the API server. DNS uses port 53. With
    ``SpiceDBProps.openshift``, DNS also uses port 5353, the port of OpenShift's DNS pods.

    For each list of peers, None allows all and an empty list allows none. Policies take effect only if the cluster's
    network enforces them.
    """

    clients: Sequence[NetworkPeer] | None = None
    """Peers that may connect to the API, by gRPC and HTTP. Defaults to all, because every request needs the preshared
    key anyway."""
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
