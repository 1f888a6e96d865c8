"""The state of the migration Job."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone
from enum import Enum

from attrs import field, frozen

from ...labels import Component, selector_text
from ...manifests.manifest import Manifest
from ..cluster import JOB, POD, Cluster, ClusterError, items_of
from ..logs import in_words
from ..redact import redacted
from .pods import termination
from .running import version_of

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
    pods = cluster.find(POD, labels=f"{labels},batch.kubernetes.io/job-name={job['metadata']['name']}")
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
