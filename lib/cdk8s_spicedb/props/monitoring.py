"""How servers are monitored: metrics, alerts, a dashboard, traces."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from annotated_types import Interval
from attrs import field, frozen

from .fields import Message, Pattern
from .flags import Flag
from .types import Annotations, Fraction, Hour, Labels

_Endpoint = Annotated[
    str,
    Pattern(r"[A-Za-z0-9][-.A-Za-z0-9]*(:\d{1,5})?", "HOST:PORT"),
    Message(fix="use an address such as 'collector.tracing:4317'"),
]
_Name = Annotated[str, Pattern(r"[-._A-Za-z0-9]+", "a name", "use a name such as 'spicedb'")]


@frozen(kw_only=True)
class PodMonitor:
    """A PodMonitor of the Prometheus operator (``monitoring.coreos.com/v1``), for the servers' metrics."""

    labels: Labels = field(factory=dict)
    """Labels by which Prometheus finds it, such as ``{"release": "kube-prometheus-stack"}``. Defaults to none."""
    interval: Hour = timedelta(seconds=30)
    """Time between two scrapes. Defaults to 30 s."""


@frozen(kw_only=True)
class Alerts:
    """A PrometheusRule (``monitoring.coreos.com/v1``) with alerts that need action.

    The alerts about the migration, the number of servers and late backups need kube-state-metrics. The others use
    metrics with the label ``app_kubernetes_io_instance``, which the PodMonitor of this package adds.
    """

    labels: Labels = field(factory=dict)
    """Labels by which Prometheus finds it. Defaults to none."""
    error_ratio: Fraction = 0.01
    """Part of the requests that may fail, 0 to 1. An alert fires if more of them fail for 5 min. Errors that clients
    cause do not count. Defaults to 0.01."""
    latency: Annotated[timedelta, Interval(ge=timedelta(milliseconds=1), le=timedelta(minutes=1))] = timedelta(
        milliseconds=500
    )
    """Time that permission checks may take (99th percentile). An alert fires if they take longer for 10 min. Defaults
    to 0.5 s."""


@frozen(kw_only=True)
class Dashboard:
    """A Grafana dashboard in a ConfigMap, with the metrics of the alerts and a few more."""

    labels: Labels = field(factory=lambda: {"grafana_dashboard": "1"})
    """Labels by which Grafana's sidecar finds it. Defaults to ``{"grafana_dashboard": "1"}``, which is also the
    sidecar's default."""
    annotations: Annotations = field(factory=dict)
    """Annotations for the sidecar, such as the folder. Defaults to none."""


@frozen(kw_only=True)
class Monitoring:
    """Objects for Prometheus and Grafana."""

    pod_monitor: PodMonitor | None = None
    """Makes Prometheus scrape the servers' metrics. Defaults to none."""
    alerts: Alerts | None = None
    """Alerts of Prometheus. Defaults to none."""
    dashboard: Dashboard | None = None
    """Dashboard of Grafana. Defaults to none."""


@frozen(kw_only=True)
class Tracing:
    """Traces by OpenTelemetry."""

    provider: Annotated[Literal["otlpgrpc", "otlphttp"], Flag("…-provider")] = "otlpgrpc"
    """Protocol of the collector (``--otel-provider``). Defaults to ``otlpgrpc``."""
    endpoint: Annotated[_Endpoint, Flag("…-endpoint")]
    """Address of the collector (``--otel-endpoint``). Required."""
    sample_ratio: Annotated[Fraction, Flag("…-sample-ratio")] = 0.01
    """Part of the requests that is traced, 0 to 1 (``--otel-sample-ratio``). Defaults to 0.01, as in SpiceDB."""
    insecure: Annotated[bool, Flag("…-insecure")] = False
    """Connects without TLS (``--otel-insecure``). Defaults to off."""
    service_name: Annotated[_Name, Flag("…-service-name")] = "spicedb"
    """Name of the servers in traces (``--otel-service-name``, and the variable ``OTEL_SERVICE_NAME``, because SpiceDB
    1.57 and later take ``service.name`` only from there). Defaults to ``spicedb``, as in SpiceDB."""
    trace_propagator: Annotated[Literal["w3c", "b3", "ottrace"], Flag("…-trace-propagator")] = "w3c"
    """Format in which requests carry their trace (``--otel-trace-propagator``). Defaults to ``w3c``, as in SpiceDB."""
