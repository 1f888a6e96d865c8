"""How many servers run, and how they are replaced."""

from __future__ import annotations

from datetime import timedelta

from ...errors import Problem
from ..annotations import Problems, rule, unset
from ..availability import Autoscaling
from ..datastores import Datastore, SQLDatastore
from ..kinds import show
from ..pod import Resources
from ..server import ServerProps
from ..spicedb import SpiceDBProps


@rule(Autoscaling)
def minimum_at_most_maximum(min_replicas: int, max_replicas: int) -> Problems:
    if min_replicas > max_replicas:
        allowed = f"at most max_replicas, {max_replicas}"
        yield Problem("min_replicas", show(min_replicas), allowed, "lower it, or raise max_replicas")


@rule(Autoscaling)
def autoscaler_has_a_target(cpu_utilization: int | None, memory_utilization: int | None) -> Problems:
    if cpu_utilization is None and memory_utilization is None:
        allowed = "cpu_utilization, memory_utilization or both"
        yield Problem("cpu_utilization", "None", allowed, "set one of them, or remove autoscaling")


@rule(ServerProps)
def either_replicas_or_autoscaling(replicas: int | None, autoscaling: Autoscaling | None) -> Problems:
    if autoscaling:
        fix = "remove it, and use autoscaling.min_replicas"
        yield from unset("replicas", replicas, "when autoscaling is set", fix)


@rule(ServerProps)
def autoscaler_needs_requests(autoscaling: Autoscaling | None, resources: Resources) -> Problems:
    for name in ("cpu", "memory"):
        if name not in resources.requests:
            path = f"{name}_utilization"
            when = f"without resources.requests.{name}, of which it is a percentage"
            fix = f"set resources.requests.{name}, or {path}=None"
            yield from unset(f"autoscaling.{path}", getattr(autoscaling, path, None), when, fix)


@rule(ServerProps)
def roll_outs_can_start(max_surge: int | str, max_unavailable: int | str) -> Problems:
    if str(max_surge).rstrip("%") == "0" and str(max_unavailable).rstrip("%") == "0":
        yield Problem("max_surge", show(max_surge), "more than 0 when max_unavailable is 0", "use max_surge=1")


@rule(ServerProps)
def servers_have_time_to_drain(
    termination_grace_period_seconds: int | None, pre_stop_sleep_seconds: int, shutdown_grace_period: timedelta
) -> Problems:
    server = ServerProps(pre_stop_sleep_seconds=pre_stop_sleep_seconds, shutdown_grace_period=shutdown_grace_period)
    minimum, seconds = server.drain_seconds, termination_grace_period_seconds
    if seconds is not None and seconds < minimum:
        allowed = f"at least {minimum}: pre_stop_sleep_seconds and twice shutdown_grace_period"
        fix = "remove it, or lower the other two; a server that is killed loses requests"
        yield Problem("termination_grace_period_seconds", show(seconds), allowed, fix)


@rule(SpiceDBProps)
def servers_can_share_the_datastore(datastore: Datastore, server: ServerProps) -> Problems:
    maximum, when = datastore.max_replicas, f"with the {datastore.engine} engine"
    if maximum is None:
        return
    if server.replicas is not None and server.replicas > maximum:
        fix = "remove it, or use a datastore that servers can share"
        yield Problem("server.replicas", show(server.replicas), f"at most {maximum} {when}", fix)
    if server.autoscaling and server.autoscaling.max_replicas > maximum:
        path, value = "server.autoscaling.max_replicas", server.autoscaling.max_replicas
        fix = "remove autoscaling, or use a datastore that servers can share"
        yield Problem(path, show(value), f"at most {maximum} {when}", fix)
    fix = "remove it: there is no other server"
    yield from unset("server.dispatch_enabled", server.dispatch_enabled or None, when, fix)
    yield from unset("server.dispatch_tls", server.dispatch_tls, when, fix, shown="(set)")


@rule(SpiceDBProps)
def database_has_enough_connections(datastore: Datastore, server: ServerProps) -> Problems:
    if not isinstance(datastore, SQLDatastore) or datastore.max_connections is None:
        return
    servers = SpiceDBProps(datastore=datastore, server=server).roll_out_replicas
    each, maximum = datastore.connections(), datastore.max_connections
    if servers * each > maximum:
        allowed = f"at least {servers * each}: {each} connections for each of {servers} servers in a roll-out"
        fix = (
            f"use pools with at most {maximum // servers} connections together, or raise max_connections, here and in "
            "the database"
        )
        yield Problem("datastore.max_connections", show(maximum), allowed, fix)
