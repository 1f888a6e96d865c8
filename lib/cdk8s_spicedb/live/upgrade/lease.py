"""The lock of an upgrade: a Lease that one process holds and renews."""

from __future__ import annotations

import getpass
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from attrs import evolve, frozen

from ...errors import SpiceDBError
from ...labels import OWN
from ...manifests.objects import Manifest
from ..apierror import Conflict, NotFound, Unreachable, leave
from ..cluster import LEASE, Cluster
from ..poll import Clock, Deadline

DURATION_SECONDS = 30
"""Time after which the Lease of a process that is gone can be taken. Longer than a restart of the API server."""
RENEW_SECONDS = 5
_LONGEST_SECONDS = 60
"""Longest duration of a Lease that counts, whatever somebody wrote into it."""
_WAIT_SECONDS = _LONGEST_SECONDS + RENEW_SECONDS
_LEAVE_SECONDS = 3


class BusyError(SpiceDBError):
    """Another process works on the release."""


@frozen
class Lock:
    """The Lease of a release, as long as this process holds it."""

    cluster: Cluster
    """The cluster. Everything that waits with its clock raises `BusyError` as soon as the Lease is lost."""
    require: Callable[[], None]
    """Renews the Lease. Raises `BusyError` if it is lost."""


@contextmanager
def held(cluster: Cluster, name: str, notify: Callable[[str], None] = lambda _: None) -> Iterator[Lock]:
    """Holds the Lease of a release. Raises `BusyError` if another process holds and renews it.

    A Lease that another process released is taken at once, and that of a process that was killed when nobody has
    renewed it for its duration. This process measures that time itself, because the clocks of two machines can differ.
    """
    holder = _Holder(cluster, lease_name(name))
    stop = threading.Event()
    renewal = threading.Thread(target=holder.renew_until, args=(stop,), daemon=True)
    try:
        holder.take(notify)
        renewal.start()
        yield Lock(evolve(cluster, clock=_HeldClock(cluster.clock, holder)), holder.require)
    finally:
        stop.set()
        if renewal.ident is not None:
            renewal.join(_LEAVE_SECONDS)
        holder.release()


def lease_name(name: str) -> str:
    """The name of a release's Lease."""
    return f"{name}-upgrade"


class _Holder:
    """This process as the holder of a Lease."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster, self._name, self._clock = cluster, name, cluster.clock
        # Renewals are not repeated: the next one comes soon.
        self._once = cluster.patient(0)
        self._identity = f"{_user()}@{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"
        self._since = _text(self._clock.now())
        self._expires = Deadline.after(self._clock, 0)
        self._taken_by: Manifest | None = None
        self._renewing = threading.Lock()

    def require(self) -> None:
        # While the API server is away, nobody can take the Lease, so an expired one is still ours when it is back.
        self._renew(self._once if self._expires.left else self._cluster)
        self.require_not_taken()
        if not self._expires.left:
            text = f"it could not be renewed for {DURATION_SECONDS} s; run the same command again"
            raise BusyError(f"lost the Lease {self._name}: {text}")

    def require_not_taken(self) -> None:
        if self._taken_by is not None:
            raise BusyError(f"lost the Lease {self._name}: {_busy(self._taken_by)}")

    def take(self, notify: Callable[[str], None]) -> None:
        """Takes the Lease if nobody holds it, or when it did not change for its duration."""
        deadline = Deadline.after(self._clock, _WAIT_SECONDS)
        seen, expires = None, None
        while True:
            in_time = Deadline.after(self._clock, RENEW_SECONDS)
            lease = self._cluster.get(LEASE, self._name)
            if not in_time.left:
                expires = None  # The API server was away, so the holder could not renew either.
            spec = _spec(lease)
            holder, now = spec.get("holderIdentity"), (spec.get("holderIdentity"), spec.get("renewTime"))
            is_expired = expires is not None and now == seen and not expires.left
            # It is our own if the answer to the request that took it was lost.
            if not holder or holder == self._identity or is_expired:
                if self._write(self._cluster, lease):
                    return
            elif expires is None:
                seen, expires = now, Deadline.after(self._clock, _duration(spec))
                notify(f"{holder} holds the lock; checking whether that process is still running")
            elif now != seen:
                raise BusyError(_busy(spec))
            if not deadline.left:
                raise BusyError(_busy(spec))
            self._clock.sleep(1)

    def renew_until(self, stop: threading.Event) -> None:
        while self._taken_by is None and not self._clock.wait(stop, RENEW_SECONDS):
            self._renew(self._once)

    def release(self) -> None:
        # A Lease that stays expires.
        leaving = self._cluster.leaving()

        def delete() -> None:
            lease = leaving.get(LEASE, self._name)
            if lease is not None and _spec(lease).get("holderIdentity") == self._identity:
                leaving.delete(LEASE, self._name, only=lease)

        leave(delete)

    def _renew(self, cluster: Cluster) -> None:
        # Whatever goes wrong, it was not renewed. Nobody takes it before it expires, so the next attempt may succeed.
        with self._renewing, suppress(Exception):
            lease = cluster.get(LEASE, self._name)
            if _spec(lease).get("holderIdentity") == self._identity:
                self._write(cluster, lease)
            elif lease is not None:
                self._taken_by = _spec(lease)

    def _write(self, cluster: Cluster, lease: Manifest | None) -> bool:
        """Writes the Lease as this process's own. Returns False if somebody else was faster."""
        expires, metadata = Deadline.after(self._clock, DURATION_SECONDS), {"name": self._name}
        change = cluster.create
        if lease is not None:
            change, metadata["resourceVersion"] = cluster.replace, lease["metadata"]["resourceVersion"]
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": DURATION_SECONDS,
            "acquireTime": self._since,
            "renewTime": _text(self._clock.now()),
        }
        try:
            change({**LEASE.type_meta, "metadata": {**metadata, "labels": OWN}, "spec": spec})
        except (Conflict, NotFound):
            return False
        except Unreachable as error:
            if not error.seen:
                raise
            return False  # Perhaps it was written. The next look tells.
        self._expires = expires
        return True


class _HeldClock(Clock):
    """A clock with which nobody waits after the Lease was lost."""

    def __init__(self, clock: Clock, holder: _Holder) -> None:
        self._clock, self._holder = clock, holder

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._holder.require_not_taken()
        self._clock.sleep(seconds)
        self._holder.require_not_taken()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return self._clock.wait(event, seconds)

    def now(self) -> datetime:
        return self._clock.now()


def _spec(lease: Manifest | None) -> Manifest:
    spec = (lease or {}).get("spec")
    return spec if isinstance(spec, dict) else {}


def _duration(spec: Manifest) -> int:
    """Seconds after which a Lease that does not change has expired."""
    seconds = spec.get("leaseDurationSeconds")
    return min(seconds, _LONGEST_SECONDS) if isinstance(seconds, int) and seconds > 0 else DURATION_SECONDS


def _busy(spec: Manifest) -> str:
    identity = str(spec.get("holderIdentity") or "somebody")
    who = identity.rpartition(":")[0] or identity
    since = f" since {spec['acquireTime']}" if spec.get("acquireTime") else ""
    return (
        f"{who} (user@host:process) upgrades or rolls back this release{since}; wait until that is done; "
        "`cdk8s-spicedb status` shows the progress"
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
