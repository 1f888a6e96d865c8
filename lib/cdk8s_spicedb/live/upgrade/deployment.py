"""What an upgrade or a rollback does to the Deployment itself: it pauses and resumes it, stops and starts it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from attrs import asdict, frozen

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


def is_held(cluster: Cluster, name: str) -> bool:
    """Whether this package has paused the Deployment."""
    return _is_held(cluster.get(DEPLOYMENT, name) or {"metadata": {}})


def hold(cluster: Cluster, name: str) -> None:
    """Pauses the Deployment: whatever is applied changes no server until `resume`."""

    def act(deployment: Manifest) -> None:
        deployment["metadata"].setdefault("annotations", {})[_HELD] = "true"
        deployment["spec"]["paused"] = True

    change(cluster, name, act)


def resume(cluster: Cluster, name: str) -> None:
    """Ends the pause, if this package has made it."""
    change(cluster, name, _resume)


def _resume(deployment: Manifest) -> None:
    if _is_held(deployment):
        del deployment["metadata"]["annotations"][_HELD]
        deployment["spec"].pop("paused", None)


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


def stop(cluster: Cluster, running: Running) -> Stopped:
    """Stops all servers, or finds that they are stopped already. Does not wait until they have ended."""
    now = Stopped(running.replicas, f"{cluster.clock.now():%Y%m%d%H%M%S}")

    def act(deployment: Manifest) -> None:
        nonlocal now
        annotations = deployment["metadata"].setdefault("annotations", {})
        if _STOPPED in annotations:
            now = Stopped(**json.loads(annotations[_STOPPED]))
        annotations[_STOPPED] = json.dumps(asdict(now))
        deployment["spec"]["replicas"] = 0

    change(cluster, running.name, act)
    return now


def is_stopped(cluster: Cluster, name: str) -> bool:
    """Whether this package has stopped the servers."""
    return _STOPPED in _annotations(cluster.get(DEPLOYMENT, name) or {"metadata": {}})


def start(cluster: Cluster, name: str) -> None:
    """Starts the servers, if this package has stopped them."""
    change(cluster, name, _start)


def _start(deployment: Manifest) -> None:
    told = _annotations(deployment).pop(_STOPPED, None)
    # Helm may have started them, with the number in its manifest.
    if told is not None and not deployment["spec"].get("replicas"):
        deployment["spec"]["replicas"] = Stopped(**json.loads(told)).replicas


def return_to(cluster: Cluster, name: str, template: Manifest) -> None:
    """Gives a Deployment that is held or stopped an older pod template, and lets it run, all at once."""

    def act(deployment: Manifest) -> None:
        deployment["spec"]["template"] = template
        _resume(deployment)
        _start(deployment)

    change(cluster, name, act)


def change(cluster: Cluster, name: str, act: Callable[[Manifest], None]) -> None:
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
    return _HELD in _annotations(deployment)


def _annotations(deployment: Manifest) -> dict[str, str]:
    found: dict[str, str] = deployment["metadata"].get("annotations") or {}
    return found
