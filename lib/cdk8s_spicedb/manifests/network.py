"""Connections: NetworkPolicies, the Services and other objects for clients, and how clients connect."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from ..labels import INSTANCE, NAME, Component, selector_labels
from ..props import SpiceDBProps
from ..props.network import ExternalService, GRPCRoute, Ingress, NetworkPeer, NetworkPolicies
from .objects import Manifest, Objects, omit_empty
from .pods import DISPATCH, GRPC, HTTP, METRICS, numbers, open_ports, service_port

DNS, OPENSHIFT_DNS = ([{"protocol": protocol, "port": port} for protocol in ("UDP", "TCP")] for port in (53, 5353))
"""The ports of the DNS servers' pods. Policies apply to the pods' ports, not to the port of their Service."""
SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
    }
)
"""The gRPC service config for clients of SpiceDB, as JSON. Clients spread their requests over all addresses that they
find, and send a request again if its connection was closed. ``docs/configure/clients.md`` gives the reasons."""


def network_policy(objects: Objects, annotations: Mapping[str, str] | None = None) -> list[Manifest]:
    """The NetworkPolicy of a component's pods, if NetworkPolicies are enabled."""
    props, policies = objects.props, objects.props.network_policies
    if policies is None:
        return []
    spec = {
        "podSelector": {"matchLabels": objects.selector},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": list(_ingress(props, policies)) if objects.component is Component.SERVER else [],
        "egress": list(_egress(props, policies, objects.component)),
    }
    # Kubernetes does not store an empty list, so each `kubectl apply` would change the object again.
    return [objects.make("networking.k8s.io/v1", "NetworkPolicy", spec=omit_empty(spec), annotations=annotations)]


def _ingress(props: SpiceDBProps, policies: NetworkPolicies) -> Iterator[Manifest]:
    ports, own_pods = open_ports(props), NetworkPeer(pods={NAME: "spicedb", INSTANCE: props.name})
    clients = None if policies.clients is None else [*policies.clients, own_pods]
    yield from _rule("from", clients, [ports[name] for name in (GRPC, HTTP) if name in ports])
    if METRICS in ports:
        yield from _rule("from", policies.monitoring, [ports[METRICS]])
    if props.dispatches:
        yield from _rule("from", [_servers(props)], [numbers(props)[DISPATCH]])


def _egress(props: SpiceDBProps, policies: NetworkPolicies, component: Component) -> Iterator[Manifest]:
    yield {"ports": [*DNS, *(OPENSHIFT_DNS if props.openshift else ())]}
    database_port = policies.database_port or props.datastore.network_port
    if component in (Component.SERVER, Component.MIGRATION) and database_port is not None:
        yield from _rule("to", policies.database, [database_port])
    if component in (Component.SCHEMA, Component.TEST, Component.BACKUP):
        yield from _rule("to", [_servers(props)], [props.server.grpc_port])
    dispatches = component is Component.SERVER and props.dispatches
    if dispatches:
        yield from _rule("to", [_servers(props)], [numbers(props)[DISPATCH]])
    # Servers that dispatch ask the API server for each other's addresses.
    if dispatches or component is Component.CLEANUP:
        yield from _rule("to", policies.api_server, policies.api_server_ports)
    if component is Component.SERVER:
        for egress in policies.egress:
            yield from _rule("to", egress.to, egress.ports)


def _servers(props: SpiceDBProps) -> NetworkPeer:
    return NetworkPeer(pods=selector_labels(props.name, Component.SERVER))


def _rule(direction: str, peers: Sequence[NetworkPeer] | None, ports: Iterable[int]) -> Iterator[Manifest]:
    """A rule for TCP ports. None allows all peers; without peers there is no rule."""
    if peers is None or peers:
        allowed = {} if peers is None else {direction: [peer.manifest() for peer in peers]}
        yield {**allowed, "ports": [{"protocol": "TCP", "port": port} for port in ports]}


def exposure_manifests(objects: Objects) -> Iterator[Manifest]:
    """The Service for clients in the cluster, and the configured objects for clients outside it."""
    props, server = objects.props, objects.props.server
    spec = {"type": "ClusterIP", "selector": objects.selector, "ports": _ports(props, GRPC, HTTP, METRICS)}
    yield objects.make("v1", "Service", spec=spec, annotations=server.service_annotations)
    if server.headless_service:
        # Clients connect to the pods themselves, so it has their ports.
        pods = attrs.evolve(props, server=attrs.evolve(server, service_ports={}))
        spec = {"clusterIP": "None", "selector": objects.selector, "ports": _ports(pods, GRPC, HTTP)}
        annotations = server.service_annotations
        yield objects.make("v1", "Service", spec=spec, name=f"{objects.name}-headless", annotations=annotations)
    if server.external_service:
        yield _external(objects, server.external_service)
    if server.ingress:
        yield _ingress_object(objects, server.ingress)
    if server.grpc_route:
        yield _route(objects, server.grpc_route)


def _external(objects: Objects, service: ExternalService) -> Manifest:
    spec = {
        "type": service.type,
        "selector": objects.selector,
        "externalTrafficPolicy": service.external_traffic_policy,
        "loadBalancerClass": service.load_balancer_class,
        "loadBalancerSourceRanges": list(service.load_balancer_source_ranges),
        "ports": _ports(objects.props, GRPC, HTTP),
    }
    name = f"{objects.name}-external"
    return objects.make("v1", "Service", spec=omit_empty(spec), name=name, annotations=service.annotations)


def _ingress_object(objects: Objects, ingress: Ingress) -> Manifest:
    backend = {"service": {"name": objects.name, "port": {"name": ingress.port}}}
    spec = {
        "ingressClassName": ingress.class_name,
        "tls": [{"hosts": [ingress.host], "secretName": ingress.tls_secret}] if ingress.tls_secret else [],
        "rules": [{"host": ingress.host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
    }
    return objects.make("networking.k8s.io/v1", "Ingress", spec=omit_empty(spec), annotations=ingress.annotations)


def _route(objects: Objects, route: GRPCRoute) -> Manifest:
    parent = {"name": route.gateway, "namespace": route.gateway_namespace, "sectionName": route.section_name}
    spec = {
        "parentRefs": [omit_empty(parent)],
        "hostnames": list(route.hostnames),
        "rules": [{"backendRefs": [{"name": objects.name, "port": service_port(objects.props, GRPC)}]}],
    }
    return objects.make(
        "gateway.networking.k8s.io/v1", "GRPCRoute", spec=omit_empty(spec), annotations=route.annotations
    )


def _ports(props: SpiceDBProps, *names: str) -> list[Manifest]:
    """A Service's ports: those of ``names`` that are open."""
    protocols = {GRPC: props.server.app_protocol}
    return [
        omit_empty(
            {"name": name, "port": service_port(props, name), "targetPort": name, "appProtocol": protocols.get(name)}
        )
        for name in open_ports(props)
        if name in names
    ]
