"""Alerts that somebody has to do something about, each with what that is."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from ..labels import Component, object_name
from ..props import Alerts, SpiceDBProps
from ..props.datastores import MySQL, Spanner
from .metrics import (
    CHECK_LATENCY,
    DISPATCH_ERRORS,
    ERROR_RATIO,
    GC_FAILURES,
    MYSQL_POOL,
    POSTGRES_POOL,
    REJECTED,
    Query,
)
from .template import Manifest


@frozen
class Alert:
    """One alert; its texts hold no templates, which Helm would take for its own."""

    name: str
    severity: str
    expression: str
    minutes: int
    summary: str
    description: str

    def manifest(self) -> Manifest:
        """As a rule of Prometheus."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": f"{self.minutes}m",
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "description": self.description},
        }


def alerts(props: SpiceDBProps, asked: Alerts) -> Iterator[Alert]:
    """The alerts of a release."""
    if props.migrates:
        yield from _migration(props)
    yield from _servers(props)
    yield from _requests(props, asked)
    yield from _datastore(props)


def _migration(props: SpiceDBProps) -> Iterator[Alert]:
    name = object_name(props.name, Component.MIGRATION)
    # With kubectl, a hash of what it runs follows.
    job = f'job_name=~"{name}(-[0-9a-f]{{7}})?"'
    yield Alert(
        "SpiceDBMigrationFailed",
        "critical",
        f'max by (namespace, job_name) (kube_job_failed{{condition="true",{job}}}) > 0',
        0,
        "The migration of SpiceDB's datastore failed.",
        "The servers are those of the release before, and serve. Its log and its events say why it failed: "
        f"kubectl logs job/{name}; kubectl describe job {name}.",
    )
    minutes = max(1, props.migration.active_deadline_seconds // 120)
    yield Alert(
        "SpiceDBMigrationSlow",
        "warning",
        f"max by (namespace, job_name) (kube_job_status_active{{{job}}}) > 0",
        minutes,
        f"The migration of SpiceDB's datastore has been running for {minutes} min, half of what it may.",
        f"Look at its log (kubectl logs job/{name}) and at locks in the database. When its time is up it is ended and "
        "the release fails; it goes on where it stopped when it is run again, and migration.active_deadline_seconds "
        "gives it more time.",
    )


def _servers(props: SpiceDBProps) -> Iterator[Alert]:
    servers = f'{{deployment="{props.name}"}}'
    ready = f"max by (namespace) (kube_deployment_status_replicas_ready{servers})"
    yield Alert(
        "SpiceDBDown",
        "critical",
        f"{ready} == 0",
        1,
        "No SpiceDB server is ready.",
        "Nobody's permissions can be checked. Servers wait for the database, and for its schema to be migrated: "
        f"kubectl logs deployment/{props.name}.",
    )
    yield Alert(
        "SpiceDBServersNotReady",
        "warning",
        f"{ready} < max by (namespace) (kube_deployment_spec_replicas{servers})",
        10,
        "Fewer SpiceDB servers are ready than there are to be, for 10 min.",
        f"Look at kubectl describe deployment {props.name}, and at the log and the events of the pods that are not.",
    )


def _requests(props: SpiceDBProps, asked: Alerts) -> Iterator[Alert]:
    yield Alert(
        "SpiceDBErrors",
        "critical",
        _above(props, ERROR_RATIO, asked.error_ratio),
        5,
        f"SpiceDB fails more than {asked.error_ratio:.3%} of the requests, for 5 min.",
        "The servers' log says why; the database is the first suspect, then dispatch between servers.",
    )
    seconds = asked.latency.total_seconds()
    yield Alert(
        "SpiceDBSlow",
        "warning",
        _above(props, CHECK_LATENCY, seconds),
        10,
        f"One of 100 permission checks takes longer than {seconds:g} s, for 10 min.",
        "Compare the datastore's latency, the cache hits and the CPU limit of the servers.",
    )
    yield Alert(
        "SpiceDBMemory",
        "warning",
        _above(props, REJECTED, 0),
        5,
        "SpiceDB turns requests away because its memory is nearly full, for 5 min.",
        "Raise the memory limit of the servers, or run more of them.",
    )
    if props.dispatches:
        yield Alert(
            "SpiceDBDispatchErrors",
            "warning",
            _above(props, DISPATCH_ERRORS, asked.error_ratio),
            5,
            f"More than {asked.error_ratio:.3%} of the requests between servers fail, for 5 min.",
            "Servers reach each other at port 50053: look at NetworkPolicies and certificates, and whether all servers "
            "have the same preshared key first.",
        )


def _datastore(props: SpiceDBProps) -> Iterator[Alert]:
    if isinstance(props.datastore, Spanner) or not props.datastore.migrates:
        return
    pool = MYSQL_POOL if isinstance(props.datastore, MySQL) else POSTGRES_POOL
    yield Alert(
        "SpiceDBPoolExhausted",
        "warning",
        f"{pool.of(props.name)} >= 0.95",
        5,
        "SpiceDB's connections to the datastore are nearly all in use, for 5 min.",
        "Requests wait for one. Give larger pools, as far as the database has connections, or look for slow queries.",
    )
    yield Alert(
        "SpiceDBGarbageCollectionFails",
        "warning",
        _above(props, GC_FAILURES, 0),
        60,
        "SpiceDB has been failing to remove old revisions from the datastore for an hour.",
        "The tables grow. Look at the servers' log; more time is given with gc_max_operation_time.",
    )


def _above(props: SpiceDBProps, query: Query, limit: float) -> str:
    return f"{query.of(props.name)} > {limit:g}"
