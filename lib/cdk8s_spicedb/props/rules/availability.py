"""How many servers run, and how they are replaced."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ...errors import Problem
from ..annotations import rule
from ..availability import Autoscaling
from ..capacity import roll_out_replicas
from ..datastores import Datastore, SQLDatastore
from ..kinds import show
from ..pod import Resources
from ..server import ServerProps
from ..spicedb import SpiceDBProps


@rule(Autoscaling)
def minimum_at_most_maximum(min_replicas: int, max_replicas: int) -> Iterator[Problem]:
    if min_replicas > max_replicas:
        allowed = f"at most max_replicas, {max_replicas}"
        yield Problem("min_replicas", show(min_replicas), allowed, "lower it, or raise max_replicas")


@rule(Autoscaling)
def autoscaler_has_a_target(cpu_utilization: int | None, memory_utilization: int | None) -> Iterator[Problem]:
    if cpu_utilization is None and memory_utilization is None:
        allowed = "cpu_utilization, memory_utilization or both"
        yield Problem("cpu_utilization", "None", allowed, "set one of them, or remove autoscaling")


@rule(ServerProps)
def either_replicas_or_autoscaling(replicas: int | None, autoscaling: Autoscaling | None) -> Iterator[Problem]:
    if autoscaling and replicas is not None:
        fix = "remove it, and use autoscaling.min_replicas"
        yield Problem("replicas", show(replicas), "None when autoscaling is set", fix)


@rule(ServerProps)
def autoscaler_needs_requests(autoscaling: Autoscaling | None, resources: Resources) -> Iterator[Problem]:
    for name in ("cpu", "memory") if autoscaling else ():
        target = getattr(autoscaling, f"{name}_utilization")
        if target is not None and name not in resources.requests:
            yield Problem(
                f"autoscaling.{name}_utilization",
                show(target),
                f"None without resources.requests.{name}, of which it is a percentage",
                f"set resources.requests.{name}, or {name}_utilization=None",
            )


@rule(ServerProps)
def roll_outs_can_start(max_surge: int | str, max_unavailable: int | str) -> Iterator[Problem]:
    if str(max_surge).rstrip("%") == "0" and str(max_unavailable).rstrip("%") == "0":
        yield Problem("max_surge", show(max_surge), "more than 0 when max_unavailable is 0", "use max_surge=1")


@rule(ServerProps)
def servers_have_time_to_drain(
    termination_grace_period_seconds: int | None, pre_stop_sleep_seconds: int, shutdown_grace_period: timedelta
) -> Iterator[Problem]:
    server = ServerProps(pre_stop_sleep_seconds=pre_stop_sleep_seconds, shutdown_grace_period=shutdown_grace_period)
    minimum, seconds = server.drain_seconds, termination_grace_period_seconds
    if seconds is not None and seconds < minimum:
        yield Problem(
            "termination_grace_period_seconds",
            show(seconds),
            f"at least {minimum}: pre_stop_sleep_seconds and twice shutdown_grace_period",
            "remove it, or lower the other two; a server that is killed loses requests",
        )


@rule(SpiceDBProps)
def servers_can_share_the_datastore(datastore: Datastore, server: ServerProps) -> Iterator[Problem]:
    maximum = datastore.max_replicas
    if maximum is None:
        return
    allowed = f"at most {maximum} with the {datastore.engine} engine"
    if server.replicas is not None and server.replicas > maximum:
        fix = "remove it, or use a datastore that servers can share"
        yield Problem("server.replicas", show(server.replicas), allowed, fix)
    if server.autoscaling and server.autoscaling.max_replicas > maximum:
        fix = "remove autoscaling, or use a datastore that servers can share"
        yield Problem("server.autoscaling.max_replicas", show(server.autoscaling.max_replicas), allowed, fix)
    for name in ("dispatch_enabled", "dispatch_tls"):
        if getattr(server, name):
            shown = "True" if name == "dispatch_enabled" else "(set)"
            allowed, fix = f"None with the {datastore.engine} engine", "remove it: there is no other server"
            yield Problem(f"server.{name}", shown, allowed, fix)


@rule(SpiceDBProps)
def database_has_enough_connections(datastore: Datastore, server: ServerProps) -> Iterator[Problem]:
    if not isinstance(datastore, SQLDatastore) or datastore.max_connections is None:
        return
    servers, each = roll_out_replicas(datastore, server), datastore.connections()
    if servers * each > datastore.max_connections:
        yield Problem(
            "datastore.max_connections",
            show(datastore.max_connections),
            f"at least {servers * each}: {each} connections of {servers} servers in a roll-out",
            f"use pools of at most {datastore.max_connections // servers} connections together, or raise it in the "
            "database",
        )
