"""How many servers run, and how they are replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import attrs

from ...errors import Problem
from ..backup import BackupProps
from ..datastores import Datastore, SQLDatastore
from ..fields import Problems, Rules, unset
from ..fieldtypes import show
from ..jobs import ClientProps, PermissionTest, SchemaProps
from ..monitoring import Monitoring
from ..network import ExternalService, Ingress, NetworkPeer, NetworkPolicies
from ..patch import PatchOperation
from ..pod import Resources, Toleration
from ..server import DISPATCH_PORT, H2C, TLS, Autoscaling, ServerProps
from ..spicedb import SpiceDBProps
from ..types import parse_quantity


def minimum_at_most_maximum(min_replicas: int, max_replicas: int) -> Problems:
    if min_replicas > max_replicas:
        allowed, fix = f"at most {{max_replicas}}, {max_replicas}", "lower it, or raise {max_replicas}"
        yield Problem("min_replicas", show(min_replicas), allowed, fix)


def autoscaler_has_a_target(cpu_utilization: int | None, memory_utilization: int | None, external: bool) -> Problems:
    if external:
        fix = "remove it, and set the target in the other program"
        yield from unset("memory_utilization", memory_utilization, "with {external=}{True}", fix)
    elif cpu_utilization is None and memory_utilization is None:
        allowed = "{cpu_utilization}, {memory_utilization} or both"
        yield Problem("cpu_utilization", "None", allowed, "set one of them, or remove autoscaling")


def either_replicas_or_autoscaling(replicas: int | None, autoscaling: Autoscaling | None) -> Problems:
    if autoscaling:
        fix = "remove it, and use autoscaling.{min_replicas}"
        yield from unset("replicas", replicas, "when autoscaling is set", fix)


def autoscaler_needs_requests(autoscaling: Autoscaling | None, resources: Resources) -> Problems:
    for name in () if autoscaling and autoscaling.external else ("cpu", "memory"):
        if name not in resources.requests:
            path = f"{name}_utilization"
            when = f"without resources.requests.{name}, of which it is a percentage"
            fix = f"set resources.requests.{name}, or {{{path}=}}{{None}}"
            yield from unset(f"autoscaling.{path}", getattr(autoscaling, path, None), when, fix)


def roll_outs_can_start(max_surge: int | str, max_unavailable: int | str) -> Problems:
    if str(max_surge).rstrip("%") == "0" and str(max_unavailable).rstrip("%") == "0":
        yield Problem("max_surge", show(max_surge), "more than 0 when {max_unavailable} is 0", "use {max_surge=}1")


def servers_have_time_to_drain(
    termination_grace_period_seconds: int | None,
    pre_stop_sleep_seconds: int,
    shutdown_drain_delay: timedelta | None,
    shutdown_grace_period: timedelta,
) -> Problems:
    server = ServerProps(
        pre_stop_sleep_seconds=pre_stop_sleep_seconds,
        shutdown_drain_delay=shutdown_drain_delay,
        shutdown_grace_period=shutdown_grace_period,
    )
    minimum, seconds = server.drain_seconds, termination_grace_period_seconds
    if seconds is not None and seconds < minimum:
        parts = "{pre_stop_sleep_seconds}, {shutdown_drain_delay} and twice {shutdown_grace_period}"
        allowed = f"at least {minimum}: {parts}"
        fix = "remove it, or lower the others; a server that is killed loses requests"
        yield Problem("termination_grace_period_seconds", show(seconds), allowed, fix)


def servers_can_share_the_datastore(datastore: Datastore, server: ServerProps) -> Problems:
    maximum, when = datastore.max_replicas, f"with the {datastore.engine} engine"
    if maximum is None:
        return
    scaled = server.autoscaling.max_replicas if server.autoscaling else None
    replicas = {"replicas": (server.replicas, "it"), "autoscaling.max_replicas": (scaled, "autoscaling")}
    for path, (number, what) in replicas.items():
        if number is not None and number > maximum:
            fix = f"remove {what}, or use a datastore that servers can share"
            yield Problem(f"server.{path}", show(number), f"at most {maximum} {when}", fix)
    fix = "remove it: there is no other server"
    yield from unset("server.dispatch_enabled", server.dispatch_enabled or None, when, fix)
    yield from unset("server.dispatch_tls", server.dispatch_tls, when, fix, shown="(set)")


def database_has_enough_connections(datastore: Datastore, server: ServerProps) -> Problems:
    if not isinstance(datastore, SQLDatastore) or datastore.max_connections is None:
        return
    servers = SpiceDBProps(datastore=datastore, server=server).roll_out_replicas
    each, maximum = datastore.connections(), datastore.max_connections
    if servers * each > maximum:
        allowed = f"at least {servers * each}: {each} connections for each of {servers} servers in a roll-out"
        pools = f"use pools with at most {maximum // servers} connections together"
        fix = f"{pools}, or raise {{max_connections}}, here and in the database"
        yield Problem("datastore.max_connections", show(maximum), allowed, fix)


def only_load_balancers_have_their_settings(
    type: str, load_balancer_class: str | None, load_balancer_source_ranges: Sequence[str]
) -> Problems:
    if type != "LoadBalancer":
        when = "without {type=}'LoadBalancer'"
        yield from unset("load_balancer_class", load_balancer_class, when)
        yield from unset("load_balancer_source_ranges", load_balancer_source_ranges or None, when)


def http_ingress_needs_http(ingress: Ingress | None, http_enabled: bool) -> Problems:
    if ingress and ingress.port == "http" and not http_enabled:
        yield Problem("ingress.port", "'http'", "grpc when {http_enabled} is {False}", "use {http_enabled=}{True}")


def h2c_has_no_tls(app_protocol: str | None, grpc_tls: TLS | None) -> Problems:
    if app_protocol == H2C and grpc_tls:
        allowed = f"another protocol if {{grpc_tls}} is set, because {H2C} means HTTP/2 without TLS"
        yield Problem("app_protocol", show(app_protocol), allowed, "remove it, or name your proxy's protocol")


def certificates_are_for_open_ports(
    http_tls: TLS | None,
    http_enabled: bool,
    metrics_tls: TLS | None,
    metrics_enabled: bool,
    dispatch_tls: TLS | None,
    dispatch_enabled: bool | None,
) -> Problems:
    ports = {"http": (http_enabled, http_tls), "metrics": (metrics_enabled, metrics_tls)}
    for port, (enabled, tls) in {**ports, "dispatch": (dispatch_enabled, dispatch_tls)}.items():
        if enabled is False:
            when, fix = f"with {{{port}_enabled=}}{{False}}", f"remove it, or use {{{port}_enabled=}}{{True}}"
            yield from unset(f"{port}_tls", tls, when, fix, shown="(set)")


def ports_of_pods_differ(
    grpc_port: int, http_port: int, http_enabled: bool, metrics_port: int, metrics_enabled: bool
) -> Problems:
    ports = {"grpc_port": grpc_port}
    ports |= {"http_port": http_port} if http_enabled else {}
    ports |= {"metrics_port": metrics_port} if metrics_enabled else {}
    taken = {DISPATCH_PORT: "dispatch"}
    for name, port in ports.items():
        if port in taken:
            yield Problem(name, str(port), f"a port other than that of {taken[port]}", "use another port")
        taken.setdefault(port, f"{{{name}}}")


def ports_of_services_differ(
    service_ports: Mapping[str, int], grpc_port: int, http_port: int, http_enabled: bool, metrics_port: int
) -> Problems:
    if not service_ports:
        return
    pods = {"grpc": grpc_port, "metrics": metrics_port, **({"http": http_port} if http_enabled else {})}
    if not http_enabled:
        fix = "remove it, or use {http_enabled=}{True}"
        yield from unset("service_ports[http]", service_ports.get("http"), "with {http_enabled=}{False}", fix)
    taken: dict[int, str] = {}
    for name, port in {**pods, **{name: port for name, port in service_ports.items() if name in pods}}.items():
        if port in taken:
            allowed, fix = f"a port that {taken[port]} does not have", "use different ports in {service_ports}"
            yield Problem(f"service_ports[{name}]", str(port), allowed, fix)
        taken.setdefault(port, name)


def ports_of_pods_are_open(http_port: int, http_enabled: bool, metrics_port: int, metrics_enabled: bool) -> Problems:
    for name, port, enabled in (("http", http_port, http_enabled), ("metrics", metrics_port, metrics_enabled)):
        default = attrs.fields_dict(ServerProps)[f"{name}_port"].default
        if port != default and not enabled:
            allowed = f"its default with {{{name}_enabled=}}{{False}}"
            yield Problem(f"{name}_port", str(port), allowed, f"remove it, or use {{{name}_enabled=}}{{True}}")


def local_metrics_have_no_port(
    metrics_address: str | None, metrics_enabled: bool, service_ports: Mapping[str, int]
) -> Problems:
    if not metrics_enabled:
        when, fix = "with {metrics_enabled=}{False}", "remove it, or use {metrics_enabled=}{True}"
        yield from unset("metrics_address", metrics_address, when, fix)
    if metrics_address or not metrics_enabled:
        when = "when only the pod itself reaches the metrics"
        yield from unset("service_ports[metrics]", service_ports.get("metrics"), when)


def clients_verify_only_tls(
    server: ServerProps, schema: SchemaProps | None, test: PermissionTest | None, backup: BackupProps | None
) -> Problems:
    clients: Mapping[str, ClientProps | None] = {"schema": schema, "test": test, "backup": backup}
    for part, client in clients.items():
        if client and not server.grpc_tls:
            when, fix = "when gRPC has no TLS", "remove it, or set server.{grpc_tls}"
            yield from unset(f"{part}.ca", client.ca, when, fix, shown="(set)")
            yield from unset(f"{part}.hostname", client.hostname, when, fix)


def peers_need_reachable_metrics(server: ServerProps, network_policies: NetworkPolicies | None) -> Problems:
    if network_policies and network_policies.monitoring and (server.metrics_address or not server.metrics_enabled):
        name, value = ("metrics_address", None) if server.metrics_enabled else ("metrics_enabled", True)
        allowed = "none when nobody outside the pod reaches the metrics"
        fix = f"remove them, or use {{{name}=}}{{{value}}}"
        yield Problem("network_policies.monitoring", "(peers)", allowed, fix)


def pod_monitor_needs_metrics(server: ServerProps, monitoring: Monitoring) -> Problems:
    if server.metrics_address and server.metrics_enabled:
        when, fix = "with server.{metrics_address}, which Prometheus does not reach", "remove one of the two"
        yield from unset("monitoring.pod_monitor", monitoring.pod_monitor, when, fix, shown="(set)")
    if not server.metrics_enabled:
        when, fix = "with server.{metrics_enabled=}{False}", "remove it, or use {metrics_enabled=}{True}"
        yield from unset("monitoring.pod_monitor", monitoring.pod_monitor, when, fix, shown="(set)")


def either_pods_or_addresses(
    pods: Mapping[str, str] | None, namespaces: Mapping[str, str] | None, cidr: str | None
) -> Problems:
    if (pods is not None or namespaces is not None) is (cidr is not None):
        allowed = "pods, namespaces or both, or only cidr"
        yield Problem("cidr", repr(cidr), allowed, "set labels of pods or namespaces, or a block of addresses")


def requests_at_most_limits(requests: Mapping[str, str], limits: Mapping[str, str]) -> Problems:
    for name, requested in requests.items():
        if name in limits and parse_quantity(requested) > parse_quantity(limits[name]):
            allowed, fix = f"at most the limit, {limits[name]}", "lower it, or raise the limit"
            yield Problem(f"requests.{name}", show(requested), allowed, fix)


def memory_is_limited(limits: Mapping[str, str]) -> Problems:
    if "memory" not in limits:
        yield Problem("limits", show(dict(limits)), "limits with a memory limit", "add one, such as {'memory': '1Gi'}")


def equal_needs_a_key(key: str | None, operator: str) -> Problems:
    if key is None and operator == "Equal":
        yield Problem("key", "None", "a key, or {operator=}'Exists'", "set the taint's key")


def exists_has_no_value(operator: str, value: str | None) -> Problems:
    if operator == "Exists":
        yield from unset("value", value, "with {operator=}'Exists'", "remove it, or use {operator=}'Equal'")


def only_evictions_have_a_time(effect: str | None, toleration_seconds: int | None) -> Problems:
    if effect != "NoExecute":
        fix = "remove it, or use {effect=}'NoExecute'"
        yield from unset("toleration_seconds", toleration_seconds, "without {effect=}'NoExecute'", fix)


def remove_has_no_value(op: str, value: object) -> Problems:
    if op == "remove":
        yield from unset("value", value, "with {op=}'remove'", shown="(set)")


RULES: Rules = {
    Autoscaling: (
        minimum_at_most_maximum,
        autoscaler_has_a_target,
    ),
    ServerProps: (
        either_replicas_or_autoscaling,
        autoscaler_needs_requests,
        roll_outs_can_start,
        servers_have_time_to_drain,
        http_ingress_needs_http,
        h2c_has_no_tls,
        certificates_are_for_open_ports,
        ports_of_pods_differ,
        ports_of_services_differ,
        ports_of_pods_are_open,
        local_metrics_have_no_port,
    ),
    SpiceDBProps: (
        servers_can_share_the_datastore,
        database_has_enough_connections,
        pod_monitor_needs_metrics,
        clients_verify_only_tls,
        peers_need_reachable_metrics,
    ),
    ExternalService: (only_load_balancers_have_their_settings,),
    NetworkPeer: (either_pods_or_addresses,),
    Resources: (
        requests_at_most_limits,
        memory_is_limited,
    ),
    Toleration: (
        equal_needs_a_key,
        exists_has_no_value,
        only_evictions_have_a_time,
    ),
    PatchOperation: (remove_has_no_value,),
}
