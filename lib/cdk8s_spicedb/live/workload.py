"""The pods of the servers, and why they are not ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from enum import Enum

from attrs import field, frozen

from ..labels import JOB_NAME, POD_TEMPLATE_HASH, SERVICE_NAME, Component, selector_text
from ..manifests.objects import Manifest
from ..text import count
from .cluster import DEPLOYMENT, ENDPOINT_SLICE, JOB, POD, Cluster, ClusterError, items_of
from .instance import Running, is_ready, is_terminating, server_pods, version_of
from .text import first_error, in_words, last_error, redacted

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
        template=metadata.get("labels", {}).get(POD_TEMPLATE_HASH, ""),
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


_LOG_LINES = 3
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class MigrationState(Enum):
    """What the migration does."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    NONE = "none"
    """There is no Job: nothing was migrated yet, or the clean-up deleted the finished Job."""


@frozen(kw_only=True)
class Migration:
    """The newest migration."""

    state: MigrationState
    """What it does."""
    job: str | None = None
    """Name of the Job."""
    version: str | None = None
    """SpiceDB release that migrates."""
    target: str | None = None
    """Revision to which it migrates. ``head`` is the newest one that the release knows."""
    started: str | None = None
    """Time at which the Job was created (ISO 8601)."""
    ended: str | None = None
    """Time at which it failed or succeeded (ISO 8601)."""
    deadline: str | None = None
    """Time at which Kubernetes stops it at the latest (ISO 8601), by ``activeDeadlineSeconds``. None: no limit."""
    reason: str = ""
    """Why it failed, or why it does not start."""
    log: tuple[str, ...] = field(default=())
    """Last lines of its log, in words. None if it succeeded."""


def find_migration(cluster: Cluster, name: str) -> Migration:
    """The newest migration of a release of this package."""
    labels = selector_text(name, Component.MIGRATION)
    jobs = cluster.find(JOB, labels=labels)
    if not jobs:
        return Migration(state=MigrationState.NONE)
    job = max(jobs, key=_created)
    pods = cluster.find(POD, labels=f"{labels},{JOB_NAME}={job['metadata']['name']}")
    pod = max(pods, key=_created, default=None)
    state, why = migration_state(job)
    spec, metadata = job["spec"]["template"]["spec"]["containers"][0], job["metadata"]
    reasons = [why, *(_pod_reasons(pod) if pod and state is not MigrationState.SUCCEEDED else ())]
    return Migration(
        state=state,
        job=metadata["name"],
        version=version_of(job["spec"]["template"], spec["image"]),
        target=_target(spec.get("command", [])),
        started=metadata["creationTimestamp"],
        ended=_ended(job),
        deadline=_deadline(job),
        reason=redacted("; ".join(dict.fromkeys(filter(None, reasons)))),
        log=_log(cluster, pod) if pod and state is not MigrationState.SUCCEEDED else (),
    )


def migration_state(job: Manifest) -> tuple[MigrationState, str]:
    """The state of a Job, and why it failed."""
    for condition in items_of(job, "status", "conditions"):
        if condition["status"] == "True" and condition["type"] in ("Complete", "SuccessCriteriaMet"):
            return MigrationState.SUCCEEDED, ""
        if condition["status"] == "True" and condition["type"] in ("Failed", "FailureTarget"):
            return MigrationState.FAILED, str(condition.get("reason", "Failed"))
    return MigrationState.RUNNING, ""


def _created(manifest: Manifest) -> str:
    return str(manifest["metadata"]["creationTimestamp"])


def _ended(job: Manifest) -> str | None:
    times = [
        condition.get("lastTransitionTime")
        for condition in items_of(job, "status", "conditions")
        if condition["status"] == "True" and condition["type"] in ("Complete", "Failed")
    ]
    return next(iter(times), None)


def _deadline(job: Manifest) -> str | None:
    started, seconds = job.get("status", {}).get("startTime"), job["spec"].get("activeDeadlineSeconds")
    if started is None or seconds is None:
        return None
    end = datetime.strptime(started, _TIME) + timedelta(seconds=seconds)
    return end.strftime(_TIME)


def seconds_left(migration: Migration) -> int | None:
    """The seconds that a migration has at most, from now. None: no limit."""
    if migration.deadline is None:
        return None
    end = datetime.strptime(migration.deadline, _TIME).replace(tzinfo=timezone.utc)
    return max(int((end - datetime.now(timezone.utc)).total_seconds()), 0)


def _target(command: list[str]) -> str | None:
    """The revision in ``spicedb migrate REVISION``."""
    words = command[command.index("migrate") + 1 :] if "migrate" in command else []
    return next((word for word in words if not word.startswith("-")), None)


def _pod_reasons(pod: Manifest) -> list[str]:
    """Why the pod does not start, or how it ended."""
    found = []
    for status in items_of(pod, "status", "containerStatuses"):
        waiting = status.get("state", {}).get("waiting", {})
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            found.append(f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": "))
        for state in ("state", "lastState"):
            terminated = status.get(state, {}).get("terminated")
            if terminated and terminated.get("exitCode"):
                found.append(termination(terminated))
    for condition in items_of(pod, "status", "conditions"):
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            found.append(f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": "))
    return found


def _log(cluster: Cluster, pod: Manifest) -> tuple[str, ...]:
    """The last lines. None without the right to read logs."""
    text = ""
    with suppress(ClusterError):
        text = cluster.log(pod["metadata"]["name"], pod["spec"]["containers"][0]["name"], tail=_LOG_LINES)
    return tuple(in_words(line) for line in text.strip().splitlines())


class RolloutState(Enum):
    """How far a roll-out is."""

    DONE = "done"
    PROGRESSING = "progressing"
    STUCK = "stuck"
    """It made no progress for too long, or Kubernetes cannot create pods."""
    PAUSED = "paused"


