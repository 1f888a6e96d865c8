"""What servers tell others: traces, and the makers of SpiceDB."""

from __future__ import annotations

from ..env import Setting
from ..props import SpiceDBProps


def telemetry_settings(props: SpiceDBProps) -> dict[str, Setting]:
    """By flag, what servers are told of it."""
    silent: dict[str, Setting] = {"telemetry-endpoint": "", "skip-release-check": True}
    known = {flag: value for flag, value in silent.items() if props.releases.takes(flag, props.version)}
    return {**({} if props.server.telemetry_enabled else known), **_tracing(props)}


def _tracing(props: SpiceDBProps) -> dict[str, Setting]:
    tracing = props.server.tracing
    if tracing is None:
        return {}
    return {
        "otel-provider": tracing.provider,
        "otel-endpoint": tracing.endpoint,
        "otel-sample-ratio": tracing.sample_ratio,
        "otel-insecure": tracing.insecure or None,
        "otel-service-name": tracing.service_name,
        "otel-trace-propagator": tracing.trace_propagator,
    }
