"""Judgements of what runs of an instance: its servers, its migration and its roll-out.

All are pure functions of an `Observed`, or of an object in it. `pods` has those of single pods and Jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import Enum
from itertools import chain

from attrs import frozen

from ..labels import JOB_NAME, POD_TEMPLATE_HASH
from ..manifests.objects import Manifest
from ..text import time_of
from .cluster import items_of
from .instance import Observed, Running, revision_of, version_of
from .pods import (
    conditions,
    container_of,
    created,
    drains,
    ended,
    holds,
    is_lost,
    is_ready,
    is_terminating,
    job_state,
    statuses,
    termination,
    unscheduled,
    waiting,
)
from .poll import timestamp
from .text import in_words, redacted

# ---------------------------------------------------------------- the migration


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
    """SpiceDB version that migrates."""
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
    log: tuple[str, ...] = ()
    """Last lines of its log, in words. Empty if it succeeded."""


def migration_of(seen: Observed) -> Migration:
    """The newest migration of an instance."""
    if not seen.jobs:
        return Migration(state=MigrationState.NONE)
    job = seen.jobs[-1]
    state, template = job_state(job), job["spec"]["template"]
    own = [pod for pod in seen.migration_pods if pod["metadata"]["labels"].get(JOB_NAME) == job["metadata"]["name"]]
    pod = max(own, key=created, default=None)
    reasons = [state.reason, *(_migration_reasons(pod) if pod and not state.succeeded else ())]
    return Migration(
        state=migration_state(job),
        job=job["metadata"]["name"],
        version=version_of(template, container_of(template)["image"]),
        target=_target(container_of(template).get("command", [])),
        started=created(job),
        ended=state.at,
        deadline=_deadline(job),
        reason=redacted("; ".join(dict.fromkeys(filter(None, reasons)))),
        log=tuple(in_words(line) for line in seen.log),
    )


def migration_state(job: Manifest) -> MigrationState:
    """What the migration of a Job does."""
    state = job_state(job)
    if state.runs:
        return MigrationState.RUNNING
    return MigrationState.SUCCEEDED if state.succeeded else MigrationState.FAILED


def _deadline(job: Manifest) -> str | None:
    started, seconds = job.get("status", {}).get("startTime"), job["spec"].get("activeDeadlineSeconds")
    if started is None or seconds is None:
        return None
    return timestamp(time_of(started) + timedelta(seconds=seconds))


def _target(command: list[str]) -> str | None:
    """The revision in ``spicedb migrate REVISION``."""
    words = command[command.index("migrate") + 1 :] if "migrate" in command else []
    return next((word for word in words if not word.startswith("-")), None)


def _migration_reasons(pod: Manifest) -> Iterator[str]:
    """Why the pod does not start, or how it ended."""
    for status in statuses(pod):
        waits = waiting(status)
        if waits and not waits.starts:
            yield str(waits)
        for end in (ended(status), ended(status, before=True)):
            if end and end.get("exitCode"):
                yield termination(end)
    place = unscheduled(pod)
    if place:
        yield str(place)


# ---------------------------------------------------------------- the roll-out


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


@frozen
class Counts:
    """The numbers of servers in a Deployment."""

    wanted: int
    """Number of servers that are wanted."""
    updated: int
    """Number of those with the newest settings."""
    total: int
    """Number of all, also older ones."""
    available: int
    """Number of those that have been ready for long enough, of any settings."""
    ready: int
    """Number of those that are ready, of any settings."""
    seen: bool
    """Whether Kubernetes has seen the last change, so that the other numbers are about it."""

    @property
    def replaced(self) -> bool:
        """Whether all servers have the newest settings, and no other one is left."""
        return self.seen and self.updated >= self.wanted and self.total <= self.updated


def counts(deployment: Manifest) -> Counts:
    """The numbers of servers in a Deployment."""
    status = deployment.get("status", {})
    updated = status.get("updatedReplicas", 0)
    return Counts(
        wanted=deployment["spec"].get("replicas", 1),
        updated=updated,
        total=status.get("replicas", 0),
        available=status.get("availableReplicas", 0),
        ready=status.get("readyReplicas", 0),
        seen=status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0),
    )


def rollout_of(deployment: Manifest) -> Rollout:
    """The state of a Deployment's roll-out."""
    found = conditions(deployment)
    failure, progress = holds(found, "ReplicaFailure"), found.get("Progressing", {})
    if failure:
        return Rollout(state=RolloutState.STUCK, message=redacted(failure.get("message") or ""))
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return Rollout(state=RolloutState.STUCK, message=redacted(progress.get("message") or ""))
    if deployment["spec"].get("paused"):
        return Rollout(state=RolloutState.PAUSED, message="resume it with `kubectl rollout resume`")
    message = _left(counts(deployment))
    if message:
        return Rollout(state=RolloutState.PROGRESSING, message=message)
    return Rollout(state=RolloutState.DONE, message=progress.get("message", ""))


def _left(servers: Counts) -> str:
    """What is left to do. Empty: nothing."""
    if not servers.seen:
        return _UNSEEN
    if servers.updated < servers.wanted:
        return f"{servers.updated} of {servers.wanted} servers have the newest settings"
    if not servers.replaced:
        return f"{servers.total - servers.updated} older servers are left"
    if servers.available < servers.wanted:
        return f"{servers.available} of {servers.wanted} servers are available"
    return ""