@frozen(kw_only=True)
class Rollout:
    """The roll-out of the servers."""

    state: RolloutState
    """How far it is."""
    message: str
    """What Kubernetes says about it."""


def rollout_of(deployment: Manifest) -> Rollout:
    """The state of a Deployment's roll-out."""
    conditions = {each["type"]: each for each in items_of(deployment, "status", "conditions")}
    progress, failure = conditions.get("Progressing", {}), conditions.get("ReplicaFailure", {})
    if failure.get("status") == "True":
        return Rollout(state=RolloutState.STUCK, message=failure.get("message", ""))
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return Rollout(state=RolloutState.STUCK, message=progress.get("message", ""))
    if deployment["spec"].get("paused"):
        return Rollout(state=RolloutState.PAUSED, message="resume it with `kubectl rollout resume`")
    message = _missing(deployment)
    if message:
        return Rollout(state=RolloutState.PROGRESSING, message=message)
    return Rollout(state=RolloutState.DONE, message=progress.get("message", ""))


def _missing(deployment: Manifest) -> str:
    """What is left to do."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return "Kubernetes has not seen the change yet"
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        return f"{updated} of {wanted} servers have the newest settings"
    if status.get("replicas", 0) > updated:
        return f"{status['replicas'] - updated} older servers are left"
    if available < wanted:
        return f"{available} of {wanted} servers are available"
    return ""


_POLL_SECONDS = 0.5
_BROKEN_SECONDS = 15
"""How long a pod may wait for its image or its Secret before that counts as broken: both can come late."""
_BROKEN = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}
_ENDS = 3


def settled(cluster: Cluster, running: Running) -> str | None:
    """Why the roll-out of a release is not done. None: it is done.

    It is done when all wanted servers are ready on the newest pod template, no older server drains, and the Service's
    EndpointSlices have exactly these servers.
    """
    deployment = cluster.get(DEPLOYMENT, running.name)
    if deployment is None:
        return f"there is no Deployment {running.name}"
    waits = _rolls_out(deployment)
    if waits:
        return waits
    pods = server_pods(cluster, running)
    draining = [pod["metadata"]["name"] for pod in pods if is_terminating(pod)]
    if draining:
        return f"{count(len(draining), 'older server')} draining"
    return _endpoints(cluster, running.name, {pod["status"].get("podIP") for pod in pods if is_ready(pod)})


def _rolls_out(deployment: Manifest) -> str | None:
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return "Kubernetes has not seen the change yet"
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted or status.get("replicas", 0) > updated or available < wanted:
        ready = min(updated, available)
        return f"{ready} of {wanted} new servers ready"
    return None


def _endpoints(cluster: Cluster, service: str, ready: set[str]) -> str | None:
    """Why the endpoints of a Service are not the ready servers."""
    found = set()
    for endpoints in cluster.find(ENDPOINT_SLICE, labels=f"{SERVICE_NAME}={service}"):
        for endpoint in items_of(endpoints, "endpoints"):
            if endpoint.get("conditions", {}).get("ready"):
                found.update(endpoint["addresses"])
    return None if found == ready else f"the Service {service} has {len(found)} of {len(ready)} servers"


def drain_seconds(running: Running) -> int:
    """How long a server may drain after the roll-out, with a margin."""
    return int(running.template["spec"].get("terminationGracePeriodSeconds", 30)) + 60


def wait_until_settled(
    cluster: Cluster, running: Running, seconds: float, notify: Callable[[str], None] = lambda _: None
) -> str | None:
    """Waits until a roll-out is done. Returns why it is not done after ``seconds``, or None when it is."""
    return wait_until_none(lambda: (settled(cluster, running), False), seconds, notify)


def wait_until_none(
    question: Callable[[], tuple[str | None, bool]], seconds: float, notify: Callable[[str], None]
) -> str | None:
    """Asks until there is no reason left to wait. Returns the reason that is left after ``seconds``.

    The question returns a reason (None: there is none), and whether waiting does not help. ``notify`` gets each new
    reason.
    """
    end, last = time.monotonic() + seconds, None
    while True:
        reason, is_final = question()
        if reason is None or is_final or time.monotonic() > end:
            return reason
        if reason != last:
            notify(reason)
            last = reason
        time.sleep(_POLL_SECONDS)


class Broken:
    """Notices pods that can never run, long before Kubernetes or Helm give up."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def reason(self, pods: list[Manifest]) -> str | None:
        """Why a pod is broken. None: no pod is, or not for long enough."""
        now, reasons = time.monotonic(), dict(_waiting(pods))
        self._since = {pod: self._since.get(pod, now) for pod in reasons}
        for pod, (reason, waits) in reasons.items():
            if not waits or now - self._since[pod] > _BROKEN_SECONDS:
                return f"pod {pod}: {reason}"
        return None


def _waiting(pods: list[Manifest]) -> Iterator[tuple[str, tuple[str, bool]]]:
    """The pods that wait for something, why, and whether it may still come."""
    for pod in pods:
        for status in items_of(pod, "status", "containerStatuses"):
            waiting = status.get("state", {}).get("waiting", {})
            reason = waiting.get("reason", "")
            if is_terminating(pod):
                continue
            if reason in _BROKEN:
                yield pod["metadata"]["name"], (f"{reason}: {waiting.get('message', '')}".strip(": "), True)
            elif reason == "CrashLoopBackOff" and (ends := status.get("restartCount", 0) + 1) >= _ENDS:
                last = status.get("lastState", {}).get("terminated", {})
                said = first_error(last.get("message") or "") or f"exit code {last.get('exitCode')}"
                yield pod["metadata"]["name"], (f"it stopped {ends} times: {said}", False)
