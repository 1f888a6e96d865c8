"""The Services of the servers, and the ways to them from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..labels import Component, selector_labels
from ..props import SpiceDBProps
from .metadata import Objects
from .ports import GRPC, HTTP, METRICS, NUMBERS, open_ports
from .template import Manifest, omit_empty

if TYPE_CHECKING:
    from ..props.exposure import ExternalService, GRPCRoute, Ingress


def exposure_manifests(props: SpiceDBProps, objects: Objects) -> list[Manifest]:
    """The Service by which everybody in the cluster finds the servers, and what is asked for besides."""
    server = props.server
    ports = _ports(props, GRPC, HTTP, METRICS)
    service = {"type": "ClusterIP", "selector": _selector(props), "ports": ports}
    return [
        objects.make("Service", {"spec": service}, annotations=server.service_annotations),
        *(_external(props, objects, server.external_service) if server.external_service else []),
        *(_ingress(props, objects, server.ingress) if server.ingress else []),
        *(_route(props, objects, server.grpc_route) if server.grpc_route else []),
    ]


def _external(props: SpiceDBProps, objects: Objects, service: ExternalService) -> list[Manifest]:
    spec = {
        "type": service.type,
        "selector": _selector(props),
        "externalTrafficPolicy": service.external_traffic_policy,
        "loadBalancerClass": service.load_balancer_class,
        "loadBalancerSourceRanges": list(service.load_balancer_source_ranges),
        "ports": _ports(props, GRPC, HTTP),
    }
    name, annotations = f"{objects.name}-external", service.annotations
    return [objects.make("Service", {"spec": omit_empty(spec)}, name=name, annotations=annotations)]


def _ingress(props: SpiceDBProps, objects: Objects, ingress: Ingress) -> list[Manifest]:
    backend = {"service": {"name": props.name, "port": {"name": ingress.port}}}
    spec = {
        "ingressClassName": ingress.class_name,
        "tls": [{"hosts": [ingress.host], "secretName": ingress.tls_secret}] if ingress.tls_secret else [],
        "rules": [{"host": ingress.host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
    }
    return [objects.make("Ingress", {"spec": omit_empty(spec)}, annotations=ingress.annotations)]


def _route(props: SpiceDBProps, objects: Objects, route: GRPCRoute) -> list[Manifest]:
    parent = {"name": route.gateway, "namespace": route.gateway_namespace, "sectionName": route.section_name}
    spec = {
        "parentRefs": [omit_empty(parent)],
        "hostnames": list(route.hostnames),
        "rules": [{"backendRefs": [{"name": props.name, "port": NUMBERS[GRPC]}]}],
    }
    return [objects.make("GRPCRoute", {"spec": omit_empty(spec)}, annotations=route.annotations)]


def _selector(props: SpiceDBProps) -> dict[str, str]:
    return selector_labels(props.name, Component.SERVER)


def _ports(props: SpiceDBProps, *names: str) -> list[Manifest]:
    """Those of the ports that are open."""
    protocol = {GRPC: props.server.app_protocol}
    return [
        omit_empty({"name": name, "port": port, "targetPort": name, "appProtocol": protocol.get(name)})
        for name, port in open_ports(props).items()
        if name in names
    ]
