"""The pods of the servers, and why they are not ready."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from ...manifests.manifest import Manifest
from ..cluster import items_of
from ..logs import last_error
from ..redact import redacted
from .running import is_ready, is_terminating, version_of

_PROGRAM = "spicedb"


@frozen(kw_only=True)
class Pod:
    """A pod of the servers."""

    name: str
    """Name of the pod."""
    version: str | None
    """SpiceDB release of the pod. None if neither its image nor its label names one."""
    ready: bool
    """Whether the pod is ready."""
    terminating: bool
    """Whether the pod was told to stop. It serves its open requests until it stops."""
    restarts: int
    """How often its containers were restarted."""
    started: str
    """Time at which the pod was created (ISO 8601)."""
    template: str
    """Hash of its pod template. Pods of one template are equal."""
    reason: str
    """Why it is not ready, or why it was restarted last. Empty if there is nothing to say."""


def pod_of(manifest: Manifest) -> Pod:
    """What a pod says."""
    metadata = manifest["metadata"]
    statuses = list(items_of(manifest, "status", "containerStatuses"))
    ready, terminating = is_ready(manifest), is_terminating(manifest)
    image = _container(manifest)["image"]
    return Pod(
        name=metadata["name"],
        version=version_of(manifest, image),
        ready=ready,
        terminating=terminating,
        restarts=sum(status.get("restartCount", 0) for status in statuses),
        started=metadata["creationTimestamp"],
        template=metadata.get("labels", {}).get("pod-template-hash", ""),
        reason=redacted("; ".join(_reasons(manifest, ready=ready, terminating=terminating))),
    )


def _container(pod: Manifest) -> Manifest:
    containers: list[Manifest] = pod["spec"]["containers"]
    return next((each for each in containers if each["name"] == _PROGRAM), containers[0])


def _reasons(pod: Manifest, *, ready: bool, terminating: bool) -> Iterator[str]:
    if terminating:
        yield "drains"
        return
    statuses = [*items_of(pod, "status", "initContainerStatuses"), *items_of(pod, "status", "containerStatuses")]
    found = [reason for status in statuses for reason in _container_reasons(status, ready=ready)]
    yield from found
    if ready or found:
        return
    for condition in items_of(pod, "status", "conditions"):
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            yield f"{condition.get('reason', 'not scheduled')}: {condition.get('message', '')}".rstrip(": ")
            return
    if pod.get("status", {}).get("reason"):
        yield f"{pod['status']['reason']}: {pod['status'].get('message', '')}".rstrip(": ")
    elif any("running" in status.get("state", {}) for status in statuses):
        yield "runs, but is not ready: SpiceDB starts, or waits for the datastore or its migration"


def _container_reasons(status: Manifest, *, ready: bool) -> Iterator[str]:
    waiting = status.get("state", {}).get("waiting")
    if waiting and waiting.get("reason") not in ("ContainerCreating", "PodInitializing"):
        yield f"{waiting.get('reason', 'waits')}: {waiting.get('message', '')}".rstrip(": ")
    for state, words in (("state", "stopped"), ("lastState", "stopped before")):
        terminated = status.get(state, {}).get("terminated")
        if terminated and (not ready or status.get("restartCount")) and terminated.get("reason") != "Completed":
            yield f"{words}: {termination(terminated)}"


def termination(terminated: Manifest) -> str:
    """Why a container stopped, in one line: the reason, the exit code, and the last error of its message."""
    message = " ".join(last_error(terminated.get("message") or "").split())
    text = f"{terminated.get('reason') or 'Error'} (exit code {terminated.get('exitCode')})"
    return f"{text}: {message}" if message else text
