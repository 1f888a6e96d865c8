"""Holds the servers as they are while a release changes: their Deployment is paused, until it is resumed."""

from __future__ import annotations

import copy
from collections.abc import Callable

from ...manifests.objects import Manifest
from ..apierror import Conflict
from ..cluster import DEPLOYMENT, Cluster
from ..instance import MissingError

_HELD = "cdk8s-spicedb/held"
"""Annotation of a Deployment that this package has paused. Somebody else's pause stays."""
_ATTEMPTS = 5


def is_held(cluster: Cluster, name: str) -> bool:
    """Whether this package has paused the Deployment."""
    return _is_held(cluster.get(DEPLOYMENT, name) or {"metadata": {}})


def hold(cluster: Cluster, name: str) -> None:
    """Pauses the Deployment: whatever is applied changes no server until `resume`."""

    def act(deployment: Manifest) -> None:
        deployment["metadata"].setdefault("annotations", {})[_HELD] = "true"
        deployment["spec"]["paused"] = True

    change(cluster, name, act)


def resume(cluster: Cluster, name: str, *, template: Manifest | None = None) -> None:
    """Ends the pause, if this package has made it. With ``template``, the servers are those of this pod template."""

    def act(deployment: Manifest) -> None:
        if _is_held(deployment):
            del deployment["metadata"]["annotations"][_HELD]
            deployment["spec"].pop("paused", None)
            if template is not None:
                deployment["spec"]["template"] = template

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
    return _HELD in (deployment["metadata"].get("annotations") or {})
