"""The lock of an upgrade: who gets it, how it is lost, and when that of a killed process is free."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from cdk8s_spicedb.live.apierror import Unreachable
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.upgrade.lease import BusyError, held
from tests.apiserver import ApiServer, Object
from tests.live.clock import FakeClock

LEASE = ("leases", "spicedb-upgrade")
OTHER = "somebody@elsewhere:42:abc"
NOW = "2030-01-01T00:00:00.000000Z"


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


def held_by(api: ApiServer, identity: str = OTHER, **spec: Any) -> Object:
    """A Lease of another process, whose clock is far ahead or behind."""
    full = {"holderIdentity": identity, "leaseDurationSeconds": 30, "acquireTime": NOW, "renewTime": NOW, **spec}
    return api.put("leases", {"metadata": {"name": LEASE[1]}, "spec": full})


def eventually(question: Callable[[], bool]) -> None:
    """Waits for the thread that renews."""
    for _ in range(500):
        if question():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def is_refused(api: ApiServer, clock: FakeClock) -> None:
    with (
        pytest.raises(BusyError, match=r"somebody@elsewhere:42 \(user@host:process\) .* since 2030-01-01T00:00:00"),
        held(api.cluster(clock=clock), "spicedb"),
    ):
        pass
    assert api.get(*LEASE)["spec"]["holderIdentity"] == OTHER


def test_lock_is_held_by_this_process_and_released(api: ApiServer, clock: FakeClock) -> None:
    with held(api.cluster(clock=clock), "spicedb") as lock:
        lock.require()
        spec = api.get(*LEASE)["spec"]
        assert f":{os.getpid()}:" in spec["holderIdentity"]
        assert spec["renewTime"] == NOW
        assert spec["leaseDurationSeconds"] == 30
    assert not api.has(*LEASE)


@pytest.mark.parametrize("renewed", ["2020-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z", None, "yesterday"])
def test_lock_that_is_not_renewed_is_taken_after_its_duration(api: ApiServer, clock: FakeClock, renewed: Any) -> None:
    held_by(api, renewTime=renewed)
    seen: list[str] = []
    with held(api.cluster(clock=clock), "spicedb", seen.append) as lock:
        assert 30 <= clock.seconds <= 32, "by this machine's clock, whatever the Lease says"
        lock.require()
    assert seen == [f"{OTHER} holds the lock; checking whether that process is still running"]


@pytest.mark.parametrize(("duration", "waited"), [(None, 30), (10, 10), (86_400, 60), (-1, 30)])
def test_duration_of_a_lock(api: ApiServer, clock: FakeClock, duration: int | None, waited: int) -> None:
    held_by(api, leaseDurationSeconds=duration)
    with held(api.cluster(clock=clock), "spicedb"):
        assert waited <= clock.seconds <= waited + 2


@pytest.mark.parametrize("spec", [None, {}, {"holderIdentity": ""}])
def test_lock_that_was_released_is_taken_at_once(api: ApiServer, clock: FakeClock, spec: Object | None) -> None:
    api.put("leases", {"metadata": {"name": LEASE[1]}, "spec": spec})
    with held(api.cluster(clock=clock), "spicedb") as lock:
        lock.require()
        assert clock.seconds == 0


def test_lock_that_is_renewed_is_refused_at_once(api: ApiServer, clock: FakeClock) -> None:
    taken = held_by(api)
    clock.on_sleep = lambda seconds: taken["spec"].update(renewTime=f"renewed at {seconds // 5}")
    is_refused(api, clock)
    assert clock.seconds <= 6


def test_lock_that_is_renewed_at_the_last_moment_is_refused(api: ApiServer, clock: FakeClock) -> None:
    taken = held_by(api)
    clock.on_sleep = lambda seconds: taken["spec"].update({"renewTime": "late"} if seconds >= 30 else {})
    is_refused(api, clock)


def test_lock_without_times_is_refused_without_a_traceback(api: ApiServer, clock: FakeClock) -> None:
    taken = api.put("leases", {"metadata": {"name": LEASE[1]}, "spec": {"holderIdentity": "me"}})
    clock.on_sleep = lambda _: taken["spec"].update(renewTime=NOW)
    with pytest.raises(BusyError, match=r"^me \(user@host:process\) upgrades or rolls back this release; wait"):
        held(api.cluster(clock=clock), "spicedb").__enter__()


def test_waiting_ends_if_the_lock_always_changes_hands(
    api: ApiServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time it is free, somebody else is faster."""
    get = Cluster.get

    def free(self: Cluster, *arguments: Any) -> Object | None:
        held_by(api)
        get(self, *arguments)
        return None

    monkeypatch.setattr(Cluster, "get", free)
    with pytest.raises(BusyError), held(api.cluster(clock=clock), "spicedb"):
        pass
    assert clock.seconds < 120


