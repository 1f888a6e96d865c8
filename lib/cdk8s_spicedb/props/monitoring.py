"""How servers are watched: metrics, alerts, a dashboard, traces."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from attrs import field, frozen

from ..checks import Metadata, duration, flag, fraction, instance, one_of, optional, text
from ..labels import annotations_check, labels_check

_INTERVAL = duration(timedelta(seconds=1), timedelta(hours=1), "give a time such as timedelta(seconds=30)")


def _of(kind: type) -> Metadata:
    return optional(instance(kind, f"{kind.__name__}(…)", f"write {kind.__name__}()"))


@frozen(kw_only=True)
class PodMonitor:
    """A PodMonitor of the Prometheus operator (``monitoring.coreos.com/v1``), for the servers' metrics."""

    labels: Mapping[str, str] = field(factory=dict, metadata=labels_check())
    """The labels by which Prometheus finds it, such as ``{"release": "kube-prometheus-stack"}``. Default: none."""
    interval: timedelta = field(default=timedelta(seconds=30), metadata=_INTERVAL)
    """How often metrics are read. Default: 30 s."""


@frozen(kw_only=True)
class Alerts:
    """A PrometheusRule (``monitoring.coreos.com/v1``) with alerts that somebody has to do something about.

    Those of the migration and of the number of servers need kube-state-metrics. The others look at metrics with the
    label ``app_kubernetes_io_instance``, which the PodMonitor of this package gives them.
    """

    labels: Mapping[str, str] = field(factory=dict, metadata=labels_check())
    """The labels by which Prometheus finds it. Default: none."""
    error_ratio: float = field(default=0.01, metadata=fraction())
    """The part of requests that servers fail, for 5 min, of which there is an alert (0 to 1). Default: 0.01. What
    clients did wrong does not count."""
    latency: timedelta = field(
        default=timedelta(milliseconds=500),
        metadata=duration(timedelta(milliseconds=1), timedelta(minutes=1), "give a time such as timedelta(seconds=1)"),
    )
    """How long 99 of 100 permission checks may take, for 10 min, before there is an alert. Default: 0.5 s."""


@frozen(kw_only=True)
class Dashboard:
    """A Grafana dashboard in a ConfigMap, of the metrics that the alerts are about and a few more."""

    labels: Mapping[str, str] = field(default={"grafana_dashboard": "1"}, metadata=labels_check())
    """The labels by which Grafana's sidecar finds it. Default: ``{"grafana_dashboard": "1"}``, what it looks for."""
    annotations: Mapping[str, str] = field(factory=dict, metadata=annotations_check())
    """What the sidecar is told, such as the folder. Default: none."""


@frozen(kw_only=True)
class Monitoring:
    """Objects for Prometheus and Grafana; each is there when it is asked for."""

    pod_monitor: PodMonitor | None = field(default=None, metadata=_of(PodMonitor))
    """Has Prometheus read the servers' metrics. Default: none."""
    alerts: Alerts | None = field(default=None, metadata=_of(Alerts))
    """Alerts. Default: none."""
    dashboard: Dashboard | None = field(default=None, metadata=_of(Dashboard))
    """A dashboard. Default: none."""


@frozen(kw_only=True)
class Tracing:
    """Traces, by OpenTelemetry."""

    endpoint: str = field(
        metadata=text(r"[A-Za-z0-9][-.A-Za-z0-9]*(:\d{1,5})?", "HOST:PORT", "write it as 'collector.tracing:4317'")
    )
    """Where the collector listens (``--otel-endpoint``). Required."""
    provider: str = field(default="otlpgrpc", metadata=one_of("otlpgrpc", "otlphttp"))
    """How it is spoken to (``--otel-provider``). Default: ``otlpgrpc``."""
    sample_ratio: float = field(default=0.01, metadata=fraction())
    """The part of requests that is traced, 0 to 1 (``--otel-sample-ratio``). Default: 0.01, SpiceDB's own."""
    insecure: bool = field(default=False, metadata=flag())
    """Without TLS (``--otel-insecure``). Default: off."""
    service_name: str = field(default="spicedb", metadata=text(r"[-._A-Za-z0-9]+", "a name", "write 'spicedb'"))
    """What traces call the servers (``--otel-service-name``). Default: ``spicedb``, SpiceDB's own."""
    trace_propagator: str = field(default="w3c", metadata=one_of("w3c", "b3", "ottrace"))
    """In which form requests carry their trace (``--otel-trace-propagator``). Default: ``w3c``, SpiceDB's own."""


@frozen(kw_only=True, slots=False)
class Telemetry:
    """What servers tell others."""

    tracing: Tracing | None = field(
        default=None, metadata=optional(instance(Tracing, "Tracing(endpoint=…)", "write Tracing(endpoint='…:4317')"))
    )
    """Traces. Default: none."""
    telemetry_enabled: bool = field(default=False, metadata=flag())
    """Lets servers tell SpiceDB's makers how they are used, and ask GitHub whether there is a newer release
    (``--telemetry-endpoint``, ``--skip-release-check``). Default: off, unlike SpiceDB's own: servers call nobody
    outside the cluster unless somebody decides so."""
