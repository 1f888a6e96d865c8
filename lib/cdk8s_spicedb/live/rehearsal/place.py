"""Where an upgrade is rehearsed: a new namespace, or an empty one that somebody made for it. Nothing outlives it.

Everything belongs to a Job without pods, whose deadline this process moves forward again and again. If this process is
killed, Kubernetes deletes the Job at the deadline, and with it everything that belongs to it.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from threading import Event, Thread

from attrs import evolve, frozen

from ...errors import SpiceDBError
from ...labels import OWN, POD_SECURITY
from ...manifests.objects import Manifest
from ...text import some_of, time_of
from ..apierror import ClusterError, Conflict, Forbidden, NotFound, leave
from ..cluster import CONFIG_MAP, DEPLOYMENT, JOB, LEASE, NAMESPACE, POD, SECRET, Cluster, Kind
from ..pods import created
from ..poll import parallel, poll
from ..runs import belonging

LABEL = "cdk8s-spicedb/rehearsal"
"""Label of everything that exists for a rehearsal. Its value is the name of the SpiceDB."""
CLOCK = "rehearsal-clock"
"""Name of the Job to which everything belongs."""
_BY = "cdk8s-spicedb/rehearsed-by"
"""The process that rehearses: its machine and its number."""
_DEADLINE_SECONDS, _RENEW_SECONDS = 30 * 60, 5 * 60
_LATE = timedelta(seconds=_DEADLINE_SECONDS + _RENEW_SECONDS)
"""After this time, a namespace without the Job is one that a rehearsal on another machine left."""
_GONE_SECONDS = 60
_SHOWN = 5


@frozen
class Place:
    """A namespace for one rehearsal."""

    cluster: Cluster
    """The namespace."""
    name: str
    """Name of the SpiceDB."""
    clock: Manifest
    """The Job to which everything belongs."""

    def apply(self, manifest: Manifest) -> None:
        """Creates or changes an object, which is deleted with the Job. Raises `SpiceDBError` with what to do if you may
        not, or if a quota does not allow it."""
        try:
            self.cluster.apply(self.own(manifest))
        except Forbidden as error:
            where = f"the namespace {self.cluster.namespace}"
            fix = "allow it there, or name another namespace with --into"
            raise SpiceDBError(f"cannot rehearse in {where}: {error}; {fix}") from None

    def own(self, manifest: Manifest) -> Manifest:
        """An object, with what says that it belongs to the rehearsal."""
        metadata = manifest["metadata"]
        labelled = {**manifest, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), LABEL: self.name}}}
        return belonging(labelled, JOB, self.clock)


def place(
    cluster: Cluster, name: str, into: str | None, manifests: Sequence[Manifest]
) -> AbstractContextManager[Place]:
    """The namespace ``into``, or a new one, for a rehearsal that begins with these objects."""
    return throwaway(cluster, name) if into is None else given(cluster, name, into, manifests)


# ---------------------------------------------------------------- a new namespace


@contextmanager
def throwaway(cluster: Cluster, name: str) -> Iterator[Place]:
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
            "labels": {**OWN, LABEL: name, **({POD_SECURITY: standard} if standard else {})},
            "annotations": _by(),
        },
    }
    inside = evolve(cluster, namespace=manifest["metadata"]["name"])
    try:
        try:
            cluster.create(manifest)
        except Forbidden as error:
            text = "to rehearse in a namespace that somebody created for you, name it with --into"
            raise SpiceDBError(f"{error}; {text}") from None
        with _ticking(inside, name) as clock:
            yield Place(inside, name, clock)
    finally:
        leave(lambda: cluster.leaving().delete(NAMESPACE, inside.namespace))


def _delete_left(cluster: Cluster) -> None:
    with suppress(ClusterError):
        for namespace in cluster.find(NAMESPACE, labels=LABEL):
            with suppress(ClusterError):
                if _is_left(cluster, namespace):
                    cluster.delete(NAMESPACE, namespace["metadata"]["name"], only=namespace)


def _is_left(cluster: Cluster, namespace: Manifest) -> bool:
    """Whether nobody rehearses there any more, as far as this machine can tell."""
    runs = _runs(namespace)
    if runs is not None:
        return not runs
    inside = evolve(cluster, namespace=namespace["metadata"]["name"])
    return cluster.clock.now() - time_of(created(namespace)) > _LATE and inside.get(JOB, CLOCK) is None


# ---------------------------------------------------------------- a namespace of somebody


@contextmanager
def given(cluster: Cluster, name: str, namespace: str, manifests: Sequence[Manifest]) -> Iterator[Place]:
    """A namespace that exists, and that stays. All objects of the rehearsal are deleted in the end.

    Also deletes what a process on this machine that was killed has left there. Raises `SpiceDBError` if somebody else
    rehearses there, or if it has one of the objects with which the rehearsal begins.
    """
    if namespace == cluster.namespace:
        raise SpiceDBError(f"the live SpiceDB is in {namespace}; name another namespace with --into, which is empty")
    inside = evolve(cluster, namespace=namespace)
    _take_over(inside, manifests)
    with _ticking(inside, name) as clock:
        _require_free(inside, name, manifests)
        try:
            yield Place(inside, name, clock)
        finally:
            _empty(inside.leaving(), name, manifests)


def _take_over(inside: Cluster, manifests: Sequence[Manifest]) -> None:
    """Deletes what a rehearsal has left. Raises `SpiceDBError` if one is under way."""
    clock = inside.get(JOB, CLOCK)
    if clock is not None and _runs(clock) is not False:
        by = clock["metadata"].get("annotations", {}).get(_BY) or "somebody"
        raise SpiceDBError(
            f"{by} (host:process) rehearses in {inside.namespace}; wait until that is done. If that process was "
            f"killed, Kubernetes deletes everything {_DEADLINE_SECONDS // 60} min later"
        )
    names = {each["metadata"]["labels"][LABEL] for kind in _kinds(manifests) for each in _labelled(inside, kind)}
    for name in names:
        _empty(inside, name, manifests)


def _require_free(inside: Cluster, name: str, manifests: Sequence[Manifest]) -> None:
    """Raises `SpiceDBError` if a name is taken. Pods that are stopping are gone soon."""
    wanted = [*((Kind.of(each), each["metadata"]["name"]) for each in manifests), *_of_upgrade(name)]

    def taken() -> list[str]:
        return [f"{kind.kind} {name}" for kind, name in wanted if inside.get(kind, name) is not None]

    found = poll(taken, until=lambda found: not found, seconds=_GONE_SECONDS, clock=inside.clock)
    if found:
        raise SpiceDBError(
            f"the namespace {inside.namespace} has objects with the names of the rehearsal's own: "
            f"{some_of(found, _SHOWN)}; name an empty namespace with --into"
        )


def _empty(inside: Cluster, name: str, manifests: Sequence[Manifest]) -> None:
    """Deletes everything that belongs to a rehearsal, whether or not the Job does it too."""
    kinds = _kinds(manifests)
    found = parallel(lambda kind: [(kind, each["metadata"]["name"]) for each in _labelled(inside, kind)], kinds)
    parallel(lambda each: leave(lambda: inside.delete(*each)), [*(each for some in found for each in some)])
    with suppress(ClusterError):
        # Somebody may have installed a SpiceDB of this name meanwhile.
        if inside.get(DEPLOYMENT, name) is None:
            parallel(lambda each: leave(lambda: inside.delete(*each)), _of_upgrade(name))


def _labelled(inside: Cluster, kind: Kind) -> list[Manifest]:
    with suppress(ClusterError):
        return inside.find_metadata(kind, labels=LABEL)
    return []


def _kinds(manifests: Iterable[Manifest]) -> list[Kind]:
    return list(dict.fromkeys([JOB, POD, SECRET, CONFIG_MAP, *map(Kind.of, manifests)]))


def _of_upgrade(name: str) -> list[tuple[Kind, str]]:
    """The record and the lock of the upgrade, which have no label of a rehearsal."""
    return [(CONFIG_MAP, f"{name}-upgrade"), (LEASE, f"{name}-upgrade")]


# ---------------------------------------------------------------- the Job


@contextmanager
def _ticking(inside: Cluster, name: str) -> Iterator[Manifest]:
    """Creates the Job, moves its deadline forward until the context ends, and deletes it."""
    start, ended = inside.clock.monotonic(), Event()
    try:
        clock = inside.create(_clock(name, _DEADLINE_SECONDS))
    except NotFound as error:
        raise SpiceDBError(f"{error}; create it, or leave out --into") from None
    except Conflict:
        raise SpiceDBError(f"another rehearsal has just begun in {inside.namespace}; wait until it is done") from None

    def renew() -> None:
        while not inside.clock.wait(ended, _RENEW_SECONDS):
            deadline = int(inside.clock.monotonic() - start) + _DEADLINE_SECONDS
            with suppress(Exception):  # The next one may succeed.
                inside.apply(_clock(name, deadline))

    thread = Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield clock
    finally:
        ended.set()
        thread.join(_GONE_SECONDS)
        leave(lambda: inside.leaving().delete(JOB, CLOCK))


def _clock(name: str, deadline_seconds: int) -> Manifest:
    labels = {**OWN, LABEL: name}
    # It has no pods, so nobody pulls the image.
    template = {"restartPolicy": "Never", "containers": [{"name": "clock", "image": "none"}]}
    spec = {
        "parallelism": 0,
        "activeDeadlineSeconds": deadline_seconds,
        "ttlSecondsAfterFinished": 0,
        "template": {"metadata": {"labels": labels}, "spec": template},
    }
    metadata = {"name": CLOCK, "labels": labels, "annotations": _by()}
    return {**JOB.type_meta, "metadata": metadata, "spec": spec}


def _by() -> dict[str, str]:
    return {_BY: f"{socket.gethostname()}:{os.getpid()}"}


def _runs(manifest: Manifest) -> bool | None:
    """Whether the process that rehearses in a namespace, or with a Job, runs. None: it is on another machine."""
    host, _, number = manifest["metadata"].get("annotations", {}).get(_BY, "").rpartition(":")
    if host != socket.gethostname() or not number.isdecimal():
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
