"""The namespace of a rehearsal, which nothing outlives."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

import pytest

from cdk8s_spicedb.live.cluster import NAMESPACE
from cdk8s_spicedb.live.rehearsal.place import throwaway
from tests.apiserver import NAMESPACE as LIVE
from tests.apiserver import ApiServer, Object

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
        assert names(api) == {place.namespace}
        assert place.namespace.startswith(f"{LIVE}-rehearsal-")
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
        found = place.get(NAMESPACE, place.namespace) or {}
        assert found["metadata"]["labels"][enforce] == "restricted"


def test_what_others_left_is_deleted_when_nobody_can_need_it(api: ApiServer) -> None:
    here = socket.gethostname()
    left(api, "of-a-dead-process", f"{here}:999999999")
    left(api, "of-this-process", f"{here}:{os.getpid()}", hours=7)
    left(api, "of-another-machine", "elsewhere:1", hours=5)
    left(api, "of-another-machine-long-ago", "elsewhere:1", hours=7)
    left(api, "of-nobody-long-ago", "", hours=7)
    with throwaway(api.cluster(), "spicedb"):
        pass
    assert names(api) == {"of-this-process", "of-another-machine"}
