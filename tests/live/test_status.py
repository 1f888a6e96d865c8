"""What ``status`` concludes from a cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cdk8s_spicedb import MySQL, PostgreSQL, SecretKey, ServerProps, Tracing
from cdk8s_spicedb.cli.status_text import line, table
from cdk8s_spicedb.errors import SpiceDBError
from cdk8s_spicedb.live.instance import describe
from cdk8s_spicedb.live.record import Record
from cdk8s_spicedb.live.status import _upgrade, status, statuses
from cdk8s_spicedb.plans.planner import plan_upgrade
from tests.apiserver import ApiServer
from tests.live.installed import (
    deploy,
    props,
)
from tests.live.objects import (
    NOTHING,
    cluster_of,
    deployment,
    job,
    migration_pod,
    revision_of,
    server_pod,
    text_of,
)


def test_healthy_release() -> None:
    objects = {
        **NOTHING,
        "deployments": [deployment()],
        "pods": [server_pod()],
        "secrets": [revision_of(9, "superseded"), revision_of(10, "deployed")],
    }
    found = status(cluster_of(**objects), "spicedb")
    assert found.healthy
    assert found.helm is not None
    assert found.helm.revision == 10
    text = text_of(found)
    assert "Helm release release, revision 10 (deployed)" in text
    assert "2 of 2 ready" in text
    assert "add --drift" in text
    assert line(found) == "healthy; 2 of 2 ready; roll-out done; v1.56.0"


def test_failed_migration_until_helm_deploys_again() -> None:
    failed = job("Failed", reason="BackoffLimitExceeded", message="too often")
    objects = {**NOTHING, "deployments": [deployment()], "jobs": [failed], "pods": [migration_pod()]}
    found = status(
        cluster_of(
            **objects,
        ),
        "spicedb",
    )
    assert found.problems == ("the migration failed: BackoffLimitExceeded",)
    assert found.migration is not None
    assert found.migration.log == ("first", "last password=(hidden)")
    assert "log: last password=(hidden)" in text_of(found)
    objects["secrets"] = [revision_of(3, "deployed", "2030-01-01T11:00:01Z")]
    assert status(cluster_of(**objects), "spicedb").healthy


@pytest.mark.parametrize(("restarts", "problems"), [(2, 0), (3, 1)])
def test_a_new_server_that_restarts_again_and_again_is_a_problem(restarts: int, problems: int) -> None:
    """Although enough older ones are ready. Not while a migration runs: new servers wait for it."""
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    last = {"terminated": {"exitCode": 1, "reason": "Error", "message": "wrong password"}}
    statuses = [{"name": "spicedb", "restartCount": restarts, "state": state, "lastState": last}]
    failing = server_pod("spicedb-new", ready=False, containerStatuses=statuses)
    objects = {**NOTHING, "deployments": [deployment()], "pods": [server_pod(), failing]}
    found = status(cluster_of(**objects), "spicedb").problems
    assert len(found) == problems
    assert all(text.startswith("spicedb-new does not become ready: ") for text in found)
    assert status(cluster_of(**{**objects, "jobs": [job(None)]}), "spicedb").problems == ()


def test_servers_that_are_to_be_replaced_are_named() -> None:
    newer = deployment()
    older = server_pod()
    (container,) = older["spec"]["containers"]
    older["metadata"]["labels"]["app.kubernetes.io/version"] = "v1.52.0"
    container["image"] = "ghcr.io/authzed/spicedb:v1.52.0"
    found = status(cluster_of(**{**NOTHING, "deployments": [newer], "pods": [older]}), "spicedb")
    assert "SpiceDB v1.52.0 on postgres; the roll-out to v1.56.0 is not done" in text_of(found)


def test_an_install_that_is_not_finished() -> None:
    note = {"install.json": json.dumps({"started": "2030-01-01T00:00:00Z", "delivery": "helm"})}
    unfinished = {"metadata": {"name": "spicedb-upgrade"}, "data": note}
    objects = {**NOTHING, "deployments": [deployment()], "pods": [server_pod()], "configmaps": [unfinished]}
    found = status(cluster_of(**objects), "spicedb")
    assert found.healthy, "it may only lack its test"
    assert "Install        not finished, began at 2030-01-01T00:00:00Z; if it does not run any more, run" in text_of(
        found
    )
    unfinished["data"] = {"install.json": "{"}
    found = status(cluster_of(**objects), "spicedb")
    assert (found.install, found.unknown[0].partition(" in ")[0]) == (None, "install: install.json")


def test_without_servers_there_may_be_a_migration() -> None:
    objects = {**NOTHING, "deployments": []}
    with pytest.raises(SpiceDBError, match="there is no Deployment spicedb in the namespace authz"):
        status(cluster_of(**objects), "spicedb")
    found = status(cluster_of(**{**objects, "jobs": [job(None)]}), "spicedb")
    assert list(found.problems) == ["no server was installed yet"]
    assert "running to head of v1.56.0" in text_of(found)
    (summary,) = statuses(cluster_of(**{**objects, "jobs": [job(None)]}))
    assert (summary.state, summary.healthy) == ("not installed; migration running", False)


def test_missing_rights_are_named() -> None:
    found = status(cluster_of(deployments=[deployment()]), "spicedb", drift=True)
    assert found.healthy
    assert any(each.startswith("pods: pods is forbidden: User ") for each in found.unknown)
    of_record = [each.partition(":")[0] for each in found.unknown if "configmaps" in each]
    assert of_record == ["upgrade"], "it also has the install, and is named once"
    assert found.drift is not None
    assert not found.drift.known
    assert "secrets is forbidden" in text_of(found)


def test_newest_migration_of_several() -> None:
    older, newer = job("Failed", "spicedb-migration-0a1b2c3"), job("Complete", "spicedb-migration-1a1b2c3")
    newer["metadata"]["creationTimestamp"] = "2030-01-01T11:30:00Z"
    found = status(cluster_of(**{**NOTHING, "deployments": [deployment()], "jobs": [newer, older]}), "spicedb")
    assert found.migration is not None
    assert (found.migration.job, found.migration.log) == ("spicedb-migration-1a1b2c3", ())


def test_table() -> None:
    other = deployment(ready=1)
    other["metadata"] = {**other["metadata"], "name": "other"}
    found = statuses(cluster_of(deployments=[deployment(), other], jobs=[job("Failed")]), everywhere=True)
    assert [(each.name, each.state, each.healthy) for each in found] == [
        ("other", "roll-out progressing", False),
        ("spicedb", "migration failed", False),
    ]
    lines = [str(line) for line in table(found)]
    assert lines[0].split() == ["NAMESPACE", "NAME", "VERSION", "ENGINE", "READY", "STATE", "APPLIED", "BY"]
    assert lines[2].startswith("authz      spicedb  v1.56.0  postgres  2/2    migration failed")


@pytest.mark.parametrize("count", [1, 50])
def test_many_spicedbs_need_no_more_requests(count: int) -> None:
    api = ApiServer()
    for number in range(count):
        deploy(api, props(name=f"tenant-{number}"))
    assert len(statuses(api.cluster(), everywhere=True)) == count
    assert sorted(request.path for request in api.requests) == [
        "/apis/apps/v1/deployments",
        "/apis/batch/v1/jobs",
    ]


def test_an_upgrade_that_is_under_way() -> None:
    plan = plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0", schema_mode="read-legacy-write-both")
    running = describe(deployment())
    record = Record.start(plan, running, "1")
    assert _upgrade(None) is None
    assert _upgrade(record) == "v1.52.0 to v1.56.0: step 1 of 2 (v1.56.0) is next"
    begun = record.begin(1)
    assert _upgrade(begun) == "v1.52.0 to v1.56.0: step 1 of 2 (v1.56.0) runs"
    assert _upgrade(begun.stop("it broke", running=1)) == (
        "v1.52.0 to v1.56.0: step 1 of 2 (v1.56.0) is next; the last attempt stopped: it broke"
    )
    assert _upgrade(begun.finish("2").begin(2).finish("3")) is None


def test_known_faults_of_the_servers_that_run() -> None:
    def found(version: str, **fields: Any) -> list[str]:
        api = ApiServer()
        deploy(api, props(version, **fields))
        concerns = status(api.cluster(), "spicedb").advisories
        return [each.advisory.id for each in concerns]

    key = SecretKey("spicedb", "datastore-uri")
    replicas = PostgreSQL(uri=key, read_replicas=[key, SecretKey("b", "c")])
    traces = ServerProps(tracing=Tracing(endpoint="collector:4317"))
    assert found("v1.57.1") == []
    assert found("v1.56.0") == ["GO-2026-6612"]
    assert found("v1.56.0", server=traces) == ["GO-2026-6612"]
    assert found("v1.56.0", server=traces, datastore=replicas)[0] == "GHSA-jf7w-wx43-32gc"
    # Nothing in the cluster tells the schema.
    assert found("v1.57.0", datastore=MySQL(uri=key)) == ["spicedb-3431"]


def test_known_faults_in_text() -> None:
    api = ApiServer()
    deploy(api, props("v1.53.0"))
    text = text_of(status(api.cluster(), "spicedb"))
    assert "Known faults   GO-2026-6612 (moderate): clients can attack" in text
    assert "of low severity, or only with some settings: GHSA-4vrg-r928-h5vv" in text
