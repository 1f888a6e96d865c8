"""Pods and Jobs that run for a moment: created, waited for, read, and deleted whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from ..manifests.objects import Manifest
from .cluster import JOB, POD, Cluster, ClusterError, Kind, Unreachable, items_of
from .poll import parallel, poll

_EVERY_SECONDS = 0.3
_LOG_LINES = 100_000
_IMAGE_FAILS = ("Image", "Registry", "Signature")
_HOPELESS = ("CreateContainerConfigError",)


@contextmanager
def deleted_at_the_end(cluster: Cluster, manifests: Sequence[Manifest]) -> Iterator[None]:
    """Deletes objects in the end, also those that are not there yet. What the cluster keeps hides no result."""

    def delete(manifest: Manifest) -> None:
        with suppress(ClusterError):
            cluster.delete(Kind.of(manifest), manifest["metadata"]["name"])

    try:
        yield
    finally:
        parallel(delete, manifests)


@contextmanager
def run_pods(
    cluster: Cluster, pods: Sequence[Manifest], *, done: Callable[[Manifest], bool], seconds: float
) -> Iterator[list[Manifest | ClusterError | None]]:
    """Starts pods, waits until each one is done, at most for so many seconds, and deletes them in the end.

    Yields each pod as it was seen last, in their order: None if somebody deleted it, and the error if the cluster
    refused it. Raises `Unreachable` if the cluster does not answer.
    """
    with deleted_at_the_end(cluster, pods):
        seen = parallel(lambda pod: _create(cluster, pod), pods)
        names = [pod["metadata"]["name"] for pod in pods]

        def is_open(pod: Manifest | ClusterError | None) -> bool:
            return isinstance(pod, dict) and not done(pod)

        def observe() -> bool:
            waits = [number for number, pod in enumerate(seen) if is_open(pod)]
            for number, pod in zip(waits, parallel(lambda each: cluster.get(POD, names[each]), waits), strict=True):
                seen[number] = pod
            return not any(map(is_open, seen))

        poll(observe, until=bool, seconds=seconds, clock=cluster.clock, every=_EVERY_SECONDS)
        yield seen


def _create(cluster: Cluster, pod: Manifest) -> Manifest | ClusterError | None:
    try:
        return cluster.create(pod)
    except Unreachable:
        raise
    except ClusterError as error:
        return error


def container_of(pod: Manifest, name: str) -> Manifest:
    """The status of a container; others may be those of a service mesh. Empty before the node has seen the pod."""
    statuses = items_of(pod, "status", "containerStatuses")
    return next((status for status in statuses if status["name"] == name), {})


def pod_waits(pod: Manifest, container: str) -> Manifest:
    """Why a container waits: a reason and a message. Empty if it does not."""
    return container_of(pod, container).get("state", {}).get("waiting") or {}


def pod_ended(pod: Manifest, container: str) -> bool:
    """Whether a container has ended."""
    return "terminated" in container_of(pod, container).get("state", {})


def image_fails(reason: str) -> bool:
    """Whether a container waits because its image cannot be pulled. Each container runtime has reasons of its own."""
    return any(part in reason for part in _IMAGE_FAILS)


def is_hopeless(reason: str) -> bool:
    """Whether a container that waits for this reason does not start by itself within the time of a check."""
    return reason in _HOPELESS or image_fails(reason)


def unscheduled(pod: Manifest) -> str | None:
    """Why no node takes a pod. None: a node has taken it, or nobody has tried."""
    for condition in items_of(pod, "status", "conditions"):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", condition.get("reason", "")))
    return None


def run_job(cluster: Cluster, manifests: Sequence[Manifest], *, seconds: float) -> tuple[str | None, str]:
    """Runs a Job, at most for so many seconds. Returns how it ended, in the words of `job_ended`, and its log.

    Deletes the Job and its ConfigMap in the end. Other objects stay, such as a NetworkPolicy of the release.
    """
    (job,) = (each for each in manifests if each["kind"] == JOB.kind)
    name = job["metadata"]["name"]
    cluster.delete(JOB, name)
    with deleted_at_the_end(cluster, [each for each in manifests if each["kind"] in (JOB.kind, "ConfigMap")]):
        for manifest in manifests:
            cluster.apply(manifest)
        found = poll(lambda: cluster.get(JOB, name) or job, until=_run_end, seconds=seconds, clock=cluster.clock)
        return _run_end(found), job_log(cluster, found, _LOG_LINES)


def _run_end(job: Manifest) -> str | None:
    # A Job that fails is retried. One failed pod says enough.
    return job_ended(job) or ("Failed" if job.get("status", {}).get("failed") else None)


def job_ended(job: Manifest) -> str | None:
    """``Complete`` or ``Failed``. None while the Job runs."""
    conditions = items_of(job, "status", "conditions")
    return next((c["type"] for c in conditions if c["type"] in ("Complete", "Failed") and c["status"] == "True"), None)


def job_log(cluster: Cluster, job: Manifest, lines: int) -> str:
    """The last lines of the log of a Job's newest pod."""
    pods = cluster.find(POD, labels=f"batch.kubernetes.io/job-name={job['metadata']['name']}")
    if not pods:
        return ""
    pod = max(pods, key=lambda each: str(each["metadata"]["creationTimestamp"]))
    container = pod["spec"]["containers"][0]["name"]
    return cluster.log(pod["metadata"]["name"], container, tail=lines).strip()
