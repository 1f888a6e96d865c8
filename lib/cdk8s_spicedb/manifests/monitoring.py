"""Objects for Prometheus and Grafana."""

from __future__ import annotations

from ..labels import INSTANCE, Component, selector_labels
from ..props import Alerts, Dashboard, PodMonitor, SpiceDBProps
from .metadata import Objects
from .ports import METRICS
from .template import Manifest, omit_empty


def monitoring_manifests(props: SpiceDBProps, objects: Objects) -> list[Manifest]:
    """What is asked for."""
    monitoring = props.monitoring
    return [
        *([_pod_monitor(props, objects, monitoring.pod_monitor)] if monitoring.pod_monitor else []),
        *([_rule(props, objects, monitoring.alerts)] if monitoring.alerts else []),
        *([_dashboard(props, objects, monitoring.dashboard)] if monitoring.dashboard else []),
    ]


def _pod_monitor(props: SpiceDBProps, objects: Objects, monitor: PodMonitor) -> Manifest:
    # Prometheus comes by the pods' addresses, which no certificate holds.
    tls = {"scheme": "https", "tlsConfig": {"insecureSkipVerify": True}} if props.server.metrics_tls else {}
    interval = f"{round(monitor.interval.total_seconds())}s"
    spec = {
        "selector": {"matchLabels": selector_labels(props.name, Component.SERVER)},
        "podTargetLabels": [INSTANCE],
        "podMetricsEndpoints": [{"port": METRICS, "interval": interval, **tls}],
    }
    return objects.make("PodMonitor", {"spec": spec}, labels=monitor.labels)


def _rule(props: SpiceDBProps, objects: Objects, rule: Alerts) -> Manifest:
    from .alerts import alerts  # which nobody waits for who does not ask for them, as for the dashboard

    group = {"name": f"{props.name}.rules", "rules": [alert.manifest() for alert in alerts(props, rule)]}
    return objects.make("PrometheusRule", {"spec": {"groups": [group]}}, labels=rule.labels)


def _dashboard(props: SpiceDBProps, objects: Objects, asked: Dashboard) -> Manifest:
    from .dashboard import dashboard

    name = f"{objects.name}-dashboard"
    data = {"data": omit_empty({f"{props.name}.json": dashboard(props)})}
    return objects.make("ConfigMap", data, name=name, labels=asked.labels, annotations=asked.annotations)
