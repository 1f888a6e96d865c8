"""The namespace of a rehearsal, which nothing outlives."""

from __future__ import annotations

import os
import socket
from contextlib import AbstractContextManager
from datetime import timedelta
from threading import Event

import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.live.cluster import NAMESPACE
from cdk8s_spicedb.live.rehearsal.place import CLOCK, Place, given, throwaway
from tests.apiserver import NAMESPACE as LIVE
from tests.apiserver import ApiServer, Object, matches
from tests.live.clock import FakeClock

LABEL, BY = "cdk8s-spicedb/rehearsal", "cdk8s-spicedb/rehearsed-by"


def names(api: ApiServer) -> set[str]:
    found = api.cluster().find(NAMESPACE)
    return {each["metadata"]["name"] for each in found if LABEL in each["metadata"].get("labels", {})}


def left(api: ApiServer, name: str, by: str, *, hours: float = 0) -> None:
    """A namespace that a rehearsal left."""
    created = api.cluster().clock.now() - timedelta(hours=hours)
    metadata: Object = {"name": name, "labels": {LABEL: "spicedb"}, "annotations": {BY: by}}
    metadata["creationTimestamp"] = f"{created:%Y-%m-%dT%H:%M:%SZ}"
    api.put("namespaces", {"metadata": metadata})


def test_it_is_deleted_in_the_end(api: ApiServer) -> None:
    with throwaway(api.cluster(), "spicedb") as place:
        assert names(api) == {place.cluster.namespace}
        assert place.cluster.namespace.startswith(f"{LIVE}-rehearsal-")
    assert names(api) == set()


def test_it_is_deleted_after_an_error_and_an_interruption(api: ApiServer) -> None:
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), throwaway(api.cluster(), "spicedb"):
            raise error
        assert names(api) == set()


def test_it_enforces_what_the_live_one_does(api: ApiServer) -> None:
    enforce = "pod-security.kubernetes.io/enforce"
    api.put("namespaces", {"metadata": {"name": LIVE, "labels": {enforce: "restricted"}}})
    with throwaway(api.cluster(), "spicedb") as place:
        found = place.cluster.get(NAMESPACE, place.cluster.namespace) or {}
        assert found["metadata"]["labels"][enforce] == "restricted"


def test_what_others_left_is_deleted_when_nobody_can_need_it(api: ApiServer) -> None:
    here = socket.gethostname()
    left(api, "of-a-dead-process", f"{here}:999999999")
    left(api, "of-this-process", f"{here}:{os.getpid()}", hours=7)
    left(api, "of-another-machine", "elsewhere:1", hours=0.5)
    left(api, "of-another-machine-long-ago", "elsewhere:1", hours=1)
    left(api, "of-another-machine-at-work", "elsewhere:1", hours=9)
    api.put("jobs", {"metadata": {"name": CLOCK}}, "of-another-machine-at-work")
    left(api, "of-nobody-long-ago", "", hours=7)
    with throwaway(api.cluster(), "spicedb"):
        pass
    assert names(api) == {"of-this-process", "of-another-machine", "of-another-machine-at-work"}


def test_who_may_not_create_namespaces_is_told_what_to_do(api: ApiServer) -> None:
    api.deny("namespaces", "create")
    with (
        pytest.raises(SpiceDBError, match=r"forbidden.*; to rehearse in a namespace .* name it with --into"),
        throwaway(api.cluster(), "spicedb"),
    ):
        pass


# ---------------------------------------------------------------- a namespace of somebody

OTHER = "sandbox"
SERVICE: Object = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "spicedb"}, "spec": {}}
CONFIG: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {}}


def objects(api: ApiServer) -> set[str]:
    """The objects in the namespace."""
    kinds = ("jobs", "services", "configmaps", "pods", "leases", "secrets", "deployments")
    return {each["metadata"]["name"] for kind in kinds for each in api.of(kind, OTHER)}


