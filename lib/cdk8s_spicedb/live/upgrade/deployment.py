"""What an upgrade or a rollback does to the Deployment itself: it pauses and resumes it, stops and starts it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from attrs import asdict, evolve, frozen

from ...errors import SpiceDBError
from ...manifests.objects import Manifest
from ..apierror import Conflict
from ..cluster import DEPLOYMENT, Cluster
from ..instance import MissingError, Running

_HELD = "cdk8s-spicedb/held"
"""Annotation of a Deployment that this package has paused. Somebody else's pause stays."""
_ATTEMPTS = 5
_STOPPED = "cdk8s-spicedb/stopped"
"""Annotation of a Deployment that this package has stopped: JSON with what is needed to go on."""


@frozen
class Stopped:
    """Servers that were stopped for a restore."""

    replicas: int
    """How many they were."""
    at: str
    """When they were stopped, in digits."""
    digest: str
    """The relationships of the backup that is restored."""
    restored: bool = False
    """Whether the backup is restored, so that only the servers must return."""


def is_held(cluster: Cluster, name: str) -> bool:
    """Whether this package has paused the Deployment, and nobody has resumed it since."""
    return _is_held(cluster.get(DEPLOYMENT, name) or {"metadata": {}})


def hold(cluster: Cluster, name: str) -> None:
    """Pauses the Deployment: whatever is applied changes no server until `resume`."""

    def act(deployment: Manifest) -> None:
        deployment["metadata"].setdefault("annotations", {})[_HELD] = "true"
        deployment["spec"]["paused"] = True

    change(cluster, name, act)


def resume(cluster: Cluster, name: str, *, template: Manifest | None = None) -> None:
    """Lets the servers run again: ends a pause and a stop of this package, and leaves those of others. With
    ``template``, they also get this pod template. After a stop, the note stays until `forget`."""

    def act(deployment: Manifest) -> None:
        spec, was_stopped = deployment["spec"], _stopped(deployment)
        if _annotations(deployment).pop(_HELD, None) is not None:
            spec.pop("paused", None)
        # Helm may have started them, with the number in its manifest.
        if was_stopped is not None and not spec.get("replicas"):
            spec["replicas"] = was_stopped.replicas
        if template is not None:
            spec["template"] = template

    change(cluster, name, act)


@contextmanager
def holding(cluster: Cluster, running: Running) -> Iterator[None]:
    """Holds the servers as they are. If what is applied fails before it reaches them, they are let go again."""
    hold(cluster, running.name)
    try:
        yield
    except BaseException:
        with suppress(Exception):  # What failed matters more. A Deployment that stays paused serves.
            leaving = cluster.leaving()
            if (leaving.get(DEPLOYMENT, running.name) or {})["spec"]["template"] == running.template:
                resume(leaving, running.name)
        raise


def stop(cluster: Cluster, running: Running, digest: str) -> Stopped:
    """Stops all servers for the restore of a backup, or finds that they are stopped for it already. Does not wait until
    they have ended."""
    found = Stopped(running.replicas, f"{cluster.clock.now():%Y%m%d%H%M%S}", digest)

    def act(deployment: Manifest) -> None:
        nonlocal found
        before = _stopped(deployment)
        if before is not None:
            # The tables may hold a part of another backup. They are set aside too, with a new name.
            found = before if before.digest == digest else evolve(found, replicas=before.replicas)
        _note(deployment, found)
        if not found.restored:
            deployment["spec"]["replicas"] = 0

    change(cluster, running.name, act)
    return found


def note_restored(cluster: Cluster, name: str) -> None:
    """Notes that the backup is restored."""

    def act(deployment: Manifest) -> None:
        before = _stopped(deployment)
        if before is not None:
            _note(deployment, evolve(before, restored=True))

    change(cluster, name, act)


def stopped(cluster: Cluster, name: str) -> Stopped | None:
    """What is known of servers that were stopped for a restore which is not over. None: there is none."""
    return _stopped(cluster.get(DEPLOYMENT, name) or {"metadata": {}})


def require_not_stopped(cluster: Cluster, name: str) -> None:
    """Raises `SpiceDBError` if a backup is being restored."""
    if stopped(cluster, name) is not None:
        raise SpiceDBError(
            f"a restore of a backup is under way, and the servers of {name} may be stopped; finish it first: "
            f"cdk8s-spicedb rollback {name} --file FILE --restore BACKUP {cluster.options()}"
        )


def forget(cluster: Cluster, name: str) -> None:
    """Removes the note: the restore is over."""
    change(cluster, name, lambda deployment: _annotations(deployment).pop(_STOPPED, None))


def _stopped(deployment: Manifest) -> Stopped | None:
    text = _annotations(deployment).get(_STOPPED)
    return None if text is None else Stopped(**json.loads(text))


def _note(deployment: Manifest, found: Stopped) -> None:
    deployment["metadata"].setdefault("annotations", {})[_STOPPED] = json.dumps(asdict(found))


def change(cluster: Cluster, name: str, act: Callable[[Manifest], object]) -> None:
    """Changes a Deployment, and leaves what others change at the same time. Raises `MissingError` if there is none."""
    for attempt in range(_ATTEMPTS):
        deployment = cluster.get(DEPLOYMENT, name)
        if deployment is None:
            raise MissingError(name, cluster.namespace)
        before = copy.deepcopy(deployment)
        act(deployment)
        if deployment == before:
            return
        try:
            cluster.replace(deployment)
            return
        except Conflict:
            if attempt == _ATTEMPTS - 1:
                raise


def _is_held(deployment: Manifest) -> bool:
    return _HELD in _annotations(deployment) and bool(deployment["spec"].get("paused"))


def _annotations(deployment: Manifest) -> dict[str, str]:
    found: dict[str, str] = deployment["metadata"].get("annotations") or {}
    return found