_UNSEEN = "Kubernetes has not seen the change yet"


def unsettled(seen: Observed) -> str | None:
    """Why the roll-out of an instance is not done. None: it is done.

    It is done when all wanted servers are ready on the newest pod template, no older server drains, and the Service's
    EndpointSlices have exactly these servers.
    """
    if seen.deployment is None:
        return f"there is no Deployment {seen.name}"
    servers = counts(seen.deployment)
    if not servers.seen:
        return _UNSEEN
    if not servers.replaced or servers.available < servers.wanted:
        return f"{min(servers.updated, servers.available)} of {servers.wanted} new servers ready"
    seen.need("pods")
    draining = sum(drains(pod, seen.at) for pod in seen.servers)
    if draining:
        return f"{draining} older server{'s' if draining > 1 else ''} draining"
    seen.need("endpoints")
    ready = {pod["status"].get("podIP") for pod in seen.servers if is_ready(pod) and not is_terminating(pod)}
    found = set(chain.from_iterable(_addresses(seen.endpoints)))
    return None if found == ready else f"the Service {seen.name} has {len(found)} of {len(ready)} servers"


def _addresses(endpoints: Iterable[Manifest]) -> Iterator[list[str]]:
    """The addresses of endpoints that are ready."""
    for endpoint in chain.from_iterable(items_of(each, "endpoints") for each in endpoints):
        if endpoint.get("conditions", {}).get("ready"):
            yield endpoint["addresses"]


def unsafe(seen: Observed) -> tuple[str | None, bool]:
    """Why the next change of an instance is not safe (None: it is), and whether that stays so."""
    seen.need("jobs")
    migration = migration_of(seen)
    failed = migration.state is MigrationState.FAILED
    if migration.state is MigrationState.RUNNING:
        return _runs(migration), False
    if seen.deployment is None:
        return f"there is no Deployment {seen.name}", failed
    rollout = rollout_of(seen.deployment)
    if rollout.state is RolloutState.STUCK:
        return f"the roll-out is stuck: {rollout.message}", True
    if seen.running and seen.running.ours:
        reason = unsettled(seen)
    else:
        # The name of its Service is not known.
        seen.need("pods")
        reason = rollout.message if rollout.state is not RolloutState.DONE else None
        if reason is None and any(drains(pod, seen.at) for pod in seen.servers):
            reason = "older servers drain"
    if reason is not None and failed:
        return f"{reason}; the migration failed: {migration.reason}", True
    return reason, False


def _runs(migration: Migration) -> str:
    why = f": {migration.reason}" if migration.reason else f": {migration.log[-1]}" if migration.log else ""
    return f"the migration {migration.job} runs{why}"


def progress_of(seen: Observed) -> tuple[str, int | None]:
    """What happens at the moment, in a few words, and the seconds that it takes at most. None: there is no limit."""
    seen.need("jobs")
    migration = migration_of(seen)
    if migration.state is MigrationState.RUNNING:
        details = migration.reason or "".join(migration.log[-1:])
        return f"the migration runs{f': {details}' if details else ''}", _seconds_left(migration, seen.at)
    if seen.deployment is None:
        return "no server runs yet", None
    return unsettled(seen) or _lost_pod(seen) or "all running servers are ready", None


def _lost_pod(seen: Observed) -> str | None:
    """What to do about a lost pod for whose Job Helm may wait: a Job is complete only when all of its pods are gone."""
    names = [job["metadata"]["name"] for job in seen.jobs if not holds(conditions(job), "Complete", "Failed")]
    # Other Jobs than migrations are not read.
    candidates = [pod for pod in seen.job_pods if is_lost(pod, seen.at)]
    lost = next((pod for pod in candidates if pod not in seen.migration_pods or _job(pod) in names), None)
    if lost is None:
        return None
    name = lost["metadata"]["name"]
    command = f"kubectl delete pod {name} --force --namespace {seen.namespace}"
    return f"Helm may wait for {_job(lost)}, because the node of {name} does not answer; if it is off, run `{command}`"


def _job(pod: Manifest) -> str:
    return str(pod["metadata"]["labels"][JOB_NAME])


def _seconds_left(migration: Migration, now: datetime) -> int | None:
    if migration.deadline is None:
        return None
    return max(int((time_of(migration.deadline) - now).total_seconds()), 0)


def drain_seconds(running: Running) -> int:
    """How long a server may drain after the roll-out, with a margin."""
    return int(running.template["spec"].get("terminationGracePeriodSeconds", 30)) + 60


def newest_servers(seen: Observed) -> list[Manifest]:
    """The servers on the newest pod template. None are known before Kubernetes has made a ReplicaSet."""
    seen.need("pods", "replica_sets")
    newest = max(seen.replica_sets, key=lambda each: int(revision_of(each) or 0), default=None)
    template = newest["metadata"]["labels"].get(POD_TEMPLATE_HASH) if newest else None
    return [pod for pod in seen.servers if template and pod["metadata"]["labels"].get(POD_TEMPLATE_HASH) == template]
