"""When Kubernetes probes a server."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Interval, Unit
from attrs import frozen

from .annotations import manifest_of
from .types import Count

_Seconds = Annotated[int, Unit("seconds"), Interval(ge=1, le=3600)]


@frozen(kw_only=True)
class Probe:
    """Timing of a probe. You cannot change what the probe checks, because a wrong check stops healthy servers."""

    initial_delay_seconds: Annotated[int, Unit("seconds"), Interval(ge=0, le=3600)] | None = None
    """Delay before the first probe, in seconds (``initialDelaySeconds``). Defaults to 0, as in Kubernetes."""
    period_seconds: _Seconds | None = None
    """Time between probes, in seconds (``periodSeconds``). Defaults to 10, as in Kubernetes."""
    timeout_seconds: _Seconds | None = None
    """Maximum time for an answer, in seconds (``timeoutSeconds``). Defaults to 1, as in Kubernetes."""
    failure_threshold: Count | None = None
    """Number of failures in a row after which the probe has failed (``failureThreshold``). Defaults to 3, as in
    Kubernetes."""

    def manifest(self) -> dict[str, Any]:
        """The fields of a container's probe that are set."""
        return manifest_of(self)
