"""NetworkPolicies: what each kind of pods takes and reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..labels import INSTANCE, NAME, Component, selector_labels
from ..props import SpiceDBProps
from .metadata import Objects
from .ports import DISPATCH, GRPC, HTTP, METRICS, NUMBERS, open_ports
from .template import Manifest

if TYPE_CHECKING:
    from ..props.network import NetworkPeer, NetworkPolicies

_DNS, _OPENSHIFT_DNS = 53, 5353
"""The ports of DNS servers' pods: policies look at those, whatever port their Service has."""


def network_policy(
    props: SpiceDBProps, objects: Objects, component: Component, annotations: Mapping[str, str] | None = None
) -> list[Manifest]:
    """The NetworkPolicy of a component's pods, where there are to be some."""
    policies = props.network_policies
    if policies is None:
        return []
    egress = [{"ports": _dns(props)}, *_EGRESS[component](props, policies)]
    spec = {
        "podSelector": {"matchLabels": selector_labels(props.name, component)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": list(_ingress(props, policies)) if component is Component.SERVER else [],
        "egress": egress,
    }
    return [objects.make("NetworkPolicy", {"spec": spec}, annotations=annotations)]


def _ingress(props: SpiceDBProps, policies: NetworkPolicies) -> Iterator[Manifest]:
    ports = open_ports(props)
    own = {"podSelector": {"matchLabels": {NAME: "spicedb", INSTANCE: props.name}}}
    api = [port for name, port in ports.items() if name in (GRPC, HTTP)]
    yield from _rule("from", policies.clients, api, also=[own])
    if METRICS in ports:
        yield from _rule("from", policies.monitoring, [ports[METRICS]])
    if props.dispatches:
        yield {"from": [_servers(props)], "ports": _tcp([NUMBERS[DISPATCH]])}


def _of_servers(props: SpiceDBProps, policies: NetworkPolicies) -> Iterator[Manifest]:
    yield from _of_migration(props, policies)
    if props.dispatches:
        yield {"to": [_servers(props)], "ports": _tcp([NUMBERS[DISPATCH]])}
        yield from _of_cleanup(props, policies)
    for egress in policies.egress:
        yield from _rule("to", egress.to, egress.ports)


def _of_migration(props: SpiceDBProps, policies: NetworkPolicies) -> Iterator[Manifest]:
    port = policies.database_port or props.datastore.network_port
    if port is not None:
        yield from _rule("to", policies.database, [port])


def _of_cleanup(props: SpiceDBProps, policies: NetworkPolicies) -> Iterator[Manifest]:
    yield from _rule("to", policies.api_server, policies.api_server_ports)


def _of_clients(props: SpiceDBProps, _: NetworkPolicies) -> Iterator[Manifest]:
    yield {"to": [_servers(props)], "ports": _tcp([NUMBERS[GRPC]])}


_EGRESS = {
    Component.SCHEMA: _of_clients,
    Component.TEST: _of_clients,
    Component.SERVER: _of_servers,
    Component.MIGRATION: _of_migration,
    Component.CLEANUP: _of_cleanup,
}


def _dns(props: SpiceDBProps) -> list[Manifest]:
    ports = (_DNS, _OPENSHIFT_DNS) if props.openshift else (_DNS,)
    return [{"protocol": protocol, "port": port} for port in ports for protocol in ("UDP", "TCP")]


def _servers(props: SpiceDBProps) -> Manifest:
    return {"podSelector": {"matchLabels": selector_labels(props.name, Component.SERVER)}}


def _rule(
    way: str, peers: Sequence[NetworkPeer] | None, ports: Iterable[int], also: Sequence[Manifest] = ()
) -> Iterator[Manifest]:
    """A rule for peers; without peers there is none, and None is everybody."""
    if peers is None:
        yield {"ports": _tcp(ports)}
    elif peers or also:
        yield {way: [*(peer.manifest() for peer in peers), *also], "ports": _tcp(ports)}


def _tcp(ports: Iterable[int]) -> list[Manifest]:
    return [{"protocol": "TCP", "port": port} for port in ports]
