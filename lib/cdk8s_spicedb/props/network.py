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
    """Peers of the destination. Defaults to all addresses."""


@frozen(kw_only=True)
class NetworkPolicies:
    """NetworkPolicies for servers, migration and clean-up. They deny every connection that is not listed here.

    Servers may reach each other, the database, DNS, and the API server, which they ask for each other's addresses. The
    migration may reach the database, and the clean-up the API server. Policies take effect only if the cluster's
    network enforces them. DNS uses port 53; with ``SpiceDBProps.openshift`` also port 5353, which OpenShift's DNS pods
    use. For each list of peers, None allows all and an empty list allows none.
    """

    clients: Sequence[NetworkPeer] | None = None
    """Clients of the API, by gRPC and HTTP. Defaults to all: the preshared key is required in any case."""
    monitoring: Sequence[NetworkPeer] | None = ()
    """Clients of the metrics. Defaults to none, because the port also serves profiles of the program, without a key.
    Add Prometheus here."""
    database: Sequence[NetworkPeer] | None = None
    """Addresses of the database. Defaults to all, at the database's port only."""
    database_port: Port | None = None
    """Port of the database, if only the URI in the Secret has it. Defaults to the datastore's ``port``, or the
    engine's usual port."""
    api_server: Sequence[NetworkPeer] | None = None
    """Addresses of the Kubernetes API server. Defaults to all, at its ports only: it is not a pod."""
    api_server_ports: Sequence[Port] = (443, 6443)
    """Ports of the API server's own address (``kubectl get endpoints kubernetes``). Defaults to 443 and 6443, which
    nearly all clusters use; MicroK8s uses 16443."""
    egress: Sequence[Egress] = ()
    """Other destinations of the servers, such as a trace collector or the services that issue a cloud's credentials.
    Defaults to none."""
