"""The queries of the alerts and the dashboard.

``$instance`` stands for the release's name. ``$scope`` stands for more matchers: the dashboard's namespaces.
"""

from __future__ import annotations

from attrs import frozen

from ..props.datastores import Datastore, MySQL, Spanner

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
PEERS = Query(
    "Servers known to each server", "short", f"min by (namespace, pod) (kuberesolver_addresses_total{{{_API}}})"
)
CACHE_HITS = Query("Cache hit ratio", "percentunit", f"{_HITS} / ({_HITS} + {_MISSES})")
DATASTORE_LATENCY = _latency("Latency of datastore queries", "spicedb_datastore_query_latency", _API, "operation")
POSTGRES_POOL = _in_use("pool_usage", "pgxpool_acquired_conns", "pgxpool_max_conns")
MYSQL_POOL = _in_use("db_name", "go_sql_in_use_connections", "go_sql_max_open_connections")
GC_FAILURES = Query("Failed garbage collections", "short", _rate("spicedb_datastore_gc_failure_total", _API))
REJECTED = Query(
    "Requests rejected because memory is low",
    "reqps",
    _rate("spicedb_memory_middleware_requests_processed_total", f'{_API},accepted="false"'),
)
MEMORY = Query("Memory", "bytes", f"max by (namespace, pod) (process_resident_memory_bytes{{{_API}}})")


def connections(datastore: Datastore) -> Query | None:
    """The query for the connections in use. None for a datastore without a connection pool."""
    if isinstance(datastore, Spanner) or not datastore.migrates:
        return None
    return MYSQL_POOL if isinstance(datastore, MySQL) else POSTGRES_POOL
