"""The Service of the servers, and the objects that expose them outside the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from ..props import SpiceDBProps
from ..props.exposure import ExternalService, GRPCRoute, Ingress
from .manifest import Manifest, omit_empty
from .metadata import Objects
from .ports import GRPC, HTTP, METRICS, NUMBERS, open_ports


def exposure_manifests(objects: Objects) -> Iterator[Manifest]:
    """The Service for clients in the cluster, and the configured objects for clients outside it."""
    props, server = objects.props, objects.props.server
    spec = {"type": "ClusterIP", "selector": objects.selector, "ports": _ports(props, GRPC, HTTP, METRICS)}
    yield objects.make("v1", "Service", spec=spec, annotations=server.service_annotations)
    if server.external_service:
        yield _external(objects, server.external_service)
    if server.ingress:
        yield _ingress(objects, server.ingress)
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


def _ingress(objects: Objects, ingress: Ingress) -> Manifest:
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
        "rules": [{"backendRefs": [{"name": objects.name, "port": NUMBERS[GRPC]}]}],
    }
    return objects.make(
        "gateway.networking.k8s.io/v1", "GRPCRoute", spec=omit_empty(spec), annotations=route.annotations
    )


def _ports(props: SpiceDBProps, *names: str) -> list[Manifest]:
    """A Service's ports: those of ``names`` that are open."""
    protocols = {GRPC: props.server.app_protocol}
    return [
        omit_empty({"name": name, "port": port, "targetPort": name, "appProtocol": protocols.get(name)})
        for name, port in open_ports(props).items()
        if name in names
    ]
