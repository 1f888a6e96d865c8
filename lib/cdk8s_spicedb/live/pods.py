"""Judgements of the status of single objects: of a pod, its containers, and a Job. All are pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from attrs import frozen

from ..labels import POD_TEMPLATE_HASH
from ..manifests.objects import Manifest
from ..text import time_of
from .cluster import items_of
from .instance import version_of
from .text import first_error, last_error, redacted

_PROGRAM = "spicedb"

# ---------------------------------------------------------------- objects


def created(manifest: Manifest) -> str:
    """The time at which an object was created (ISO 8601)."""
    return str(manifest["metadata"]["creationTimestamp"])


def conditions(manifest: Manifest) -> dict[str, Manifest]:
    """The conditions in the status of an object, by type."""
    return {each["type"]: each for each in items_of(manifest, "status", "conditions")}


def holds(found: dict[str, Manifest], *types: str) -> Manifest | None:
    """The first condition of these types that is true."""
    return next((found[name] for name in types if found.get(name, {}).get("status") == "True"), None)


# ---------------------------------------------------------------- pods


_STARTS = ("", "ContainerCreating", "PodInitializing")
"""Reasons for which every container waits before it starts."""
_NOT_PULLED = ("Image", "Registry", "Signature")
"""Parts of the reasons for which a container waits if its image cannot be pulled."""
_BROKEN = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
)
"""Reasons for which a container waits without an end, unless somebody mends what is wrong."""


@frozen
class Waiting:
    """Why a container waits."""

    reason: str
    """Kubernetes' word for it, such as ``ImagePullBackOff``."""
    message: str = ""
    """What Kubernetes says about it."""

    @property
    def starts(self) -> bool:
        """Whether the container only starts."""
        return self.reason in _STARTS

    @property
    def broken(self) -> bool:
        """Whether it waits for something that does not come by itself."""
        return self.reason in _BROKEN

    @property
    def hopeless(self) -> bool:
        """Whether the container does not start within the time of a check."""
        return self.reason == "CreateContainerConfigError" or self.not_pulled

    @property
    def not_pulled(self) -> bool:
        """Whether it waits for an image that cannot be pulled."""
        return any(part in self.reason for part in _NOT_PULLED)

    def __str__(self) -> str:
        return f"{self.reason or 'waits'}: {self.message}".rstrip(": ")


def is_ready(pod: Manifest) -> bool:
    """Whether a pod is ready."""
    return holds(conditions(pod), "Ready") is not None


def is_terminating(pod: Manifest) -> bool:
    """Whether a pod was told to stop."""
    return "deletionTimestamp" in pod["metadata"]


_KILL_SECONDS = 5
"""Time in which a node kills a pod whose grace period is over."""


def drains(pod: Manifest, now: datetime) -> bool:
    """Whether a pod was told to stop, and may still serve open requests."""
    return is_terminating(pod) and not is_lost(pod, now)


def is_lost(pod: Manifest, now: datetime) -> bool:
    """Whether a pod is still Terminating although its grace period is over. Usually its node is gone or has no
    network, and nobody in the cluster can reach the pod."""
    # Kubernetes writes the time at which the grace period ends.
    end = pod["metadata"].get("deletionTimestamp")
    return end is not None and now > time_of(end) + timedelta(seconds=_KILL_SECONDS)


def container_of(pod: Manifest) -> Manifest:
    """The container of a pod, or of a pod template, that runs SpiceDB; without one, the first."""
    containers: list[Manifest] = pod["spec"]["containers"]
    return next((each for each in containers if each["name"] == _PROGRAM), containers[0])


def statuses(pod: Manifest) -> list[Manifest]:
    """The status of each container of a pod, without those that run before."""
    return list(items_of(pod, "status", "containerStatuses"))


def status_of(pod: Manifest, container: str) -> Manifest:
    """The status of a container; others may be those of a service mesh. Empty before the node has seen the pod."""
    return next((status for status in statuses(pod) if status["name"] == container), {})


def waiting(status: Manifest) -> Waiting | None:
    """Why a container waits. None: it does not."""
    found = (status.get("state") or {}).get("waiting")
    return None if found is None else Waiting(found.get("reason") or "", found.get("message") or "")


def ended(status: Manifest, *, before: bool = False) -> Manifest | None:
    """How a container ended or, with ``before``, how the one before its restart did. None: it did not."""
    found: Manifest | None = (status.get("lastState" if before else "state") or {}).get("terminated")
    return found


def restarts(pod: Manifest) -> int:
    """How often the containers of a pod were restarted."""
    return sum(status.get("restartCount", 0) for status in statuses(pod))


def unscheduled(pod: Manifest) -> Waiting | None:
    """Why no node takes a pod. None: one does."""
    found = conditions(pod).get("PodScheduled", {"status": "True"})
    if found["status"] == "True":
        return None
    return Waiting(found.get("reason") or "not scheduled", found.get("message") or "")


def termination(terminated: Manifest) -> str:
    """Why a container stopped, in one line: the reason, the exit code, and the last error of its message."""
    message = " ".join(last_error(terminated.get("message") or "").split())
    text = f"{terminated.get('reason') or 'Error'} (exit code {terminated.get('exitCode')})"
    return f"{text}: {message}" if message else text


