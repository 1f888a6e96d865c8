"""Pods and Jobs that run for a moment: created, waited for, read, and deleted whatever happens."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta

from ..labels import JOB_NAME
from ..manifests.objects import Manifest
from .apierror import ClusterError, Unreachable, leave
from .cluster import CONFIG_MAP, DEPLOYMENT, JOB, PATIENCE_SECONDS, POD, Cluster, Kind
from .pods import JobState, container_of, created, job_state
from .poll import parallel, poll, timestamp

RUN = "cdk8s-spicedb/run"
"""Label of short-lived pods of one run."""
_OURS = (JOB.kind, POD.kind, CONFIG_MAP.kind)
"""Kinds of objects that exist for a moment."""
_PROCESS = uuid.uuid4().hex[:8]
"""Begins the label of the pods of this process."""
_EVERY_SECONDS = 0.3
_LOG_LINES = 100_000
_LATE_LOG_SECONDS = 5
_KEPT_SECONDS = 300
"""How long Kubernetes keeps a Job that ended if this process was killed before it could delete it."""


@contextmanager
def deleted_at_the_end(cluster: Cluster, manifests: Sequence[Manifest]) -> Iterator[None]:
    """Deletes objects in the end, also those that are not there yet. What the cluster keeps hides no result."""

    deleting = cluster.leaving()

    def delete(manifest: Manifest) -> None:
        leave(lambda: deleting.delete(Kind.of(manifest), manifest["metadata"]["name"]))

    try:
        yield
        deleting = cluster.patient(PATIENCE_SECONDS)
    finally:
        parallel(delete, manifests)


def owned(cluster: Cluster, name: str, manifests: Sequence[Manifest]) -> list[Manifest]:
    """Objects that Kubernetes deletes with the Deployment of this name, if there is one, and Jobs that it deletes some
    time after their end: so nothing stays for good if this process is killed."""
    deployment = cluster.get(DEPLOYMENT, name)
    return [_owned(deployment, each) for each in manifests]


def _owned(deployment: Manifest | None, manifest: Manifest) -> Manifest:
    if manifest["kind"] not in _OURS:  # The release has others, such as a NetworkPolicy.
        return manifest
    found = belonging(manifest, DEPLOYMENT, deployment) if deployment is not None else manifest
    if manifest["kind"] == JOB.kind:
        found = {**found, "spec": {**manifest["spec"], "ttlSecondsAfterFinished": _KEPT_SECONDS}}
    return found


def belonging(manifest: Manifest, kind: Kind, owner: Manifest) -> Manifest:
    """An object that Kubernetes deletes with its owner."""
    reference = {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    references = [{**kind.type_meta, **reference}]
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": references}}


@contextmanager
def run_pods(
    cluster: Cluster, pods: Sequence[Manifest], *, done: Callable[[Manifest], bool], seconds: float
) -> Iterator[list[Manifest | ClusterError | None]]:
    """Starts pods, waits until each one is done, at most for so many seconds, and deletes them in the end. Also deletes
    those that a process which was killed has left behind, if they have ended.

    Yields each pod as it was seen last, in their order: None if somebody deleted it, and the error if the cluster
    refused it. Raises `Unreachable` if the cluster does not answer.
    """
    with deleted_at_the_end(cluster, pods):
        mark = f"{_PROCESS}-{uuid.uuid4().hex[:8]}"
        _delete_ended(cluster)
        started = parallel(lambda pod: _create(cluster, pod, mark), pods)
        seen: list[Manifest | ClusterError | None] = [*started]

        def observe() -> bool:
            found = {pod["metadata"]["name"]: pod for pod in cluster.find(POD, labels=f"{RUN}={mark}")}
            seen[:] = [each if isinstance(each, ClusterError) else found.get(_name(each)) for each in started]
            return all(not isinstance(pod, dict) or done(pod) for pod in seen)

        if not all(isinstance(each, ClusterError) for each in started):
            poll(observe, until=bool, seconds=seconds, clock=cluster.clock, every=_EVERY_SECONDS)
        yield seen


def _delete_ended(cluster: Cluster) -> None:
    with suppress(ClusterError):
        for pod in cluster.find(POD, labels=RUN):
            ours = pod["metadata"]["labels"][RUN].startswith(_PROCESS)
            if pod.get("status", {}).get("phase") in ("Succeeded", "Failed") and not ours and _is_old(cluster, pod):
                cluster.delete(POD, _name(pod), only=pod)


def _is_old(cluster: Cluster, pod: Manifest) -> bool:
    """Whether a pod is older than any check takes, so that nobody reads its log any more."""
    return created(pod) < timestamp(cluster.clock.now() - timedelta(seconds=_KEPT_SECONDS))


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def create_once(cluster: Cluster, manifest: Manifest) -> Manifest:
    """Creates an object whose name nobody else has, also if only the answer is lost."""
    try:
        return cluster.create(manifest)
    except Unreachable as error:
        if error.seen and cluster.get(Kind.of(manifest), _name(manifest)) is not None:
            return manifest
        raise


def _create(cluster: Cluster, pod: Manifest, mark: str) -> Manifest | ClusterError:
    metadata = pod["metadata"]
    marked = {**pod, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), RUN: mark}}}
    try:
        return create_once(cluster, marked)
    except Unreachable:
        raise
    except ClusterError as error:
        return error


def run_job(
    cluster: Cluster, manifests: Sequence[Manifest], *, seconds: float, whole: Callable[[str], bool] = lambda _: True
) -> tuple[JobState, str]:
    """Runs a Job, at most for so many seconds. Returns how it ended, and its log.

    The node may write the end of a log a moment after the Job has succeeded, so the log is read until it is ``whole``.

    A Job that fails is retried; here, one failed pod is a failure. Deletes the Job and its ConfigMap in the end. Other
    objects stay, such as a NetworkPolicy of the release.
    """
    (job,) = (each for each in manifests if each["kind"] == JOB.kind)
    name = job["metadata"]["name"]
    cluster.delete(JOB, name)
    with deleted_at_the_end(cluster, [each for each in manifests if each["kind"] in _OURS]):
        for manifest in manifests:
            cluster.apply(manifest)
        found = poll(
            lambda: cluster.get(JOB, name) or job,
            until=lambda each: not _end(each).runs,
            seconds=seconds,
            clock=cluster.clock,
        )
        state = _end(found)
        log = poll(
            lambda: job_log(cluster, found, _LOG_LINES),
            until=lambda log: whole(log) or not state.succeeded,
            seconds=_LATE_LOG_SECONDS,
            clock=cluster.clock,
        )
        return state, log


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
