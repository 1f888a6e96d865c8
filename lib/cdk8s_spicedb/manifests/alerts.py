"""Objects for Prometheus and Grafana, and the PromQL queries of the alerts and the dashboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from attrs import frozen

from ..labels import INSTANCE, Component, object_name
from ..props import Alerts, PodMonitor, SpiceDBProps
from ..props.backup import BackupProps
from ..props.datastores import Datastore, MySQL, Spanner
from .objects import Manifest, Objects
from .pods import METRICS

HANDLED, SECONDS = "grpc_server_handled_total", "grpc_server_handling_seconds"
_API = 'app_kubernetes_io_instance="$instance"$scope'
_CLIENTS = f'{_API},grpc_service=~"authzed[.]api[.].+"'
_CHECKS = f'{_CLIENTS},grpc_method="CheckPermission"'
_DISPATCH = f'{_API},grpc_service="dispatch.v1.DispatchService"'
SERVER_ERRORS = ("Unknown", "DeadlineExceeded", "ResourceExhausted", "Internal", "Unavailable", "DataLoss")
"""gRPC codes of errors of the servers, not of the clients."""
_FAILED = f'grpc_code=~"{"|".join(SERVER_ERRORS)}"'


@frozen
class Query:
    """A PromQL query about one release."""

    title: str
    unit: str
    """The unit, by its name in Grafana."""
    text: str

    def of(self, instance: str, scope: str = "") -> str:
        """The query for one release."""
        return self.text.replace("$instance", instance).replace("$scope", scope)


def _rate(metric: str, matchers: str, *by: str) -> str:
    return f"sum by ({', '.join(('namespace', *by))}) (rate({metric}{{{matchers}}}[5m]))"


def _latency(title: str, metric: str, matchers: str, *by: str) -> Query:
    buckets = _rate(f"{metric}_bucket", matchers, "le", *by)
    return Query(f"{title} (99th percentile)", "s", f"histogram_quantile(0.99, {buckets})")


def _errors(title: str, matchers: str) -> Query:
    """The ratio of failed requests. It is 0 without failures, although Prometheus then has no series for them."""
    requests, failed = _rate(HANDLED, matchers), _rate(HANDLED, f"{matchers},{_FAILED}")
    return Query(title, "percentunit", f"({failed} or 0 * {requests}) / {requests}")


def _in_use(by: str, used: str, maximum: str) -> Query:
    text = f"max by (namespace, {by}) ({used}{{{_API}}} / {maximum}{{{_API}}})"
    return Query("Datastore connections in use", "percentunit", text)


_HITS, _MISSES = (_rate(f"spicedb_cache_{result}_total", _API, "cache") for result in ("hits", "misses"))

REQUESTS = Query("Requests", "reqps", _rate(HANDLED, _CLIENTS, "grpc_method"))
FAILURES = Query("Failed requests by code", "reqps", _rate(HANDLED, f"{_CLIENTS},{_FAILED}", "grpc_code"))
ERROR_RATIO = _errors("Error ratio", _CLIENTS)
LATENCY = _latency("Latency", SECONDS, _CLIENTS, "grpc_method")
CHECK_LATENCY = _latency("Latency of permission checks", SECONDS, _CHECKS)
DISPATCHES = Query("Dispatched requests", "reqps", _rate(HANDLED, _DISPATCH, "grpc_method"))
DISPATCH_ERRORS = _errors("Error ratio of dispatched requests", _DISPATCH)
_ADDRESSES = f"min by (namespace, pod) (kuberesolver_addresses_total{{{_API}}})"
PEERS = Query("Servers known to each server", "short", _ADDRESSES)
CACHE_HITS = Query("Cache hit ratio", "percentunit", f"{_HITS} / ({_HITS} + {_MISSES})")
DATASTORE_LATENCY = _latency("Latency of datastore queries", "spicedb_datastore_query_latency", _API, "operation")
POSTGRES_POOL = _in_use("pool_usage", "pgxpool_acquired_conns", "pgxpool_max_conns")
MYSQL_POOL = _in_use("db_name", "go_sql_in_use_connections", "go_sql_max_open_connections")
GC_FAILURES = Query("Failed garbage collections", "short", _rate("spicedb_datastore_gc_failure_total", _API))
_PROCESSED = _rate("spicedb_memory_middleware_requests_processed_total", f'{_API},accepted="false"')
REJECTED = Query("Requests rejected because memory is low", "reqps", _PROCESSED)
MEMORY = Query("Memory", "bytes", f"max by (namespace, pod) (process_resident_memory_bytes{{{_API}}})")


def _connections(datastore: Datastore) -> Query | None:
    """The query for the connections in use. None for a datastore without a connection pool."""
    if isinstance(datastore, Spanner) or not datastore.migrates:
        return None
    return MYSQL_POOL if isinstance(datastore, MySQL) else POSTGRES_POOL


def monitoring_manifests(objects: Objects) -> Iterator[Manifest]:
    """The configured objects."""
    props, monitoring = objects.props, objects.props.monitoring
    if monitoring.pod_monitor:
        yield _pod_monitor(objects, monitoring.pod_monitor)
    if monitoring.alerts:
        spec = {"groups": [{"name": f"{props.name}.rules", "rules": list(_alerts(props, monitoring.alerts))}]}
        labels = monitoring.alerts.labels
        yield objects.make("monitoring.coreos.com/v1", "PrometheusRule", spec=spec, labels=labels)
    if monitoring.dashboard:
        name, data = f"{props.name}-dashboard", {f"{props.name}.json": _dashboard(props)}
        labels, annotations = monitoring.dashboard.labels, monitoring.dashboard.annotations
        yield objects.make("v1", "ConfigMap", data=data, name=name, labels=labels, annotations=annotations)


def _pod_monitor(objects: Objects, monitor: PodMonitor) -> Manifest:
    # Prometheus connects to the pods' IP addresses, which no certificate contains.
    tls = {"scheme": "https", "tlsConfig": {"insecureSkipVerify": True}} if objects.props.server.metrics_tls else {}
    interval = f"{round(monitor.interval.total_seconds())}s"
    spec = {
        "selector": {"matchLabels": objects.selector},
        "podTargetLabels": [INSTANCE],
        "podMetricsEndpoints": [{"port": METRICS, "interval": interval, **tls}],
    }
    return objects.make("monitoring.coreos.com/v1", "PodMonitor", spec=spec, labels=monitor.labels)


def _alerts(props: SpiceDBProps, settings: Alerts) -> Iterator[Manifest]:
    if props.migrates:
        yield from _migration(props)
    yield from _servers(props)
    yield from _requests(props, settings)
    yield from _datastore(props)
    if props.backup:
        yield _late(props, props.backup)


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
        f"{ERROR_RATIO.of(props.name)} > {settings.error_ratio:g}",
        minutes=5,
        summary=f"More than {percent} of the requests to SpiceDB fail, for 5 min.",
        description="The servers' log has the reason. Check the database first, then dispatch between servers.",
    )
    yield _warning(
        "SpiceDBSlow",
        f"{CHECK_LATENCY.of(props.name)} > {seconds:g}",
        minutes=10,
        summary=f"1 of 100 permission checks takes longer than {seconds:g} s, for 10 min.",
        description="Check the latency of the datastore, the cache hit ratio, and the CPU limit of the servers.",
    )
    yield _warning(
        "SpiceDBMemory",
        f"{REJECTED.of(props.name)} > 0",
        minutes=5,
        summary="SpiceDB rejects requests because its memory is nearly full, for 5 min.",
        description="Raise the memory limit of the servers, or run more servers.",
    )
    if props.dispatches:
        yield _warning(
            "SpiceDBDispatchErrors",
            f"{DISPATCH_ERRORS.of(props.name)} > {settings.error_ratio:g}",
            minutes=5,
            summary=f"More than {percent} of the requests between SpiceDB servers fail, for 5 min.",
            description="Servers connect to each other on port 50053. Check NetworkPolicies and certificates, and that "
            "all servers have the same first preshared key.",
        )


def _datastore(props: SpiceDBProps) -> Iterator[Manifest]:
    pool = _connections(props.datastore)
    if pool is None:
        return
    yield _warning(
        "SpiceDBPoolExhausted",
        f"{pool.of(props.name)} >= 0.95",
        minutes=5,
        summary="At least 95% of SpiceDB's connections to the datastore are in use, for 5 min.",
        description="Requests wait for a connection. Enlarge the pools if the database allows, or find slow queries.",
    )
    yield _warning(
        "SpiceDBGarbageCollectionFails",
        f"{GC_FAILURES.of(props.name)} > 0",
        minutes=60,
        summary="SpiceDB has failed to delete old revisions from the datastore for an hour.",
        description="The tables grow. Check the servers' log. To allow more time, raise gc_max_operation_time.",
    )


def _late(props: SpiceDBProps, backup: BackupProps) -> Manifest:
    name = object_name(props.name, Component.BACKUP)
    last, made = (
        f'max by (namespace, cronjob) ({metric}{{cronjob="{name}"}})'
        for metric in ("kube_cronjob_status_last_successful_time", "kube_cronjob_created")
    )
    # Until the first backup has succeeded, there is no time of the last one.
    return _warning(
        "SpiceDBBackupLate",
        f"time() - ({last} or {made}) > {backup.late_seconds}",
        minutes=5,
        summary=f"No backup of SpiceDB succeeded for {_time(backup.late_seconds)}.",
        description="Check the Jobs, their logs and events, and whether the volume is full: "
        f"kubectl describe cronjob {name}; kubectl get jobs; kubectl logs job/JOB --all-containers. To back up now: "
        f"kubectl create job backup-now --from=cronjob/{name}.",
    )


def _time(seconds: int) -> str:
    """A number of seconds in words."""
    return f"{seconds // 60} min" if seconds < 7200 else f"{round(seconds / 3600, 1):g} h"


_SOURCE = {"type": "prometheus", "uid": "$datasource"}


def _dashboard(props: SpiceDBProps) -> str:
    metric = f'{HANDLED}{{app_kubernetes_io_instance="{props.name}"}}'
    namespace = {
        "name": "namespace",
        "label": "Namespace",
        "type": "query",
        "datasource": _SOURCE,
        "query": f"label_values({metric}, namespace)",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }
    datasource = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    content = {
        "title": f"SpiceDB: {props.name}",
        "uid": f"spicedb-{props.name}"[:40],
        "tags": ["spicedb"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [datasource, namespace]},
        "panels": [_panel(number, query, props.name) for number, query in enumerate(_queries(props))],
    }
    return json.dumps(content, indent=1) + "\n"


def _queries(props: SpiceDBProps) -> Iterator[Query]:
    yield from (REQUESTS, LATENCY, ERROR_RATIO, FAILURES, CACHE_HITS)
    if props.datastore.migrates:
        yield DATASTORE_LATENCY
    pool = _connections(props.datastore)
    if pool:
        yield pool
    if props.dispatches:
        yield from (DISPATCHES, DISPATCH_ERRORS, PEERS)
    yield from (MEMORY, REJECTED)


def _panel(number: int, query: Query, instance: str) -> dict[str, Any]:
    row, column = divmod(number, 2)
    text = query.of(instance, ',namespace=~"$namespace"')
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": query.title,
        "datasource": _SOURCE,
        "gridPos": {"x": column * 12, "y": row * 8, "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": query.unit, "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "datasource": _SOURCE, "expr": text, "legendFormat": "__auto"}],
    }
