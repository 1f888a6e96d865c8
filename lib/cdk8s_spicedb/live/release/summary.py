"""All SpiceDBs of a namespace or a cluster, each in one line."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from attrs import frozen

from ...labels import COMPONENT, INSTANCE, NAME, Component
from ...manifests.manifest import Manifest
from ..cluster import JOB, Cluster, ClusterError
from .migration import MigrationState, migration_state
from .rollout import RolloutState, rollout_of
from .running import Applier, describe, find_all


@frozen(kw_only=True)
class Summary:
    """A SpiceDB in one line."""

    name: str
    """Name of the SpiceDB."""
    namespace: str
    """Its namespace."""
    healthy: bool
    """Whether all wanted servers are ready, no roll-out is stuck, and no migration failed."""
    state: str
    """What it does, in a few words."""
    version: str | None
    """SpiceDB release of the servers that are wanted. None if it is not known."""
    engine: str | None
    """Engine of the datastore. None if it is not known."""
    ready: int
    """Number of servers that are ready."""
    replicas: int
    """Number of servers that are wanted."""
    applier: Applier | None
    """Program that applied it. None if no server was installed yet."""
    applied_as: str | None
    """Name of the Helm release, Argo CD Application or Flux object."""


def statuses(cluster: Cluster, everywhere: bool = False) -> Sequence[Summary]:
    """All SpiceDBs of the namespace, or of all namespaces, whoever installed them."""
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(_jobs, cluster, everywhere)
        deployments = find_all(cluster, everywhere=everywhere)
        jobs = waiting.result()
    found = [_summary(each, jobs.pop(_place(each), None)) for each in deployments]
    found += [_without_servers(namespace, name, job) for (namespace, name), job in jobs.items()]
    return sorted(found, key=lambda each: (each.namespace, each.name))


def _jobs(cluster: Cluster, everywhere: bool) -> dict[tuple[str, str], Manifest]:
    """The newest migration Job of each release. Empty without the right to list Jobs."""
    labels = f"{NAME}=spicedb,{COMPONENT}={Component.MIGRATION.value}"
    try:
        jobs = cluster.find(JOB, labels=labels, everywhere=everywhere)
    except ClusterError:
        return {}
    jobs.sort(key=lambda each: str(each["metadata"]["creationTimestamp"]))
    return {(each["metadata"]["namespace"], each["metadata"]["labels"].get(INSTANCE, "")): each for each in jobs}


def _place(deployment: Manifest) -> tuple[str, str]:
    return deployment["metadata"]["namespace"], deployment["metadata"]["name"]


def _summary(deployment: Manifest, job: Manifest | None) -> Summary:
    running, rollout = describe(deployment), rollout_of(deployment)
    ready = deployment.get("status", {}).get("readyReplicas", 0)
    migration = migration_state(job)[0] if job and running.ours else MigrationState.NONE
    # Whether a rollback made up for a failed migration, only the status of one SpiceDB says.
    failed = migration is MigrationState.FAILED
    if failed or migration is MigrationState.RUNNING:
        state = f"migration {migration.value}"
    elif rollout.state is RolloutState.DONE:
        state = "ready" if ready >= running.replicas else "not ready"
    else:
        state = f"roll-out {rollout.state.value}"
    return Summary(
        name=running.name,
        namespace=running.namespace,
        healthy=ready >= running.replicas and rollout.state is not RolloutState.STUCK and not failed,
        state=state,
        version=running.version,
        engine=running.engine,
        ready=ready,
        replicas=running.replicas,
        applier=running.applier,
        applied_as=running.applied_as,
    )


def _without_servers(namespace: str, name: str, job: Manifest) -> Summary:
    return Summary(
        name=name,
        namespace=namespace,
        healthy=False,
        state=f"not installed; migration {migration_state(job)[0].value}",
        version=None,
        engine=None,
        ready=0,
        replicas=0,
        applier=None,
        applied_as=None,
    )
