"""The Grafana dashboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..props import SpiceDBProps
from . import metrics
from .metrics import Query

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_SCOPE = ',namespace=~"$namespace"'
_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 2


def dashboard(props: SpiceDBProps) -> str:
    """The dashboard of a release, as JSON."""
    metric = f'grpc_server_handled_total{{app_kubernetes_io_instance="{props.name}"}}'
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
    yield from (metrics.REQUESTS, metrics.LATENCY, metrics.ERROR_RATIO, metrics.FAILURES, metrics.CACHE_HITS)
    if props.datastore.migrates:
        yield metrics.DATASTORE_LATENCY
    connections = metrics.connections(props.datastore)
    if connections:
        yield connections
    if props.dispatches:
        yield from (metrics.DISPATCHES, metrics.DISPATCH_ERRORS, metrics.PEERS)
    yield from (metrics.MEMORY, metrics.REJECTED)


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
