"""Who may talk to the pods of a release, and to whom they may."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from ..checks import check, each, instance, optional, rule, whole_number
from ..errors import Problem
from ..labels import node_selector_check


def _is_block(value: object) -> bool:
    try:
        return isinstance(value, str) and "/" in value and ipaddress.ip_network(value) is not None
    except ValueError:
        return False


@frozen(kw_only=True)
class NetworkPeer:
    """Pods, by their labels and those of their namespace, or addresses."""

    pods: Mapping[str, str] | None = field(default=None, metadata=optional(node_selector_check()))
    """The labels that pods have. Default: any; without ``namespaces``, in the release's namespace alone."""
    namespaces: Mapping[str, str] | None = field(default=None, metadata=optional(node_selector_check()))
    """The labels that the pods' namespace has, such as ``{"kubernetes.io/metadata.name": "apps"}``; ``{}``: every
    namespace. Default: the release's own."""
    cidr: str | None = field(
        default=None,
        metadata=optional(
            check(
                "a block of addresses",
                _is_block,
                "write it as '10.0.0.0/8', one address as '10.0.0.7/32'",
                schema={"type": "string"},
            )
        ),
    )
    """A block of addresses, instead of pods. Default: none."""

    def manifest(self) -> dict[str, Any]:
        """As one of a rule's peers."""
        if self.cidr is not None:
            return {"ipBlock": {"cidr": self.cidr}}
        selectors = {"namespaceSelector": self.namespaces, "podSelector": self.pods}
        return {name: _selector(labels) for name, labels in selectors.items() if labels is not None}

    @rule("pods", "namespaces", "cidr")
    def _pods_or_addresses(self) -> Iterator[Problem]:
        selects = self.pods is not None or self.namespaces is not None
        if selects is (self.cidr is not None):
            allowed = "pods, namespaces or both, or cidr alone"
            yield Problem("cidr", repr(self.cidr), allowed, "give labels of pods, or a block of addresses")


def _selector(labels: Mapping[str, str]) -> dict[str, Any]:
    return {"matchLabels": dict(labels)} if labels else {}


_PEERS = optional(
    each(instance(NetworkPeer, "a NetworkPeer(…)", "write NetworkPeer(pods={'app': 'api'}), or NetworkPeer(cidr=…)"))
)


@frozen(kw_only=True)
class Egress:
    """Something that servers may reach besides the database."""

    ports: Sequence[int] = field(metadata=each(whole_number(1, 65535)))
    """The TCP ports. Required."""
    to: Sequence[NetworkPeer] | None = field(default=None, metadata=_PEERS)
    """Where. Default: anywhere."""


@frozen(kw_only=True)
class NetworkPolicies:
    """NetworkPolicies for servers, migration and clean-up: what is not named here is shut out.

    Servers reach each other, the database, DNS, and the API server, by which they find each other; the migration
    reaches the database, and the clean-up the API server. They count where the cluster's network enforces policies.
    DNS is at port 53; with ``SpiceDBProps.openshift`` also at 5353, where OpenShift's DNS pods listen.
    Peers are lists; None is everybody, and an empty list nobody.
    """

    clients: Sequence[NetworkPeer] | None = field(default=None, metadata=_PEERS)
    """Who may use the API, by gRPC and HTTP. Default: everybody; the preshared key is asked for in any case."""
    monitoring: Sequence[NetworkPeer] | None = field(default=(), metadata=_PEERS)
    """Who may read metrics. Default: nobody, because that port also serves profiles of the program, without a key; name
    Prometheus here."""
    database: Sequence[NetworkPeer] | None = field(default=None, metadata=_PEERS)
    """Where the database is. Default: anywhere, at its port alone."""
    database_port: int | None = field(default=None, metadata=optional(whole_number(1, 65535)))
    """The port of the database, where it is in a URI that only the Secret knows. Default: the datastore's ``port``, or
    the engine's usual one."""
    api_server: Sequence[NetworkPeer] | None = field(default=None, metadata=_PEERS)
    """Where Kubernetes' API server is. Default: anywhere, at its ports alone: its address is no pod's."""
    api_server_ports: Sequence[int] = field(default=(443, 6443), metadata=each(whole_number(1, 65535)))
    """The ports of the API server's own address (``kubectl get endpoints kubernetes``). Default: 443 and 6443, which
    nearly all clusters have; MicroK8s has 16443."""
    egress: Sequence[Egress] = field(
        default=(), metadata=each(instance(Egress, "an Egress(ports=…)", "write Egress(ports=[4317])"))
    )
    """What else servers may reach: the collector of traces, or the services that a cloud's credentials come from.
    Default: nothing."""
