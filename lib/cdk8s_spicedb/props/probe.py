"""When Kubernetes asks a server how it is."""

from __future__ import annotations

from attrs import field, frozen

from ..checks import instance, optional, whole_number


@frozen(kw_only=True)
class Probe:
    """When Kubernetes asks, and how patient it is. What it asks is not for choice: a wrong question kills servers."""

    initial_delay_seconds: int | None = field(default=None, metadata=optional(whole_number(0, 3600, unit="seconds")))
    """How long after the start it asks first, in seconds (``initialDelaySeconds``). Default: Kubernetes' own, 0."""
    period_seconds: int | None = field(default=None, metadata=optional(whole_number(1, 3600, unit="seconds")))
    """How often it asks, in seconds (``periodSeconds``). Default: Kubernetes' own, 10."""
    timeout_seconds: int | None = field(default=None, metadata=optional(whole_number(1, 3600, unit="seconds")))
    """How long an answer may take, in seconds (``timeoutSeconds``). Default: Kubernetes' own, 1."""
    failure_threshold: int | None = field(default=None, metadata=optional(whole_number(1, 1000)))
    """How many bad answers in a row count (``failureThreshold``). Default: Kubernetes' own, 3."""

    def manifest(self) -> dict[str, int]:
        """What is said, as fields of a container's probe."""
        fields = {
            "initialDelaySeconds": self.initial_delay_seconds,
            "periodSeconds": self.period_seconds,
            "timeoutSeconds": self.timeout_seconds,
            "failureThreshold": self.failure_threshold,
        }
        return {name: value for name, value in fields.items() if value is not None}


_PROBE = instance(Probe, "Probe(…)", "write Probe(period_seconds=5)")


@frozen(kw_only=True, slots=False)
class Probes:
    """The probes of servers."""

    readiness_probe: Probe = field(default=Probe(period_seconds=2, timeout_seconds=2), metadata=_PROBE)
    """When a server is asked whether it serves; one that does not is sent no requests. Default: every 2 s, so that
    roll-outs are quick."""
    liveness_probe: Probe = field(default=Probe(initial_delay_seconds=30, failure_threshold=6), metadata=_PROBE)
    """When a server is asked whether it listens at all; one that does not is started anew. Default: every 10 s from
    30 s on, and six bad answers count."""
    startup_probe: Probe | None = field(default=None, metadata=optional(_PROBE))
    """When a server that starts is asked whether it listens, before the other probes begin. Default: never; the initial
    delay of the liveness probe is enough, as SpiceDB listens within seconds."""
