"""The roll-out of the servers."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from ...manifests.manifest import Manifest
from ..cluster import items_of


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
