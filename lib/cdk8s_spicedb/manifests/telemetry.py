"""What servers send: traces, and telemetry for the SpiceDB maintainers."""

from __future__ import annotations

from ..props import SpiceDBProps
from ..props.flags import EnvVar, Setting


def offline_settings(props: SpiceDBProps, *flags: str) -> dict[str, Setting]:
    """Values, by flag, that keep a program from calling services outside the cluster.

    Only for flags that the release has. Empty if telemetry is enabled.
    """
    settings: dict[str, Setting] = {"telemetry-endpoint": "", "skip-release-check": True}
    if props.server.telemetry_enabled:
        return {}
    return {flag: settings[flag] for flag in flags if props.releases.takes(flag, props.version)}


def telemetry_settings(props: SpiceDBProps) -> dict[str, Setting]:
    """Telemetry and tracing settings of the servers, by flag."""
    settings, tracing = offline_settings(props, "telemetry-endpoint", "skip-release-check"), props.server.tracing
    if tracing is None:
        return settings
    return {
        **settings,
        "otel-provider": tracing.provider,
        "otel-endpoint": tracing.endpoint,
        "otel-sample-ratio": tracing.sample_ratio,
        "otel-insecure": tracing.insecure or None,
        "otel-service-name": tracing.service_name,
        "otel-trace-propagator": tracing.trace_propagator,
    }


def telemetry_env(props: SpiceDBProps) -> list[EnvVar]:
    """A user name for servers that send traces. Without one, SpiceDB stops, and an image may not define it."""
    return [EnvVar("USER", "spicedb")] if props.server.tracing and "USER" not in props.server.env else []
