"""What runs: the servers of a SpiceDB, its migration, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from attrs import evolve, frozen

from ..delivery import Applier
from ..errors import SpiceDBError
from ..labels import COMPONENT, INSTANCE, NAME, Component
from ..manifests.objects import Manifest
from ..plans.words import step_of
from ..versions import Concern, ReleaseTable
from .apierror import SHAPE, ClusterError, Unreachable, odd, reads
from .cluster import JOB, Cluster
from .compare import Drift, find_drift
from .evidence import Certificate, EventWarning, find_certificates, find_warnings, known_faults
from .instance import HelmRelease, MissingError, Observed, Running, describe, find_all
from .observe import observe
from .pods import Pod, pod_of
from .record import Record, data_of, record_in
from .released import helm_release_of
from .text import redacted
from .unfinished import Unfinished, unfinished_in
from .workload import (
    Migration,
    MigrationState,
    Rollout,
    RolloutState,
    counts,
    migration_of,
    migration_state,
    rollout_of,
)


@frozen(kw_only=True)
class _Instance:
    """What one line and the whole status say."""

    name: str
    """Name of the SpiceDB."""
    namespace: str
    """Its namespace."""
    version: str | None = None
    """SpiceDB version of the servers that are wanted. None if it is not known."""
    engine: str | None = None
    """Engine of the datastore. None if it is not known."""
    ready: int = 0
    """Number of servers that are ready, of any template."""
    replicas: int = 0
    """Number of servers that are wanted."""
    applier: Applier | None = None
    """Program that applied it. None if no server was installed yet."""
    applied_as: str | None = None
    """Name of the Helm release, Argo CD Application or Flux object."""


@frozen(kw_only=True)
class Summary(_Instance):
    """A SpiceDB in one line."""

    healthy: bool
    """Whether all wanted servers are ready, no roll-out is stuck, and no migration failed."""
    state: str
    """What it does, in a few words."""


@frozen(kw_only=True)
class Status(_Instance):
    """What runs of one SpiceDB."""

    healthy: bool
    """Whether nothing is wrong: ``problems`` is empty."""
    problems: Sequence[str]
    """What is wrong."""
    ours: bool = True
    """Whether this package made the release. Of other releases, only part is known."""
    helm: HelmRelease | None = None
    """Newest revision of the Helm release. None without Helm, or if it is not known."""
    rollout: Rollout | None = None
    """Roll-out of the servers. None if no server was installed yet."""
    pods: Sequence[Pod] = ()
    """All pods of the servers, also older ones and those that drain, oldest first."""
    migration: Migration | None = None
    """Newest migration. None for a SpiceDB of another program."""
    schema_mode: str | None = None
    """Schema mode of the servers. None: SpiceDB's default."""
    migration_phase: str | None = None
    """Datastore migration phase of the servers. None: no phase."""
    allowed_migrations: Sequence[str] = ()
    """Revisions on which the servers start, in addition to their own head."""
    upgrade: str | None = None
    """Where an upgrade with several steps stands. None: none is under way."""
    install: str | None = None
    """An install that is not finished, in one sentence. None: there is none."""
    warnings: Sequence[EventWarning] = ()
    """What Kubernetes warned about in the last hour, newest first."""
    drift: Drift | None = None
    """What somebody changed since the release. None: it was not compared."""
    certificates: Sequence[Certificate] | None = None
    """Certificates that the servers mount. None: they were not read."""
    revision: str | None = None
    """Revision of the datastore's schema. ``none`` before the first migration. None: the datastore was not asked."""
    advisories: Sequence[Concern] = ()
    """Known faults of the release that concern the servers, or that may, the most severe first."""
    unknown: Sequence[str] = ()
    """What could not be read, and why."""


@reads("what runs")
def statuses(cluster: Cluster, everywhere: bool = False) -> Sequence[Summary]:
    """All SpiceDBs of the namespace, or of all namespaces, whoever installed them."""
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(_jobs, cluster, everywhere)
        deployments = find_all(cluster, everywhere=everywhere)
        jobs = waiting.result()
    found = [_readable(each, jobs.pop(_place(each), None)) for each in deployments]
    for (namespace, name), job in jobs.items():
        state = f"not installed; migration {migration_state(job).value}"
        found.append(Summary(name=name, namespace=namespace, healthy=False, state=state))
    return sorted(found, key=lambda each: (each.namespace, each.name))