def sandbox(api: ApiServer) -> AbstractContextManager[Place]:
    api.put("namespaces", {"metadata": {"name": OTHER}})
    return given(api.cluster(clock=FakeClock()), "spicedb", OTHER, [SERVICE])


def test_a_given_namespace_stays_and_is_empty_again(api: ApiServer) -> None:
    api.put("configmaps", CONFIG, OTHER)
    with sandbox(api) as place:
        place.apply(SERVICE)
        (service,) = api.of("services", OTHER)
        assert service["metadata"]["labels"] == {LABEL: "spicedb"}
        (owner,) = service["metadata"]["ownerReferences"]
        clock = api.get("jobs", CLOCK, OTHER)
        assert (owner["kind"], owner["uid"]) == ("Job", clock["metadata"]["uid"])
        assert (clock["spec"]["parallelism"], clock["spec"]["ttlSecondsAfterFinished"]) == (0, 0)
        # Later steps create these.
        api.put("jobs", {"metadata": {"name": "spicedb-migration", "labels": {LABEL: "spicedb"}}}, OTHER)
        for kind in ("leases", "configmaps"):
            api.put(kind, {"metadata": {"name": "spicedb-upgrade"}}, OTHER)
    assert objects(api) == {"theirs"}


def test_a_name_that_is_taken_is_left_alone(api: ApiServer) -> None:
    api.put("services", SERVICE, OTHER)
    api.put("configmaps", {"metadata": {"name": "spicedb-upgrade"}}, OTHER)
    taken = "sandbox has objects with the names .*: Service spicedb, ConfigMap spicedb-upgrade; name an empty namespace"
    with pytest.raises(SpiceDBError, match=taken), sandbox(api):
        pass
    assert objects(api) == {"spicedb", "spicedb-upgrade"}


def test_two_rehearsals_do_not_share_a_namespace(api: ApiServer) -> None:
    with sandbox(api), pytest.raises(SpiceDBError, match="rehearses in sandbox; wait until that is done"), sandbox(api):
        pass
    api.on(matches("create", "jobs"), lambda *_: api.put("jobs", {"metadata": {"name": CLOCK}}, OTHER), before=True)
    with pytest.raises(SpiceDBError, match="another rehearsal has just begun in sandbox"), sandbox(api):
        pass


def test_what_a_dead_process_left_is_deleted(api: ApiServer) -> None:
    by = {BY: f"{socket.gethostname()}:999999999"}
    api.put("jobs", {"metadata": {"name": CLOCK, "labels": {LABEL: "other"}, "annotations": by}}, OTHER)
    api.put("services", {"metadata": {"name": "spicedb", "labels": {LABEL: "other"}}}, OTHER)
    api.put("configmaps", {"metadata": {"name": "other-upgrade"}}, OTHER)
    with sandbox(api):
        assert objects(api) == {CLOCK}
    assert objects(api) == set()


def test_a_namespace_that_does_not_exist(api: ApiServer) -> None:
    error = '"missing" not found; create it, or leave out --into'
    with pytest.raises(SpiceDBError, match=error), given(api.cluster(), "spicedb", "missing", []):
        pass


def test_the_live_namespace_is_none_to_rehearse_in(api: ApiServer) -> None:
    error = "the live SpiceDB is in authz; name another namespace with --into"
    with pytest.raises(SpiceDBError, match=error), given(api.cluster(), "spicedb", LIVE, []):
        pass


def test_the_deadline_moves_while_the_process_lives(api: ApiServer) -> None:
    clock, moved = FakeClock(), Event()
    api.put("namespaces", {"metadata": {"name": OTHER}})
    api.on(matches("patch", "jobs", CLOCK), lambda *_: moved.set())
    with given(api.cluster(clock=clock), "spicedb", OTHER, []):
        before = api.get("jobs", CLOCK, OTHER)["spec"]["activeDeadlineSeconds"]
        clock.sleep(600)
        moved.clear()
        assert moved.wait(10)
        assert api.get("jobs", CLOCK, OTHER)["spec"]["activeDeadlineSeconds"] == before + 600
