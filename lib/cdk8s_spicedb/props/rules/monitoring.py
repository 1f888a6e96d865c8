"""What Prometheus can scrape."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..annotations import rule
from ..monitoring import Monitoring
from ..server import ServerProps
from ..spicedb import SpiceDBProps


@rule(SpiceDBProps)
def pod_monitor_needs_metrics(server: ServerProps, monitoring: Monitoring) -> Iterator[Problem]:
    if monitoring.pod_monitor and not server.metrics_enabled:
        allowed, fix = "None with server.metrics_enabled=False", "remove it, or use metrics_enabled=True"
        yield Problem("monitoring.pod_monitor", "(set)", allowed, fix)