def _jobs(cluster: Cluster, everywhere: bool) -> dict[tuple[str, str], Manifest]:
    """The newest migration Job of each release. Empty without the right to list Jobs."""
    labels = f"{NAME}=spicedb,{COMPONENT}={Component.MIGRATION.value}"
    try:
        jobs = cluster.find(JOB, labels=labels, everywhere=everywhere)
    except ClusterError:
        return {}
    jobs.sort(key=lambda each: str(each["metadata"].get("creationTimestamp", "")))
    labels_of = [(each["metadata"].get("labels") or {}, each) for each in jobs]
    return {(_place(each)[0], str(labels.get(INSTANCE, ""))): each for labels, each in labels_of}


def _readable(deployment: Manifest, job: Manifest | None) -> Summary:
    """The summary of a Deployment. One that cannot be read hides no other."""
    try:
        return _summary(deployment, job)
    except SHAPE as error:
        namespace, name = _place(deployment)
        return Summary(name=name, namespace=namespace, healthy=False, state=str(odd(error, "its Deployment")))


def _place(deployment: Manifest) -> tuple[str, str]:
    return str(deployment["metadata"].get("namespace", "")), str(deployment["metadata"]["name"])


def _summary(deployment: Manifest, job: Manifest | None) -> Summary:
    running, rollout, ready = describe(deployment), rollout_of(deployment), counts(deployment).ready
    migration = migration_state(job) if job and running.ours else MigrationState.NONE
    # Whether a rollback made up for a failed migration, only the status of one SpiceDB says.
    failed = migration is MigrationState.FAILED
    if failed or migration is MigrationState.RUNNING:
        state = f"migration {migration.value}"
    elif rollout.state is RolloutState.DONE:
        state = "ready" if ready >= running.replicas else "not ready"
    else:
        state = f"roll-out {rollout.state.value}"
    healthy = ready >= running.replicas and rollout.state is not RolloutState.STUCK and not failed
    return Summary(**_facts(running, deployment), healthy=healthy, state=state)


def _facts(running: Running, deployment: Manifest) -> dict[str, Any]:
    """What one line and the whole status say of servers."""
    names = ("name", "namespace", "version", "engine", "replicas", "applier", "applied_as")
    return {**{name: getattr(running, name) for name in names}, "ready": counts(deployment).ready}


@reads("what runs")
def status(
    cluster: Cluster,
    name: str,
    *,
    drift: bool = False,
    certificates: bool = False,
    releases: ReleaseTable | None = None,
) -> Status:
    """What runs of one SpiceDB. Raises `SpiceDBError` if there is neither a server nor a migration.

    ``drift`` also compares with what was released, and ``certificates`` reads when certificates expire; both need the
    right to read Secrets. ``releases`` has the known faults of releases, by default those that this package knows.
    """
    with ThreadPoolExecutor(4) as pool:
        asked: list[tuple[str, Future[Any]]] = [
            ("warnings", pool.submit(find_warnings, cluster, name)),
            ("upgrade", pool.submit(data_of, cluster, name)),
        ]
        seen = observe(cluster, name, helm=True)
        running = seen.running
        if running and drift:
            asked.append(("drift", pool.submit(find_drift, cluster, running, helm_release_of(seen.deployment))))
        if running and certificates:
            asked.append(("certificates", pool.submit(find_certificates, cluster, running.template)))
    unknown: dict[str, SpiceDBError] = {
        _TITLES.get(what, what): error for what, error in seen.unknown.items() if what != "log"
    }
    answers: dict[str, Any] = {what: _answer(what, future.result, unknown) for what, future in asked}
    data = answers["upgrade"] or {}
    answers["upgrade"] = _answer("upgrade", lambda: _upgrade(record_in(data, cluster, name)), unknown)
    answers["install"] = _answer("install", lambda: _install(unfinished_in(data, cluster, name)), unknown)
    answers["warnings"] = answers["warnings"] or ()
    found = evolve(_servers(seen, releases) if running else _not_installed(cluster, seen), **answers)
    problems = (*found.problems, *_problems(found))
    texts = sorted(f"{what}: {error}" for what, error in unknown.items())
    return evolve(found, problems=problems, healthy=not problems, unknown=tuple(texts))


