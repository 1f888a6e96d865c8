"""The lock of an upgrade: a Lease that one process holds and renews."""

from __future__ import annotations

import getpass
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone

from ...errors import SpiceDBError
from ...labels import OWN
from ...manifests.objects import Manifest
from ..cluster import (
    LEASE,
    Cluster,
    ClusterError,
    Conflict,
)

DURATION_SECONDS = 30
"""Time after which the Lease of a process that is gone can be taken. Longer than a restart of the API server."""
RENEW_SECONDS = 5


class BusyError(SpiceDBError):
    """Another process works on the release."""


@contextmanager
def held(cluster: Cluster, name: str, notify: Callable[[str], None] = lambda _: None) -> Iterator[Callable[[], None]]:
    """Holds the Lease of a release. Raises `BusyError` if another process holds and renews it.

    Yields a function that raises `BusyError` if this process has lost the Lease.

    The Lease of a process that was killed is taken: at once if it ran on this machine, and otherwise when it has not
    been renewed for `DURATION_SECONDS`.
    """
    holder = _Holder(cluster, lease_name(name))
    holder.take(notify)
    stop = threading.Event()
    renewal = threading.Thread(target=holder.renew_until, args=(stop,), daemon=True)
    renewal.start()
    try:
        yield holder.require
    finally:
        stop.set()
        renewal.join()
        holder.release()


def lease_name(name: str) -> str:
    """The name of a release's Lease."""
    return f"{name}-upgrade"


class _Holder:
    """This process as the holder of a Lease."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster, self._name = cluster, name
        self._identity = f"{_user()}@{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self._lost: Manifest | None = None

    def require(self) -> None:
        if self._lost is not None:
            raise BusyError(f"lost the Lease {self._name}: {_busy(self._lost)}")

    def take(self, notify: Callable[[str], None]) -> None:
        seen: str | None = None
        while True:
            lease = self._cluster.get(LEASE, self._name)
            with suppress(Conflict):
                if lease is None:
                    self._cluster.create(self._lease({"name": self._name}))
                    return
                if _is_free(lease):
                    metadata = {"name": self._name, "resourceVersion": lease["metadata"]["resourceVersion"]}
                    self._cluster.replace(self._lease(metadata))
                    return
            spec = lease["spec"] if lease else {}
            if seen is not None and spec.get("renewTime") != seen:
                raise BusyError(_busy(spec))
            if seen is None:
                seen = spec.get("renewTime", "")
                notify(f"{spec.get('holderIdentity')} holds the lock; checking whether that process is still running")
            time.sleep(1)

    def renew_until(self, stop: threading.Event) -> None:
        while not stop.wait(RENEW_SECONDS):
            # After an outage of the API server, the next renewal succeeds. Nobody could take the Lease meanwhile.
            with suppress(ClusterError):
                lease = self._cluster.get(LEASE, self._name)
                if lease and lease["spec"].get("holderIdentity") == self._identity:
                    lease["spec"]["renewTime"] = _text(_now())
                    self._cluster.replace(lease)
                elif lease:
                    self._lost = lease["spec"]
                    return

    def release(self) -> None:
        with suppress(ClusterError):
            lease = self._cluster.get(LEASE, self._name)
            if lease and lease["spec"].get("holderIdentity") == self._identity:
                self._cluster.delete(LEASE, self._name)

    def _lease(self, metadata: Manifest) -> Manifest:
        now = _text(_now())
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {**metadata, "labels": OWN},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": DURATION_SECONDS,
                "acquireTime": now,
                "renewTime": now,
            },
        }


def _is_free(lease: Manifest) -> bool:
    spec = lease["spec"]
    renewed = datetime.fromisoformat(spec["renewTime"].replace("Z", "+00:00"))
    return _now() > renewed + timedelta(seconds=spec["leaseDurationSeconds"]) or _is_gone(spec["holderIdentity"])


def _is_gone(identity: str) -> bool:
    """Whether a process ran on this machine and has ended."""
    _, _, place = identity.partition("@")
    host, pid, *_ = (*place.split(":"), "")
    return host == socket.gethostname() and pid.isdigit() and not is_alive(int(pid))


def is_alive(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _busy(spec: Manifest) -> str:
    who, _, _ = spec["holderIdentity"].rpartition(":")
    return (
        f"{who} (user@host:process) upgrades or rolls back this release since {spec['acquireTime']}; wait until that "
        "is done; `cdk8s-spicedb status` shows the progress"
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
