"""The namespace of a rehearsal, which nothing outlives."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from attrs import evolve

from ...labels import OWN, POD_SECURITY
from ...manifests.objects import Manifest
from ...text import time_of
from ..apierror import ClusterError, leave
from ..cluster import NAMESPACE, Cluster
from ..pods import created

_LABEL = "cdk8s-spicedb/rehearsal"
_BY = "cdk8s-spicedb/rehearsed-by"
"""The process that rehearses: its machine and its number."""
_LONGEST = timedelta(hours=6)
"""After this time, another machine deletes what a rehearsal left."""


@contextmanager
def throwaway(cluster: Cluster, name: str) -> Iterator[Cluster]:
    """A new namespace, which is deleted in the end. Also deletes those that processes which were killed have left.

    It enforces the same Pod Security Standard as the namespace of the live release.
    """
    _delete_left(cluster)
    live = None
    with suppress(ClusterError):
        live = cluster.get(NAMESPACE, cluster.namespace)
    standard = (live or {}).get("metadata", {}).get("labels", {}).get(POD_SECURITY)
    manifest: Manifest = {
        "apiVersion": NAMESPACE.api_version,
        "kind": NAMESPACE.kind,
        "metadata": {
            "name": f"{cluster.namespace[:30].rstrip('-')}-rehearsal-{secrets.token_hex(3)}",
            "labels": {**OWN, _LABEL: name, **({POD_SECURITY: standard} if standard else {})},
            "annotations": {_BY: f"{socket.gethostname()}:{os.getpid()}"},
        },
    }
    place = evolve(cluster, namespace=manifest["metadata"]["name"])
    try:
        cluster.create(manifest)
        yield place
    finally:
        leave(lambda: cluster.leaving().delete(NAMESPACE, place.namespace))


def _delete_left(cluster: Cluster) -> None:
    with suppress(ClusterError):
        for namespace in cluster.find(NAMESPACE, labels=_LABEL):
            if _is_left(cluster, namespace):
                cluster.delete(NAMESPACE, namespace["metadata"]["name"], only=namespace)


def _is_left(cluster: Cluster, namespace: Manifest) -> bool:
    """Whether nobody rehearses there any more, as far as this machine can tell."""
    host, _, number = namespace["metadata"].get("annotations", {}).get(_BY, "").rpartition(":")
    if host == socket.gethostname() and number.isdecimal():
        return not _runs(int(number))
    return cluster.clock.now() - time_of(created(namespace)) > _LONGEST


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
