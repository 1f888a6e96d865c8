"""Waits until the next change of a release is safe."""

from __future__ import annotations

from collections.abc import Callable

from ..cluster import DEPLOYMENT, Cluster
from .migration import Migration, MigrationState, find_migration
from .rollout import RolloutState, rollout_of
from .running import describe, is_terminating, server_pods
from .settle import settled, wait_until_none


def wait_until_safe(
    cluster: Cluster, name: str, seconds: float, notify: Callable[[str], None] = lambda _: None
) -> str | None:
    """Waits until the next change of a release is safe. Returns why it is not after ``seconds``, or None when it is.

    Returns at once if waiting does not help: the roll-out is stuck, or it waits for a migration that failed.
    """
    return wait_until_none(lambda: unsafe(cluster, name), seconds, notify)


def unsafe(cluster: Cluster, name: str) -> tuple[str | None, bool]:
    """Why the next change of a release is not safe (None: it is), and whether that stays so."""
    migration = find_migration(cluster, name)
    if migration.state is MigrationState.RUNNING:
        return _runs(migration), False
    deployment = cluster.get(DEPLOYMENT, name)
    if deployment is None:
        return f"there is no Deployment {name}", migration.state is MigrationState.FAILED
    running, rollout = describe(deployment), rollout_of(deployment)
    if rollout.state is RolloutState.STUCK:
        return f"the roll-out is stuck: {rollout.message}", True
    if running.ours:
        reason = settled(cluster, running)
    else:
        # The name of its Service is not known.
        reason = rollout.message if rollout.state is not RolloutState.DONE else None
        if reason is None and any(map(is_terminating, server_pods(cluster, running))):
            reason = "older servers drain"
    if reason is not None and migration.state is MigrationState.FAILED:
        return f"{reason}; the migration failed: {migration.reason}", True
    return reason, False


def _runs(migration: Migration) -> str:
    why = f": {migration.reason}" if migration.reason else f": {migration.log[-1]}" if migration.log else ""
    return f"the migration {migration.job} runs{why}"