@frozen(kw_only=True)
class Pod:
    """A pod of the servers."""

    name: str
    """Name of the pod."""
    version: str | None
    """SpiceDB version of the pod. None if neither its image nor its label names one."""
    ready: bool
    """Whether the pod is ready."""
    terminating: bool
    """Whether the pod was told to stop. It serves its open requests until it stops."""
    lost: bool
    """Whether the pod is still Terminating although its grace period is over. Usually its node is gone or has no
    network."""
    restarts: int
    """How often its containers were restarted."""
    started: str
    """Time at which the pod was created (ISO 8601)."""
    template: str
    """Hash of its pod template. Pods of one template are equal."""
    reason: str
    """Why it is not ready, or why it was restarted last. Empty if there is nothing to say."""


def pod_of(manifest: Manifest, now: datetime) -> Pod:
    """What a pod says, at a time."""
    metadata = manifest["metadata"]
    return Pod(
        name=metadata["name"],
        version=version_of(manifest, container_of(manifest)["image"]),
        ready=is_ready(manifest),
        terminating=is_terminating(manifest),
        lost=is_lost(manifest, now),
        restarts=restarts(manifest),
        started=created(manifest),
        template=metadata.get("labels", {}).get(POD_TEMPLATE_HASH, ""),
        reason=redacted("; ".join(_reasons(manifest, now))),
    )


def _reasons(pod: Manifest, now: datetime) -> Iterator[str]:
    """Why a server is not ready, or why it was restarted last."""
    ready = is_ready(pod)
    if is_terminating(pod):
        yield (
            "its node does not answer, so Kubernetes cannot confirm that it stopped" if is_lost(pod, now) else "drains"
        )
        return
    containers = [*items_of(pod, "status", "initContainerStatuses"), *statuses(pod)]
    found = [reason for status in containers for reason in _container_reasons(status, ready=ready)]
    yield from found
    if ready or found:
        return
    place, status = unscheduled(pod), pod.get("status", {})
    if place:
        yield str(place)
    elif status.get("reason"):
        yield str(Waiting(status["reason"], status.get("message", "")))
    elif any("running" in each.get("state", {}) for each in containers):
        yield "runs, but is not ready: SpiceDB starts, or waits for the datastore or its migration"


def _container_reasons(status: Manifest, *, ready: bool) -> Iterator[str]:
    waits = waiting(status)
    if waits and not (waits.starts and waits.reason):
        yield str(waits)
    for before in (False, True):
        end = ended(status, before=before)
        if end and (not ready or status.get("restartCount")) and end.get("reason") != "Completed":
            yield f"stopped{' before' if before else ''}: {termination(end)}"


# ---------------------------------------------------------------- pods that can never run


_BROKEN_SECONDS = 15
"""How long a pod may wait for its image or its Secret before that counts as broken: both can come late."""
_ENDS = 3
"""How often a container may end before it counts as broken."""


class Broken:
    """Notices pods that can never run, long before Kubernetes or Helm give up."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def reason(self, pods: Iterable[Manifest], second: float) -> str | None:
        """Why one of these pods, observed at a second, is broken. None: no pod is, or not for long enough."""
        found = dict(_broken(pods))
        self._since = {name: self._since.get(name, second) for name in found}
        for name, (reason, waits) in found.items():
            if not waits or second - self._since[name] > _BROKEN_SECONDS:
                return f"pod {name}: {reason}"
        return None


def _broken(pods: Iterable[Manifest]) -> Iterator[tuple[str, tuple[str, bool]]]:
    """The pods that wait for something, why, and whether it may still come."""
    for pod in pods:
        for status in statuses(pod):
            waits, ends = waiting(status), status.get("restartCount", 0) + 1
            if waits is None or is_terminating(pod):
                continue
            if waits.broken:
                yield pod["metadata"]["name"], (str(waits), True)
            elif waits.reason == "CrashLoopBackOff" and ends >= _ENDS:
                last = ended(status, before=True) or {}
                said = first_error(last.get("message") or "") or f"exit code {last.get('exitCode')}"
                yield pod["metadata"]["name"], (f"it stopped {ends} times: {said}", False)


# ---------------------------------------------------------------- Jobs


@frozen
class JobState:
    """How far a Job is."""

    succeeded: bool = False
    failed: bool = False
    reason: str = ""
    """Why it failed, in Kubernetes' word, such as ``BackoffLimitExceeded``."""
    message: str = ""
    """What Kubernetes says about its end."""
    at: str | None = None
    """Time at which it ended (ISO 8601). None: it runs, or its pods still end."""

    @property
    def runs(self) -> bool:
        """Whether it has neither succeeded nor failed."""
        return not (self.succeeded or self.failed)

    def ending(self, seconds: int) -> str:
        """What became of one that has not succeeded within so many seconds, in words."""
        return "failed" if self.failed else f"has not ended after {seconds} s"


def job_state(job: Manifest) -> JobState:
    """How far a Job is. It has failed or succeeded as soon as Kubernetes has decided so."""
    found = conditions(job)
    at = (holds(found, "Complete", "Failed") or {}).get("lastTransitionTime")
    if holds(found, "Complete", "SuccessCriteriaMet"):
        return JobState(succeeded=True, at=at)
    failure = holds(found, "Failed", "FailureTarget")
    if failure is None:
        return JobState()
    return JobState(failed=True, reason=failure.get("reason") or "Failed", message=failure.get("message") or "", at=at)
