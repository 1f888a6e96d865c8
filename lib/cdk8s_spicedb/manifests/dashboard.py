"""The Grafana dashboard."""

from __future__ import annotations

import json
from typing import Any

from ..props import SpiceDBProps
from ..props.datastores import MySQL, Spanner
from .metrics import (
    CACHE_HITS,
    DATASTORE_LATENCY,
    DISPATCH_ERRORS,
    DISPATCHES,
    ERROR_RATIO,
    FAILURES,
    LATENCY,
    MEMORY,
    MYSQL_POOL,
    PEERS,
    POSTGRES_POOL,
    REJECTED,
    REQUESTS,
    Query,
)

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_SCOPE = ',namespace=~"$namespace"'
_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 2


def dashboard(props: SpiceDBProps) -> str:
    """The dashboard of a release, as JSON."""
    panels = [_panel(number, query, props.name) for number, query in enumerate(_queries(props))]
    found = {
        "title": f"SpiceDB: {props.name}",
        "uid": f"spicedb-{props.name}"[:40],
        "tags": ["spicedb"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_datasource(), _namespace(props.name)]},
        "panels": panels,
    }
    return json.dumps(found, indent=1) + "\n"


def _queries(props: SpiceDBProps) -> list[Query]:
    pools = {MySQL: [MYSQL_POOL], Spanner: []}.get(type(props.datastore), [POSTGRES_POOL])
    dispatch = [DISPATCHES, DISPATCH_ERRORS, PEERS] if props.dispatches else []
    datastore = [DATASTORE_LATENCY, *pools] if props.datastore.migrates else []
    return [REQUESTS, LATENCY, ERROR_RATIO, FAILURES, CACHE_HITS, *datastore, *dispatch, MEMORY, REJECTED]


def _panel(number: int, query: Query, instance: str) -> dict[str, Any]:
    row, column = divmod(number, _COLUMNS)
    target = {"refId": "A", "datasource": _SOURCE, "expr": query.of(instance, _SCOPE), "legendFormat": "__auto"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": query.title,
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": query.unit, "min": 0}, "overrides": []},
        "targets": [target],
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _namespace(instance: str) -> dict[str, Any]:
    metric = f'grpc_server_handled_total{{app_kubernetes_io_instance="{instance}"}}'
    return {
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
