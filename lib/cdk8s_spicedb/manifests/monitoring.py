"""Objects for Prometheus and Grafana."""

from __future__ import annotations

from collections.abc import Iterator

from ..labels import INSTANCE
from ..props import Alerts, Dashboard, PodMonitor
from .objects import Manifest, Objects
from .pods import METRICS


def monitoring_manifests(objects: Objects) -> Iterator[Manifest]:
    """The configured objects."""
    monitoring = objects.props.monitoring
    if monitoring.pod_monitor:
        yield _pod_monitor(objects, monitoring.pod_monitor)
    if monitoring.alerts:
        yield _rule(objects, monitoring.alerts)
    if monitoring.dashboard:
        yield _dashboard(objects, monitoring.dashboard)


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


def _rule(objects: Objects, settings: Alerts) -> Manifest:
    from .alerts import alerts  # Imported only if they are configured, as the dashboard is: imports take time.

    group = {"name": f"{objects.name}.rules", "rules": list(alerts(objects.props, settings))}
    return objects.make("monitoring.coreos.com/v1", "PrometheusRule", spec={"groups": [group]}, labels=settings.labels)


def _dashboard(objects: Objects, settings: Dashboard) -> Manifest:
    from .alerts import dashboard

    name, data = f"{objects.name}-dashboard", {f"{objects.name}.json": dashboard(objects.props)}
    return objects.make(
        "v1", "ConfigMap", data=data, name=name, labels=settings.labels, annotations=settings.annotations
    )
