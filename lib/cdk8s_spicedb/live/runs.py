"""Pods and Jobs that run for a moment: created, waited for, read, and deleted whatever happens."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from ..labels import JOB_NAME
from ..manifests.objects import Manifest
from .cluster import JOB, POD, Cluster, ClusterError, Kind, Unreachable
from .pods import JobState, container_of, created, job_state
from .poll import parallel, poll

RUN = "cdk8s-spicedb/run"
"""Label of short-lived pods of one run."""
_EVERY_SECONDS = 0.3
_LOG_LINES = 100_000


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
        mark = uuid.uuid4().hex[:8]
        started = parallel(lambda pod: _create(cluster, pod, mark), pods)
        seen: list[Manifest | ClusterError | None] = [*started]

        def observe() -> bool:
            found = {pod["metadata"]["name"]: pod for pod in cluster.find(POD, labels=f"{RUN}={mark}")}
            seen[:] = [each if isinstance(each, ClusterError) else found.get(_name(each)) for each in started]
            return all(not isinstance(pod, dict) or done(pod) for pod in seen)

        if not all(isinstance(each, ClusterError) for each in started):
            poll(observe, until=bool, seconds=seconds, clock=cluster.clock, every=_EVERY_SECONDS)
        yield seen


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def _create(cluster: Cluster, pod: Manifest, mark: str) -> Manifest | ClusterError:
    metadata = pod["metadata"]
    try:
        return cluster.create({**pod, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), RUN: mark}}})
    except Unreachable:
        raise
    except ClusterError as error:
        return error


def run_job(cluster: Cluster, manifests: Sequence[Manifest], *, seconds: float) -> tuple[JobState, str]:
    """Runs a Job, at most for so many seconds. Returns how it ended, and its log.

    A Job that fails is retried; here, one failed pod is a failure. Deletes the Job and its ConfigMap in the end. Other
    objects stay, such as a NetworkPolicy of the release.
    """
    (job,) = (each for each in manifests if each["kind"] == JOB.kind)
    name = job["metadata"]["name"]
    cluster.delete(JOB, name)
    with deleted_at_the_end(cluster, [each for each in manifests if each["kind"] in (JOB.kind, "ConfigMap")]):
        for manifest in manifests:
            cluster.apply(manifest)
        found = poll(
            lambda: cluster.get(JOB, name) or job,
            until=lambda each: not _end(each).runs,
            seconds=seconds,
            clock=cluster.clock,
        )
        return _end(found), job_log(cluster, found, _LOG_LINES)


def _end(job: Manifest) -> JobState:
    state = job_state(job)
    return JobState(failed=True) if state.runs and job.get("status", {}).get("failed") else state


def job_log(cluster: Cluster, job: Manifest, lines: int) -> str:
    """The last lines of the log of a Job's newest pod."""
    pods = cluster.find(POD, labels=f"{JOB_NAME}={job['metadata']['name']}")
    if not pods:
        return ""
    pod = max(pods, key=created)
    return cluster.log(pod["metadata"]["name"], container_of(pod)["name"], tail=lines).strip()
