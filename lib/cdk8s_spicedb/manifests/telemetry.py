"""What servers tell others: traces, and the makers of SpiceDB."""

from __future__ import annotations

from ..props import SpiceDBProps
from ..props.flags import EnvVar, Setting


def silence(props: SpiceDBProps, *flags: str) -> dict[str, Setting]:
    """By flag, what keeps a program from calling anybody outside the cluster, as far as the release has such a flag."""
    settings: dict[str, Setting] = {"telemetry-endpoint": "", "skip-release-check": True}
    if props.server.telemetry_enabled:
        return {}
    return {flag: settings[flag] for flag in flags if props.releases.takes(flag, props.version)}


def telemetry_settings(props: SpiceDBProps) -> dict[str, Setting]:
    """By flag, what servers are told of it."""
    return {**silence(props, "telemetry-endpoint", "skip-release-check"), **_tracing(props)}


def telemetry_env(props: SpiceDBProps) -> tuple[EnvVar, ...]:
    """What traces need: SpiceDB stops when it cannot find its user's name, which the image may not know."""
    return (EnvVar("USER", "spicedb"),) if props.server.tracing and "USER" not in props.server.env else ()


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
