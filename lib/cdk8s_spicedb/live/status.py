"""What runs: the servers of a SpiceDB, its migration, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar, cast

from attrs import evolve, field, frozen

from ..delivery import Applier
from ..errors import SpiceDBError
from ..labels import COMPONENT, INSTANCE, NAME, Component
from ..manifests.objects import Manifest
from ..plans.words import step_of
from .cluster import (
    DEPLOYMENT,
    JOB,
    Cluster,
    ClusterError,
    Unreachable,
)
from .compare import Drift, find_drift
from .evidence import Certificate, EventWarning, find_certificates, find_warnings
from .instance import describe, find_all, is_terminating, server_pods
from .released import HelmRelease, helm_release_of, helm_releases
from .upgrade.record import Record, read_record
from .workload import (
    Migration,
    MigrationState,
    Pod,
    Rollout,
    RolloutState,
    find_migration,
    migration_state,
    pod_of,
    rollout_of,
    settled,
    wait_until_none,
)


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


__all__ = ["Status", "Summary", "status", "statuses"]

T = TypeVar("T")
_PARALLEL = 6


@frozen(kw_only=True)
class Status:
    """What runs of one SpiceDB."""

    name: str
    """Name of the SpiceDB."""
    namespace: str
    """Its namespace."""
    healthy: bool
    """Whether nothing is wrong: ``problems`` is empty."""
    problems: Sequence[str]
    """What is wrong."""
    ours: bool
    """Whether this package made the release. Of other releases, only part is known."""
    applier: Applier | None
    """Program that applied it. None if no server was installed yet."""
    applied_as: str | None
    """Name of the Helm release, Argo CD Application or Flux object."""
    helm: HelmRelease | None
    """Newest revision of the Helm release. None without Helm, or if it is not known."""
    version: str | None
    """SpiceDB release of the servers that are wanted. None if it is not known."""
    engine: str | None
    """Engine of the datastore. None if it is not known."""
    ready: int
    """Number of servers that are ready, of any template."""
    replicas: int
    """Number of servers that are wanted."""
    rollout: Rollout | None
    """Roll-out of the servers. None if no server was installed yet."""
    pods: Sequence[Pod]
    """All pods of the servers, also older ones and those that drain, oldest first."""
    migration: Migration | None
    """Newest migration. None for a SpiceDB of another program."""
    schema_mode: str | None
    """Schema mode of the servers. None: SpiceDB's default."""
    migration_phase: str | None
    """Datastore migration phase of the servers. None: no phase."""
    allowed_migrations: Sequence[str]
    """Revisions on which the servers start, in addition to their own head."""
    upgrade: str | None
    """Where an upgrade with several steps stands. None: none is under way."""
    warnings: Sequence[EventWarning]
    """What Kubernetes warned about in the last hour, newest first."""
    drift: Drift | None = None
    """What somebody changed since the release. None: it was not compared."""
    certificates: Sequence[Certificate] | None = None
    """Certificates that the servers mount. None: they were not read."""
    revision: str | None = None
    """Revision of the datastore's schema. ``none`` before the first migration. None: the datastore was not asked."""
    unknown: Sequence[str] = field(default=())
    """What could not be read, and why."""


def status(cluster: Cluster, name: str, *, drift: bool = False, certificates: bool = False) -> Status:
    """What runs of one SpiceDB. Raises `SpiceDBError` if there is neither a server nor a migration.

    ``drift`` also compares with what was released, and ``certificates`` reads when certificates expire; both need the
    right to read Secrets.
    """
    unknown: list[str] = []
    with ThreadPoolExecutor(_PARALLEL) as pool:

        def ask(what: str, question: Callable[[], T], missing: Any) -> Future[T]:
            """Asks a question at the same time as others. Without the right to it, the answer is unknown."""

            def attempt() -> T:
                try:
                    return question()
                except Unreachable:
                    raise
                except ClusterError as error:
                    unknown.append(f"{what}: {error}")
                    return cast(T, missing)

            return pool.submit(attempt)

        migration = ask("migration", lambda: find_migration(cluster, name), None)
        warnings = ask("warnings", lambda: find_warnings(cluster, name), [])
        record = ask("upgrade", lambda: read_record(cluster, name), None)
        deployment = cluster.get(DEPLOYMENT, name)
        if deployment is None:
            return _not_installed(cluster, name, migration.result(), warnings.result())
        running = describe(deployment)
        release = helm_release_of(deployment)
        pods = ask("pods", lambda: server_pods(cluster, running), [])
        history = ask("Helm", lambda: helm_releases(cluster, release) if release else [], [])
        compared = ask("drift", lambda: find_drift(cluster, running) if drift else None, None)
        read = ask("certificates", lambda: find_certificates(cluster, running.template) if certificates else None, None)
        found = Status(
            name=name,
            namespace=running.namespace,
            healthy=True,
            problems=(),
            ours=running.ours,
            applier=running.applier,
            applied_as=running.applied_as,
            helm=max(history.result(), key=lambda each: each.revision, default=None),
            version=running.version,
            engine=running.engine,
            ready=deployment.get("status", {}).get("readyReplicas", 0),
            replicas=running.replicas,
            rollout=rollout_of(deployment),
            pods=sorted(map(pod_of, pods.result()), key=lambda each: (each.started, each.name)),
            migration=migration.result() if running.ours else None,
            schema_mode=running.schema_mode,
            migration_phase=running.migration_phase,
            allowed_migrations=running.allowed_migrations,
            upgrade=_upgrade(record.result()),
            warnings=warnings.result(),
            drift=compared.result(),
            certificates=read.result(),
        )
    problems = tuple(_problems(found))
    return evolve(found, problems=problems, healthy=not problems, unknown=tuple(sorted(unknown)))


def _not_installed(
    cluster: Cluster, name: str, migration: Migration | None, warnings: Sequence[EventWarning]
) -> Status:
    if migration is None or migration.state is MigrationState.NONE:
        raise SpiceDBError(
            f"there is no Deployment {name} in the namespace {cluster.namespace}; check the name, --namespace and "
            "--context. Without a name, `cdk8s-spicedb status --all-namespaces` lists every SpiceDB"
        )
    problems = ["no server was installed yet"]
    if migration.state is MigrationState.FAILED:
        problems.append(f"the migration failed: {migration.reason}")
    return Status(
        name=name,
        namespace=cluster.namespace,
        healthy=False,
        problems=problems,
        ours=True,
        applier=None,
        applied_as=None,
        helm=None,
        version=None,
        engine=None,
        ready=0,
        replicas=0,
        rollout=None,
        pods=(),
        migration=migration,
        schema_mode=None,
        migration_phase=None,
        allowed_migrations=(),
        upgrade=None,
        warnings=warnings,
    )


def _problems(found: Status) -> Iterator[str]:
    if found.ready < found.replicas:
        yield f"{found.ready} of {found.replicas} servers are ready"
    if found.rollout and found.rollout.state is RolloutState.STUCK:
        yield f"the roll-out is stuck: {found.rollout.message}"
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


def _upgrade(record: Record | None) -> str | None:
    """Where an upgrade stands, in one sentence."""
    if record is None or record.next_step is None:
        return None
    number, plan = record.running or record.next_step, record.plan
    step = record.step(number)
    doing = "runs" if record.running is not None and record.stopped is None else "is next"
    text = f"{plan.current} to {plan.target}: {step_of(number, len(plan.steps))} ({step.version}) {doing}"
    return f"{text}; the last attempt stopped: {record.stopped}" if record.stopped else text


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
