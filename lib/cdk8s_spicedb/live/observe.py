"""The one reader of what runs: the servers of an instance, its migration, and its Helm release, read in one round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..labels import INSTANCE, JOB_NAME, NAME, SERVICE_NAME, Component, selector_text
from ..manifests.objects import Manifest
from .apierror import ClusterError, Unreachable, reads
from .cluster import DEPLOYMENT, ENDPOINT_SLICE, JOB, POD, REPLICA_SET, Cluster
from .instance import MissingError, Observed, describe, selector_of
from .pods import container_of, created, is_terminating, job_state
from .poll import parallel
from .released import helm_release_of, helm_releases

_LOG_LINES = 3


@reads("what runs")
def observe(cluster: Cluster, name: str, *, rollout: bool = False, helm: bool = False) -> Observed:
    """Reads what runs of one instance. ``rollout`` also reads what a judgement of its roll-out needs, and ``helm`` the
    revisions of its Helm release.

    Raises `ClusterError` if the Deployment cannot be read. Whatever else may not be read is in `Observed.unknown`.
    """
    at, second = cluster.clock.now(), cluster.clock.monotonic()
    deployment = cluster.get(DEPLOYMENT, name)
    running = describe(deployment) if deployment else None
    servers = selector_of(running) if running else selector_text(name, Component.SERVER)
    own = servers if running and not running.ours else f"{NAME}=spicedb,{INSTANCE}={name}"
    questions: dict[str, _Question] = {
        "pods": lambda: cluster.find(POD, labels=own),
        "jobs": lambda: sorted(cluster.find(JOB, labels=selector_text(name, Component.MIGRATION)), key=created),
    }
    if rollout:
        questions["replica_sets"] = lambda: cluster.find(REPLICA_SET, labels=servers)
    release = helm_release_of(deployment)
    if helm and release:
        questions["helm"] = lambda: helm_releases(cluster, release)
    unknown: dict[str, ClusterError] = {}
    found = _ask(questions, unknown)
    if any(map(is_terminating, found["pods"])):
        at = cluster.now()
    job = job_state(found["jobs"][-1]) if found["jobs"] else None
    if job and (job.runs or (job.failed and not rollout)):
        found |= _ask({"log": lambda: _log(cluster, found["jobs"][-1], found["pods"])}, unknown)
    elif rollout:
        slices = f"{SERVICE_NAME}={name}"
        found |= _ask({"endpoints": lambda: cluster.find(ENDPOINT_SLICE, labels=slices)}, unknown)
    return Observed(
        name=name, namespace=cluster.namespace, at=at, second=second, deployment=deployment, unknown=unknown, **found
    )


def require(cluster: Cluster, name: str, *, rollout: bool = False, helm: bool = False) -> Observed:
    """What `observe` returns. Raises `MissingError` if no server was installed."""
    seen = observe(cluster, name, rollout=rollout, helm=helm)
    if seen.deployment is None:
        raise MissingError.among(cluster, name)
    return seen


_Question = Callable[[], Iterable[Any]]


def _ask(questions: Mapping[str, _Question], unknown: dict[str, ClusterError]) -> dict[str, tuple[Any, ...]]:
    """The answers to questions that are asked side by side. What may not be asked is ``unknown``."""

    def answer(item: tuple[str, _Question]) -> tuple[str, tuple[Any, ...]]:
        what, question = item
        try:
            return what, tuple(question())
        except Unreachable:
            raise
        except ClusterError as error:
            unknown[what] = error
            return what, ()

    return dict(parallel(answer, questions.items()))


def _log(cluster: Cluster, job: Manifest, pods: Iterable[Manifest]) -> list[str]:
    """The last lines of the log of a Job's newest pod."""
    own = [pod for pod in pods if (pod["metadata"].get("labels") or {}).get(JOB_NAME) == job["metadata"]["name"]]
    if not own:
        return []
    pod = max(own, key=created)
    return cluster.log(pod["metadata"]["name"], container_of(pod)["name"], tail=_LOG_LINES).strip().splitlines()
