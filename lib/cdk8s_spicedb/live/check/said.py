"""What programs of SpiceDB and zed say in pods that run for a moment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from ...errors import SpiceDBError
from ...manifests.objects import Manifest
from ...manifests.trial import TRIAL
from ..apierror import ClusterError
from ..cluster import Cluster
from ..pods import container_of, ended, status_of, unscheduled, waiting
from ..poll import poll

SECONDS = 60
"""Time for such a pod. Most of it is for the node to pull the image."""
_LATE_LOG_SECONDS = 3
_REJECTED = re.compile(r"failed to load bootstrap \w+: (?:error when parsing config file \S+: )?(.*)", re.DOTALL)


class UnknownError(SpiceDBError):
    """It could not be found out."""


def rejection(cluster: Cluster, pod: Manifest, seen: Manifest | ClusterError | None) -> str | UnknownError | None:
    """Why the program in a trial's pod rejects a schema. None: it accepts it. `UnknownError`: it did not try."""
    if isinstance(seen, dict) and status_of(seen, TRIAL).get("ready"):
        return None
    try:
        end_of(seen, TRIAL)
    except UnknownError as error:
        return error
    log = log_of(cluster, pod, TRIAL, lambda text: _REJECTED.search(error_in(text)) is not None)
    rejected = _REJECTED.search(error_in(log))
    return rejected[1] if rejected else UnknownError(f"the program ended: {error_in(log) or 'without a reason'}")


def end_of(pod: Manifest | ClusterError | None, container: str) -> Manifest:
    """How the container of a pod ended. Raises `UnknownError` if it did not."""
    if isinstance(pod, ClusterError):
        raise UnknownError(f"Kubernetes refused to start a pod: {pod}")
    if pod is None:
        raise UnknownError("somebody deleted its pod")
    status = status_of(pod, container)
    end = ended(status)
    if end is None:
        waits = waiting(status) or unscheduled(pod)
        if waits is not None and waits.hopeless:
            raise UnknownError(f"its pod does not start: {waits}")
        reason = waits or pod.get("status", {}).get("message")
        raise UnknownError(f"its pod was not done within {SECONDS} s{f': {reason}' if reason else ''}")
    return end


def has_ended(pod: Manifest) -> bool:
    """Whether a pod has ended, or does not start."""
    status = status_of(pod, container_of(pod)["name"])
    waits = waiting(status)
    failed = pod.get("status", {}).get("phase") == "Failed"  # The node may refuse a pod before it starts anything.
    return failed or ended(status) is not None or (waits is not None and waits.hopeless)


def is_tried(pod: Manifest) -> bool:
    """Whether the server in a trial's pod is ready or has ended."""
    return bool(status_of(pod, TRIAL).get("ready")) or has_ended(pod)


def log_of(cluster: Cluster, pod: Manifest, container: str, whole: Callable[[str], bool]) -> str:
    """The log of a pod. The node may write its end a moment after the program has ended."""
    name = pod["metadata"]["name"]
    return poll(lambda: cluster.log(name, container), until=whole, seconds=_LATE_LOG_SECONDS, clock=cluster.clock)


def error_in(log: str) -> str:
    """The error in the last line of a log that has one. SpiceDB and zed write each line as JSON."""
    found: Sequence[str] = [error for line in log.splitlines() if (error := _error_of(line))]
    return found[-1] if found else ""


def _error_of(line: str) -> str:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    return str(entry.get("error") or "") if isinstance(entry, dict) else ""
