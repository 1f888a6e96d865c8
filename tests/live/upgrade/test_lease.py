"""The lock of an upgrade."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from cdk8s_spicedb.live.upgrade import lease
from cdk8s_spicedb.live.upgrade.lease import BusyError, held
from tests.apiserver import ApiServer, Object, matches
from tests.programs import ended_process


def held_by(api: ApiServer, identity: str, renewed: str = "2999-01-01T00:00:00.000000Z") -> Object:
    spec = {"holderIdentity": identity, "leaseDurationSeconds": 30, "acquireTime": renewed, "renewTime": renewed}
    return api.put("leases", {"metadata": {"name": "spicedb-upgrade"}, "spec": spec})


def test_lock_of_a_process_that_is_gone_is_taken(api: ApiServer) -> None:
    for identity, renewed in (
        (f"u@{socket.gethostname()}:{ended_process()}:abc", "2999-01-01T00:00:00.000000Z"),
        ("u@elsewhere:1:abc", "2020-01-01T00:00:00.000000Z"),
    ):
        held_by(api, identity, renewed)
        with held(api.cluster(), "spicedb") as require:
            require()
            holder = api.get("leases", "spicedb-upgrade")["spec"]["holderIdentity"]
            assert f":{os.getpid()}:" in holder
        assert not api.has("leases", "spicedb-upgrade")


def test_lock_that_is_renewed_is_refused(api: ApiServer) -> None:
    taken = held_by(api, "somebody@elsewhere:42:abc")
    seen: list[str] = []

    def renew() -> None:
        time.sleep(0.3)
        taken["spec"]["renewTime"] = "2999-01-01T00:00:09.000000Z"

    thread = threading.Thread(target=renew)
    thread.start()
    with (
        pytest.raises(BusyError, match=r"somebody@elsewhere:42 \(user@host:process\)"),
        held(api.cluster(), "spicedb", seen.append),
    ):
        pass
    thread.join()
    assert seen[0].startswith("somebody@elsewhere:42:abc holds the lock")


def test_lock_is_renewed_through_an_outage(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.01)
    with held(api.cluster(), "spicedb") as require:
        first = api.get("leases", "spicedb-upgrade")["spec"]["renewTime"]
        with api.unreachable():
            time.sleep(0.1)
        time.sleep(0.1)
        assert api.get("leases", "spicedb-upgrade")["spec"]["renewTime"] > first
        require()


def test_only_one_of_two_processes_gets_a_free_lock(api: ApiServer) -> None:
    """The other one sees the conflict, and then the Lease of the first."""

    def faster(*_: object) -> None:
        if api.count("create", "leases") == 1:
            held_by(api, "u@elsewhere:1:abc", "2020-01-01T00:00:00.000000Z")

    api.on(matches("create", "leases"), faster, before=True)
    with held(api.cluster(), "spicedb") as require:
        require()