def test_an_outage_does_not_count_as_the_time_of_the_holder(
    api: ApiServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the API server was away, the holder could not renew. It does so as soon as it can."""
    taken, get, asked = held_by(api), Cluster.get, [0]

    def slow(self: Cluster, *arguments: Any) -> Object | None:
        asked[0] += 1
        if asked[0] == 2:
            clock.seconds += 50
        if asked[0] == 4:
            taken["spec"]["renewTime"] = "renewed"
        return get(self, *arguments)

    monkeypatch.setattr(Cluster, "get", slow)
    is_refused(api, clock)


def test_only_one_of_two_processes_gets_a_free_lock(
    api: ApiServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one sees the conflict, and then the Lease of the first, which is gone after a while."""
    create = Cluster.create

    def slower(self: Cluster, manifest: Object, **options: Any) -> Object:
        if not api.has(*LEASE):
            held_by(api)
        return create(self, manifest, **options)

    monkeypatch.setattr(Cluster, "create", slower)
    with held(api.cluster(clock=clock), "spicedb") as lock:
        lock.require()
        assert clock.seconds >= 30


def test_lock_is_taken_if_the_answer_never_came(
    api: ApiServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Cluster.create

    def losing(self: Cluster, manifest: Object, **options: Any) -> Object:
        create(self, manifest, **options)
        raise Unreachable("no answer")

    monkeypatch.setattr(Cluster, "create", losing)
    with held(api.cluster(clock=clock), "spicedb") as lock:
        lock.require()
        assert clock.seconds < 5
    assert not api.has(*LEASE)


def test_lock_is_renewed_through_an_outage(api: ApiServer, clock: FakeClock) -> None:
    with held(api.cluster(clock=clock), "spicedb") as lock:
        with api.unreachable():
            time.sleep(0.05)
            clock.seconds += 20
        eventually(lambda: bool(api.get(*LEASE)["spec"]["renewTime"] > NOW))
        clock.seconds += 20
        lock.require()
        assert api.get(*LEASE)["spec"]["acquireTime"] == NOW


def test_lock_that_could_not_be_renewed_is_lost_until_it_can(api: ApiServer, clock: FakeClock) -> None:
    with held(api.cluster(clock=clock), "spicedb") as lock:
        with api.unreachable():
            clock.seconds += 31
            with pytest.raises(BusyError, match=r"lost the Lease spicedb-upgrade: it could not be renewed for 30 s"):
                lock.require()
        lock.require()


def test_renewal_survives_every_exception(api: ApiServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, failures = Cluster.replace, [0]

    def broken(self: Cluster, manifest: Object, **options: Any) -> Object:
        failures[0] += 1
        if failures[0] < 3:
            raise RuntimeError("a proxy answered with nonsense")
        return replace(self, manifest, **options)

    with held(api.cluster(clock=clock), "spicedb") as lock:
        monkeypatch.setattr(Cluster, "replace", broken)
        clock.seconds += 10
        eventually(lambda: bool(api.get(*LEASE)["spec"]["renewTime"] > NOW))
        lock.require()


def test_lock_that_somebody_took_or_deleted_is_lost(api: ApiServer, clock: FakeClock) -> None:
    with held(api.cluster(clock=clock), "spicedb") as lock:
        held_by(api)
        eventually(lambda: _is_lost(lock.require))
        with pytest.raises(BusyError, match=r"lost the Lease spicedb-upgrade: somebody@elsewhere:42 "):
            lock.require()
    assert api.get(*LEASE)["spec"]["holderIdentity"] == OTHER, "the Lease of another process stays"
    api.remove(*LEASE)
    with held(api.cluster(clock=clock), "spicedb") as lock:
        api.remove(*LEASE)
        clock.seconds += 31
        with pytest.raises(BusyError, match="it could not be renewed"):
            lock.require()


def test_whoever_waits_learns_at_once_that_the_lock_is_lost(api: ApiServer, clock: FakeClock) -> None:
    with held(api.cluster(clock=clock), "spicedb") as lock:
        lock.cluster.clock.sleep(1)
        held_by(api)
        eventually(lambda: _is_lost(lambda: lock.cluster.clock.sleep(0)))
        assert lock.cluster.clock.now() == clock.now()


def test_lock_that_was_taken_in_a_short_run_is_noticed(api: ApiServer, clock: FakeClock) -> None:
    """Shorter than the time between two renewals."""
    with held(api.cluster(clock=clock), "spicedb") as lock:
        held_by(api)
        with pytest.raises(BusyError, match="lost the Lease"):
            lock.require()


def _is_lost(require: Callable[[], None]) -> bool:
    try:
        require()
    except BusyError:
        return True
    return False
