"""The alerts. Each one needs action, and its description tells which."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ..labels import Component, object_name
from ..props import Alerts, SpiceDBProps
from . import metrics
from .manifest import Manifest


def alerts(props: SpiceDBProps, settings: Alerts) -> Iterator[Manifest]:
    """The alerts of a release, as rules of Prometheus."""
    if props.migrates:
        yield from _migration(props)
    yield from _servers(props)
    yield from _requests(props, settings)
    yield from _datastore(props)


def _alert(severity: str, name: str, expression: str, *, minutes: int, summary: str, description: str) -> Manifest:
    """One alert. Its texts contain no templates: Helm would take them for its own."""
    return {
        "alert": name,
        "expr": expression,
        "for": f"{minutes}m",
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": description},
    }


_critical, _warning = partial(_alert, "critical"), partial(_alert, "warning")


def _migration(props: SpiceDBProps) -> Iterator[Manifest]:
    name = object_name(props.name, Component.MIGRATION)
    # With kubectl, the Job's name ends in a hash.
    job = f'job_name=~"{name}(-[0-9a-f]{{7}})?"'
    yield _critical(
        "SpiceDBMigrationFailed",
        f'max by (namespace, job_name) (kube_job_failed{{condition="true",{job}}}) > 0',
        minutes=0,
        summary="The migration of the SpiceDB datastore failed.",
        description="The servers of the previous release keep serving. The migration's log and events have the reason: "
        f"kubectl logs job/{name}; kubectl describe job {name}.",
    )
    minutes = max(1, props.migration.active_deadline_seconds // 120)
    yield _warning(
        "SpiceDBMigrationSlow",
        f"max by (namespace, job_name) (kube_job_status_active{{{job}}}) > 0",
        minutes=minutes,
        summary=f"The migration of the SpiceDB datastore has run for {minutes} min, half of its deadline.",
        description=f"Check its log (kubectl logs job/{name}) and locks in the database. At the deadline Kubernetes "
        "stops it, and the release fails. The next run continues where it stopped. To allow more time, raise "
        "migration.active_deadline_seconds.",
    )


def _servers(props: SpiceDBProps) -> Iterator[Manifest]:
    servers = f'{{deployment="{props.name}"}}'
    ready = f"max by (namespace) (kube_deployment_status_replicas_ready{servers})"
    yield _critical(
        "SpiceDBDown",
        f"{ready} == 0",
        minutes=1,
        summary="No SpiceDB server is ready.",
        description="Clients cannot check permissions. The servers wait until the database is reachable and its "
        f"schema is migrated: kubectl logs deployment/{props.name}.",
    )
    yield _warning(
        "SpiceDBServersNotReady",
        f"{ready} < max by (namespace) (kube_deployment_spec_replicas{servers})",
        minutes=10,
        summary="Fewer SpiceDB servers are ready than desired, for 10 min.",
        description=f"Check the pods that are not ready: kubectl describe deployment {props.name}, logs, events.",
    )


def _requests(props: SpiceDBProps, settings: Alerts) -> Iterator[Manifest]:
    percent, seconds = f"{100 * settings.error_ratio:g}%", settings.latency.total_seconds()
    yield _critical(
        "SpiceDBErrors",
        _above(props, metrics.ERROR_RATIO, settings.error_ratio),
        minutes=5,
        summary=f"More than {percent} of the requests to SpiceDB fail, for 5 min.",
        description="The servers' log has the reason. Check the database first, then dispatch between servers.",
    )
    yield _warning(
        "SpiceDBSlow",
        _above(props, metrics.CHECK_LATENCY, seconds),
        minutes=10,
        summary=f"1 of 100 permission checks takes longer than {seconds:g} s, for 10 min.",
        description="Check the latency of the datastore, the cache hit ratio, and the CPU limit of the servers.",
    )
    yield _warning(
        "SpiceDBMemory",
        _above(props, metrics.REJECTED, 0),
        minutes=5,
        summary="SpiceDB rejects requests because its memory is nearly full, for 5 min.",
        description="Raise the memory limit of the servers, or run more servers.",
    )
    if props.dispatches:
        yield _warning(
            "SpiceDBDispatchErrors",
            _above(props, metrics.DISPATCH_ERRORS, settings.error_ratio),
            minutes=5,
            summary=f"More than {percent} of the requests between SpiceDB servers fail, for 5 min.",
            description="Servers connect to each other on port 50053. Check NetworkPolicies and certificates, and that "
            "all servers have the same first preshared key.",
        )


def _datastore(props: SpiceDBProps) -> Iterator[Manifest]:
    connections = metrics.connections(props.datastore)
    if connections is None:
        return
    yield _warning(
        "SpiceDBPoolExhausted",
        f"{connections.of(props.name)} >= 0.95",
        minutes=5,
        summary="At least 95% of SpiceDB's connections to the datastore are in use, for 5 min.",
        description="Requests wait for a connection. Enlarge the pools if the database allows, or find slow queries.",
    )
    yield _warning(
        "SpiceDBGarbageCollectionFails",
        _above(props, metrics.GC_FAILURES, 0),
        minutes=60,
        summary="SpiceDB has failed to delete old revisions from the datastore for an hour.",
        description="The tables grow. Check the servers' log. To allow more time, raise gc_max_operation_time.",
    )


def _above(props: SpiceDBProps, query: metrics.Query, limit: float) -> str:
    return f"{query.of(props.name)} > {limit:g}"
