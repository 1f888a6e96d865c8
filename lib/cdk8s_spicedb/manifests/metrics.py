"""What is worth looking at: the one list of queries that alerts and dashboard are made of.

``$instance`` stands for the release's name; on the dashboard ``$scope`` narrows a query to the namespace looked at.
"""

from __future__ import annotations

from attrs import frozen

_API = 'app_kubernetes_io_instance="$instance"$scope'
_CLIENTS = f'{_API},grpc_service=~"authzed[.]api[.].+"'
_DISPATCH = f'{_API},grpc_service="dispatch.v1.DispatchService"'
# What servers, and not clients, did wrong.
_FAILED = 'grpc_code=~"Unknown|DeadlineExceeded|ResourceExhausted|Internal|Unavailable|DataLoss"'


@frozen
class Query:
    """Something that Prometheus can be asked of a release."""

    title: str
    unit: str
    """In Grafana's words."""
    text: str

    def of(self, instance: str, scope: str = "") -> str:
        """In PromQL."""
        return self.text.replace("$instance", instance).replace("$scope", scope)


def _rate(metric: str, matchers: str, *by: str) -> str:
    return f"sum by ({', '.join(('namespace', *by))}) (rate({metric}{{{matchers}}}[5m]))"


def _quantile(metric: str, matchers: str, *by: str) -> str:
    return f"histogram_quantile(0.99, {_rate(f'{metric}_bucket', matchers, 'le', *by)})"


def _failed_part(matchers: str) -> str:
    """Without a failure there is no such series; nothing is then a part of none, not unknown."""
    whole, failed = (_rate("grpc_server_handled_total", each) for each in (matchers, f"{matchers},{_FAILED}"))
    return f"({failed} or 0 * {whole}) / {whole}"


REQUESTS = Query("Requests", "reqps", _rate("grpc_server_handled_total", _CLIENTS, "grpc_method"))
FAILURES = Query("Failures, by code", "reqps", _rate("grpc_server_handled_total", f"{_CLIENTS},{_FAILED}", "grpc_code"))
ERROR_RATIO = Query("Failed requests", "percentunit", _failed_part(_CLIENTS))
LATENCY = Query("Latency, 99 of 100 requests", "s", _quantile("grpc_server_handling_seconds", _CLIENTS, "grpc_method"))
CHECK_LATENCY = Query(
    "Latency, 99 of 100 permission checks",
    "s",
    _quantile("grpc_server_handling_seconds", f'{_CLIENTS},grpc_method="CheckPermission"'),
)
DISPATCHES = Query("Dispatched requests", "reqps", _rate("grpc_server_handled_total", _DISPATCH, "grpc_method"))
DISPATCH_ERRORS = Query("Failed dispatched requests", "percentunit", _failed_part(_DISPATCH))
PEERS = Query("Servers that servers see", "short", f"min by (namespace, pod) (kuberesolver_addresses_total{{{_API}}})")
CACHE_HITS = Query(
    "Cache hits",
    "percentunit",
    f"{_rate('spicedb_cache_hits_total', _API, 'cache')} / "
    f"({_rate('spicedb_cache_hits_total', _API, 'cache')} + {_rate('spicedb_cache_misses_total', _API, 'cache')})",
)
DATASTORE_LATENCY = Query(
    "Datastore latency, 99 of 100 queries", "s", _quantile("spicedb_datastore_query_latency", _API, "operation")
)
POSTGRES_POOL = Query(
    "Connections in use",
    "percentunit",
    f"max by (namespace, pool_usage) (pgxpool_acquired_conns{{{_API}}} / pgxpool_max_conns{{{_API}}})",
)
MYSQL_POOL = Query(
    "Connections in use",
    "percentunit",
    f"max by (namespace, db_name) (go_sql_in_use_connections{{{_API}}} / go_sql_max_open_connections{{{_API}}})",
)
GC_FAILURES = Query("Removals of old revisions that failed", "short", _rate("spicedb_datastore_gc_failure_total", _API))
REJECTED = Query(
    "Requests turned away for want of memory",
    "reqps",
    _rate("spicedb_memory_middleware_requests_processed_total", f'{_API},accepted="false"'),
)
MEMORY = Query("Memory", "bytes", f"max by (namespace, pod) (process_resident_memory_bytes{{{_API}}})")
