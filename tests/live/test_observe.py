"""What one observation asks, what it cannot know, and when it fails."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from cdk8s_spicedb.live.apierror import Forbidden, Unreachable
from cdk8s_spicedb.live.instance import MissingError
from cdk8s_spicedb.live.observe import observe, require
from cdk8s_spicedb.live.status import status
from cdk8s_spicedb.live.waiting import wait_until_safe
from cdk8s_spicedb.live.workload import unsettled
from tests.apiserver import ApiServer, matches
from tests.live.clock import FakeClock
from tests.live.installed import helm_revision, migration_job, server, servers

FAILED = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
COMPLETE = {"type": "Complete", "status": "True"}
EMPTY: dict[str, Any] = {"jobs": (), "log": (), "replica_sets": (), "endpoints": (), "helm": ()}


def asked(api: ApiServer) -> list[str]:
    """The resources of the requests so far, which it forgets."""
    found = sorted(f"{each.resource}/{each.subresource}".rstrip("/") for each in api.requests)
    api.requests.clear()
    return found


def test_servers(api: ApiServer) -> None:
    found = observe(api.cluster(), "spicedb")
    assert found.running is not None
    assert (found.name, found.namespace, found.running.replicas, len(found.servers)) == ("spicedb", "authz", 2, 2)
    assert {name: getattr(found, name) for name in EMPTY} == EMPTY
    assert (found.migration_pods, found.unknown) == ([], {})
    assert asked(api) == ["deployments", "jobs", "pods"]


def test_a_roll_out(api: ApiServer) -> None:
    found = observe(api.cluster(), "spicedb", rollout=True)
    assert (len(found.replica_sets), len(found.endpoints)) == (1, 1)
    assert asked(api) == ["deployments", "endpointslices", "jobs", "pods", "replicasets"]


@pytest.mark.parametrize(
    ("condition", "rollout", "log"),
    [
        (None, False, ("migrating",)),
        (None, True, ("migrating",)),
        (FAILED, False, ("migrating",)),
        (FAILED, True, ()),
        (COMPLETE, False, ()),
        (COMPLETE, True, ()),
    ],
)
def test_a_migration(api: ApiServer, condition: Any, rollout: bool, log: tuple[str, ...]) -> None:
    migration_job(api, *([condition] if condition else []))
    api.logs["migrate-0"] = "migrating\n"
    found = observe(api.cluster(), "spicedb", rollout=rollout)
    assert [job["metadata"]["name"] for job in found.jobs] == ["spicedb-migration"]
    assert [pod["metadata"]["name"] for pod in found.migration_pods] == ["migrate-0"]
    assert (len(found.servers), found.log) == (2, log)
    assert bool(found.endpoints) is (rollout and condition is not None)


def test_the_last_lines_of_the_newest_migration(api: ApiServer) -> None:
    older = migration_job(api, FAILED)
    metadata = {**older["metadata"], "name": "spicedb-migration-2", "creationTimestamp": "2030-01-02T00:00:00Z"}
    api.put("jobs", {**older, "metadata": metadata, "status": {}})
    assert observe(api.cluster(), "spicedb").log == (), "the pod is of the older one"
    pod = api.get("pods", "migrate-0")
    labels = {**pod["metadata"]["labels"], "batch.kubernetes.io/job-name": "spicedb-migration-2"}
    api.put("pods", {**pod, "metadata": {**pod["metadata"], "name": "migrate-1", "labels": labels}})
    api.logs["migrate-1"] = "1\n2\n3\n4\n5\n"
    found = observe(api.cluster(), "spicedb")
    assert ([job["metadata"]["name"] for job in found.jobs][-1], found.log) == ("spicedb-migration-2", ("3", "4", "5"))


def test_helm(api: ApiServer) -> None:
    helm_revision(api, 10)
    helm_revision(api, 9, "superseded")
    assert [each.revision for each in observe(api.cluster(), "spicedb", helm=True).helm] == [1, 9, 10]
    assert asked(api) == ["deployments", "jobs", "pods", "secrets"]


def test_an_instance_of_another_program_is_found_by_its_own_labels(api: ApiServer) -> None:
    template = api.get("deployments", "spicedb")["spec"]["template"]
    template["metadata"]["labels"] = {"app": "authz"}
    api.get("deployments", "spicedb")["metadata"]["labels"] = {}
    api.put("pods", server("theirs", {"app": "authz"}, template))
    found = observe(api.cluster(), "spicedb")
    assert [pod["metadata"]["name"] for pod in found.servers] == ["theirs"]
    assert len(servers(api)) == 2


@pytest.mark.parametrize("component", ["cleanup", "schema", "test", "migration"])
@pytest.mark.parametrize("terminates", [False, True])
def test_pods_of_other_parts_are_no_servers(api: ApiServer, component: str, terminates: bool) -> None:
    labels = {**servers(api)[0]["metadata"]["labels"], "app.kubernetes.io/component": component}
    labels.pop("pod-template-hash")
    pod = server("other", labels)
    pod["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    if not terminates:
        del pod["metadata"]["deletionTimestamp"]
    api.put("pods", pod)
    found = observe(api.cluster(), "spicedb", rollout=True)
    assert (len(found.pods), len(found.servers), found.migration_pods) == (3, 2, [])
    assert unsettled(found) is None


def test_nothing_that_runs(api: ApiServer) -> None:
    found = observe(api.cluster(), "other", rollout=True, helm=True)
    assert (found.deployment, found.running, found.pods, found.unknown) == (None, None, (), {})
    with pytest.raises(MissingError, match="no Deployment other in the namespace authz, which has spicedb; check the"):
        require(api.cluster(), "other")


def test_names_that_cannot_be_listed_hide_nothing(api: ApiServer) -> None:
    api.deny("deployments", "list")
    with pytest.raises(MissingError, match="no Deployment other in the namespace authz; check the name"):
        require(api.cluster(), "other")


# ---------------------------------------------------------------- how much is asked


@pytest.mark.parametrize("migrates", [False, True])
def test_one_tick_of_waiting_is_a_few_requests(api: ApiServer, migrates: bool) -> None:
    if migrates:
        migration_job(api)
    else:
        api.get("deployments", "spicedb")["status"]["updatedReplicas"] = 1
    clock = FakeClock()
    assert wait_until_safe(api.cluster(clock=clock), "spicedb", 10) is not None
    ticks = api.count("get", "deployments")
    assert ticks == 21, "one each half a second"
    assert api.count() == ticks * 5


@pytest.mark.parametrize("conditions", [(), (FAILED,), (COMPLETE,)])
def test_a_status_is_a_few_requests(api: ApiServer, conditions: tuple[Any, ...]) -> None:
    migration_job(api, *conditions)
    status(api.cluster(), "spicedb")
    assert api.count() <= 8


# ---------------------------------------------------------------- what may not be read


@pytest.mark.parametrize(
    ("denied", "unknown"),
    [
        ("pods", "pods"),
        ("jobs", "jobs"),
        ("replicasets", "replica_sets"),
        ("endpointslices", "endpoints"),
        ("secrets", "helm"),
    ],
)
def test_what_may_not_be_read_is_unknown(api: ApiServer, denied: str, unknown: str) -> None:
    migration_job(api, COMPLETE)
    everything = observe(api.cluster(), "spicedb", rollout=True, helm=True)
    api.deny(denied)
    found = observe(api.cluster(), "spicedb", rollout=True, helm=True)
    assert [*found.unknown] == [unknown]
    assert isinstance(found.unknown[unknown], Forbidden)
    assert getattr(found, unknown) == ()
    others = ("pods", "jobs", "replica_sets", "endpoints", "helm")
    assert all(getattr(found, each) == getattr(everything, each) for each in others if each != unknown)
    with pytest.raises(Forbidden, match=f"{denied}.* is forbidden"):
        found.need("deployment", unknown)


def test_a_log_that_may_not_be_read_is_unknown(api: ApiServer) -> None:
    migration_job(api)
    api.deny("pods/log")
    found = observe(api.cluster(), "spicedb")
    assert ([*found.unknown], found.log, len(found.jobs)) == (["log"], (), 1)


def test_an_error_of_the_server_is_unknown_too(api: ApiServer) -> None:
    api.fail(matches("list", "pods"), (500, "etcd is slow"))
    assert str(observe(api.cluster(), "spicedb").unknown["pods"]) == "etcd is slow"


def test_a_deployment_that_may_not_be_read_is_an_error(api: ApiServer) -> None:
    api.deny("deployments")
    with pytest.raises(Forbidden):
        observe(api.cluster(), "spicedb")


@pytest.mark.parametrize("resource", ["deployments", "pods", "jobs", "replicasets", "endpointslices", "secrets"])
def test_a_server_that_cannot_be_reached_is_an_error(api: ApiServer, resource: str) -> None:
    api.fail(matches("", resource), httpx2.ConnectError, times=None)
    with pytest.raises(Unreachable, match="cannot reach the API server at https://cluster"):
        observe(api.cluster(), "spicedb", rollout=True, helm=True)


def test_a_log_that_cannot_be_reached_is_an_error(api: ApiServer) -> None:
    migration_job(api)
    api.fail(matches("get", "pods/log"), httpx2.ConnectError)
    with pytest.raises(Unreachable):
        observe(api.cluster(), "spicedb")
