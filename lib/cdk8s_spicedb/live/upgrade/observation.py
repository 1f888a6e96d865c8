"""Observes the servers after a step: what clients see of them, and whether they restart."""

from __future__ import annotations

from attrs import evolve

from ..apierror import ClusterError, Unreachable
from ..cluster import Cluster
from ..instance import Running
from ..poll import Deadline
from ..record import Figures
from .deliver import Notify, StepError
from .metrics import Sample, between, restarted, sample, worse

_SAMPLE_SECONDS = 2
_ENOUGH_REQUESTS = 200


def try_sample(cluster: Cluster, running: Running) -> Sample | ClusterError:
    """The counters of the servers, or why they cannot be read."""
    try:
        return sample(cluster, running)
    except ClusterError as error:
        return error


def figures_before(cluster: Cluster, running: Running, first: Sample | ClusterError) -> Figures | None:
    """What clients saw lately or, if there were few requests, since the servers started."""
    last = first if isinstance(first, ClusterError) else try_sample(cluster, running)
    if isinstance(first, ClusterError) or isinstance(last, ClusterError):
        return None
    lately = between(first, last)
    return lately if lately.requests >= _ENOUGH_REQUESTS else between(Sample({}, {}), last)


def observe_servers(cluster: Cluster, running: Running, seconds: int, before: Figures | None, notify: Notify) -> None:
    """Observes the servers for so many seconds. Raises `StepError` if they are worse than before: if more requests
    fail, if they are slower, if one restarts, or if most of them stop to answer."""
    first, deadline = try_sample(cluster, running), Deadline.after(cluster.clock, seconds)
    if isinstance(first, ClusterError):
        notify(f"the servers' metrics cannot be read, so they are not observed: {first}")
        return
    figures, answers, missing = between(first, first), 0, list[ClusterError]()
    while deadline.left:
        cluster.clock.sleep(min(_SAMPLE_SECONDS, deadline.left))
        last = try_sample(cluster, running)
        if isinstance(last, ClusterError):
            missing.append(last)
            notify(f"the servers' metrics cannot be read: {last}", round(deadline.left))
            continue
        pod, answers, figures = restarted(first, last), answers + 1, between(first, last)
        if pod is not None:
            raise StepError(f"the servers are worse than before: the server {pod} has restarted")
        notify(_figures(figures, before), round(deadline.left))
        errors = evolve(figures, p99_seconds=None)
        if figures.requests >= _ENOUGH_REQUESTS and worse(before, errors):
            break
    # While the API server itself is away, nothing is known about the servers.
    silent = [error for error in missing if not isinstance(error, Unreachable)]
    if len(silent) > answers:
        times = f"{len(silent)} of {len(silent) + answers} times"
        raise StepError(f"the servers are worse than before: {times}, their metrics could not be read: {silent[-1]}")
    reason = worse(before, figures)
    if reason is not None:
        raise StepError(f"the servers are worse than before: {reason}")


def _figures(now: Figures, before: Figures | None) -> str:
    text = f"{now.requests} requests, {now.error_ratio:.2%} failed"
    if now.p99_seconds is None:
        return text
    earlier = f" ({before.p99_seconds * 1000:.0f} ms before)" if before and before.p99_seconds else ""
    return f"{text}, 99th percentile {now.p99_seconds * 1000:.0f} ms{earlier}"
