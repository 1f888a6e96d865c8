"""What clients see of the servers, from the servers' own metrics."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from attrs import field, frozen
from prometheus_client.parser import text_string_to_metric_families

from ...manifests.alerts import HANDLED, SECONDS, SERVER_ERRORS
from ...props import ServerProps
from ...props.flags import flag_of
from ..apierror import ClusterError, reads
from ..cluster import Cluster
from ..instance import Running
from ..observe import observe
from ..pods import is_ready, restarts
from ..poll import parallel
from ..record import Figures

_CLIENTS = "authzed.api."
FEWEST_REQUESTS = 50
"""With fewer requests, an error ratio says nothing."""
FEWEST_FOR_LATENCY = 1000
"""With fewer requests, the 99th percentile is the latency of a few requests, and new servers have cold caches."""
MORE_ERRORS = 0.01
"""How much the error ratio may rise."""
SLOWER, SLOWER_SECONDS = 4, 0.25
"""How much the 99th percentile may rise: to this multiple, and in any case by this many seconds."""


@frozen
class Counts:
    """Counters of one server."""

    requests: float = 0
    errors: float = 0
    buckets: Mapping[float, float] = field(factory=dict)
    """Number of requests of at most that many seconds."""

    def since(self, earlier: Counts) -> Counts:
        """What happened since an earlier moment. A counter that went down began again: the server has restarted."""
        if self.requests < earlier.requests or self.errors < earlier.errors:
            return self
        buckets = {limit: count - earlier.buckets.get(limit, 0) for limit, count in self.buckets.items()}
        return Counts(self.requests - earlier.requests, self.errors - earlier.errors, buckets)

    def plus(self, other: Counts) -> Counts:
        """The counters of two servers together."""
        limits = {*self.buckets, *other.buckets}
        buckets = {limit: self.buckets.get(limit, 0) + other.buckets.get(limit, 0) for limit in limits}
        return Counts(self.requests + other.requests, self.errors + other.errors, buckets)

    def figures(self) -> Figures:
        """The error ratio and the latency."""
        ratio = self.errors / self.requests if self.requests else 0.0
        return Figures(requests=int(self.requests), error_ratio=ratio, p99_seconds=self._percentile(0.99))

    def _percentile(self, share: float) -> float | None:
        total = max(self.buckets.values(), default=0)
        if total < FEWEST_REQUESTS:
            return None
        lower, below = 0.0, 0.0
        for limit, count in sorted(self.buckets.items()):
            if count >= share * total:
                # Between the limits of a bucket, as Prometheus' histogram_quantile does.
                part = (share * total - below) / (count - below) if count > below else 1
                return lower if limit == float("inf") else lower + (limit - lower) * part
            lower, below = limit, count
        return lower


@frozen
class Sample:
    """The servers at one moment, by pod."""

    counts: Mapping[str, Counts]
    """The counters of the ready servers."""
    restarts: Mapping[str, int]
    """How often each server was restarted."""


def sample(cluster: Cluster, running: Running) -> Sample:
    """The counters of all ready servers, asked side by side. Raises `ClusterError` if they cannot be read."""
    if running.arguments.get(flag_of(ServerProps, "metrics_enabled")) == "false":
        raise ClusterError("the servers have no metrics: metrics_enabled is off")
    host, _, port = running.arguments.get(flag_of(ServerProps, "metrics_port"), "").rpartition(":")
    if host:
        raise ClusterError(f"the servers serve metrics only at {host}, in their own pods")
    number = int(port) if port.isdigit() else ServerProps().metrics_port
    tls = flag_of(ServerProps, "metrics_tls.certificate") in running.arguments
    seen = observe(cluster, running.name)
    seen.need("pods")
    pods = [pod["metadata"]["name"] for pod in seen.servers if is_ready(pod)]
    found = parallel(lambda pod: counts(cluster.ask_pod(pod, number, "metrics", tls=tls)), pods)
    return Sample(
        counts=dict(zip(pods, found, strict=True)),
        restarts={pod["metadata"]["name"]: restarts(pod) for pod in seen.servers},
    )


@reads("the metrics of a server")
def counts(text: str) -> Counts:
    """The counters in the metrics of a server."""
    requests = errors = 0.0
    buckets: dict[float, float] = {}
    relevant = "\n".join(line for line in text.splitlines() if line.startswith((HANDLED, SECONDS))) + "\n"
    for family in text_string_to_metric_families(relevant):
        for each in family.samples:
            if not each.labels.get("grpc_service", "").startswith(_CLIENTS):
                continue
            if not isfinite(each.value) or each.value < 0:
                raise ValueError(f"{each.name} is {each.value}")
            if each.name == HANDLED:
                requests += each.value
                errors += each.value if each.labels["grpc_code"] in SERVER_ERRORS else 0
            elif each.name == f"{SECONDS}_bucket" and each.labels.get("grpc_type") == "unary":
                limit = float(each.labels["le"])
                buckets[limit] = buckets.get(limit, 0) + each.value
    return Counts(requests, errors, buckets)


def between(first: Sample, last: Sample) -> Figures:
    """What clients saw between two samples. A server that is only in the last one started in between."""
    total = Counts()
    for pod, later in last.counts.items():
        total = total.plus(later.since(first.counts.get(pod, Counts())))
    return total.figures()


def restarted(first: Sample, last: Sample) -> str | None:
    """The first server that was restarted between two samples. None: there is none."""
    return next((pod for pod, number in last.restarts.items() if number > first.restarts.get(pod, 0)), None)


def worse(before: Figures | None, after: Figures) -> str | None:
    """How the servers are worse than before. None: they are not, or there were too few requests to say."""
    if after.requests < FEWEST_REQUESTS:
        return None
    allowed = (before.error_ratio if before else 0) + MORE_ERRORS
    if after.error_ratio > allowed:
        earlier = f", {before.error_ratio:.1%} before" if before else ""
        return f"{after.error_ratio:.1%} of {after.requests} requests failed{earlier}"
    if before and before.p99_seconds and after.p99_seconds and after.requests >= FEWEST_FOR_LATENCY:
        limit = max(SLOWER * before.p99_seconds, before.p99_seconds + SLOWER_SECONDS)
        if after.p99_seconds > limit:
            return (
                f"the 99th percentile of the latency is {after.p99_seconds * 1000:.0f} ms, "
                f"{before.p99_seconds * 1000:.0f} ms before"
            )
    return None