_TITLES = {"jobs": "migration", "helm": "Helm"}


def _answer(what: str, ask: Callable[[], Any], unknown: dict[str, SpiceDBError]) -> Any:
    """An answer. None if it is unknown, such as for lack of a right."""
    try:
        return ask()
    except Unreachable:
        raise
    except SpiceDBError as error:
        unknown[what] = error
        return None


def _servers(seen: Observed, releases: ReleaseTable | None) -> Status:
    """What runs, without what is wrong with it."""
    assert seen.running is not None
    assert seen.deployment is not None
    running = seen.running
    return Status(
        **_facts(running, seen.deployment),
        healthy=True,
        problems=(),
        ours=running.ours,
        helm=max(seen.helm, key=lambda each: each.revision, default=None),
        rollout=rollout_of(seen.deployment),
        pods=sorted((pod_of(pod, seen.at) for pod in seen.servers), key=lambda each: (each.started, each.name)),
        migration=_migration(seen) if running.ours else None,
        schema_mode=running.schema_mode,
        migration_phase=running.migration_phase,
        allowed_migrations=running.allowed_migrations,
        advisories=known_faults(running, releases),
    )


def _migration(seen: Observed) -> Migration | None:
    """The newest migration. None if it is not known."""
    return None if "jobs" in seen.unknown else migration_of(seen)


def _not_installed(cluster: Cluster, seen: Observed) -> Status:
    migration = _migration(seen)
    if migration is None or migration.state is MigrationState.NONE:
        raise MissingError.among(cluster, seen.name, _LIST)
    problems = ("no server was installed yet",)
    return Status(name=seen.name, namespace=seen.namespace, healthy=False, problems=problems, migration=migration)


_LIST = ". Without a name, `cdk8s-spicedb status --all-namespaces` lists every SpiceDB"
_MANY_RESTARTS = 3
"""A server that restarts so often needs help. While a migration runs, new servers wait for it in this way."""


def _problems(found: Status) -> Iterator[str]:
    if found.ready < found.replicas:
        yield f"{found.ready} of {found.replicas} servers are ready"
    if found.rollout and found.rollout.state is RolloutState.STUCK:
        yield f"the roll-out is stuck: {found.rollout.message}"
    if not found.migration or found.migration.state is not MigrationState.RUNNING:
        failing = [pod for pod in found.pods if pod.restarts >= _MANY_RESTARTS and not (pod.ready or pod.terminating)]
        yield from (f"{pod.name} does not become ready: {pod.reason}" for pod in failing if pod.reason)
    if found.migration and found.migration.state is MigrationState.FAILED and not _is_over(found):
        yield f"the migration failed: {found.migration.reason}"
    if found.helm and found.helm.status == "failed":
        yield f"Helm's revision {found.helm.revision} failed; see `helm history {found.helm.release}`"
    for each in found.certificates or ():
        if each.days is not None and each.days < 0:
            yield f"the certificate {each.key} in the Secret {each.secret} has expired"


def _is_over(found: Status) -> bool:
    """Whether Helm deployed a revision after the migration failed, such as by a rollback."""
    ended = found.migration.ended if found.migration else None
    return bool(found.helm and found.helm.status == "deployed" and ended and found.helm.created > ended)


def _install(found: Unfinished | None) -> str | None:
    """An install that is not finished, in one sentence. None: there is none."""
    if found is None:
        return None
    return (
        f"not finished, began at {found.started}; if it does not run any more, run `cdk8s-spicedb install` again, or "
        "remove what is left with `cdk8s-spicedb uninstall`"
    )


def _upgrade(record: Record | None) -> str | None:
    """Where an upgrade stands, in one sentence."""
    if record is None or record.next_step is None:
        return None
    number, plan = record.running or record.next_step, record.plan
    step = record.step(number)
    doing = "runs" if record.running is not None and record.stopped is None else "is next"
    text = f"{plan.current} to {plan.target}: {step_of(number, len(plan.steps))} ({step.version}) {doing}"
    return f"{text}; the last attempt stopped: {redacted(record.stopped)}" if record.stopped else text
