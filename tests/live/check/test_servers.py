"""The servers that run, and who applied them."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import Delivery, SpiceDBProps
from cdk8s_spicedb.labels import Component, selector_labels
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.live.check.plan import running_servers, server_findings
from cdk8s_spicedb.live.observe import observe
from cdk8s_spicedb.manifests import release_manifests
from tests.apiserver import ApiServer
from tests.live.installed import deploy, helm_revision, installable, props, servers


def found(cluster: ApiServer, settings: SpiceDBProps | None = None, *, goes_on: str | None = None) -> list[Finding]:
    live = cluster.cluster()
    return list(server_findings(live, settings or props(), observe(live, "spicedb", helm=True), goes_on=goes_on))


def about(subject: str, *arguments: Any, **options: Any) -> Finding:
    (finding,) = [finding for finding in found(*arguments, **options) if finding.subject == subject]
    return finding


def test_before_an_install_there_is_nothing_to_say() -> None:
    assert found(installable()) == []


def test_servers_that_are_ready() -> None:
    cluster = installable()
    deploy(cluster, props("v1.52.0"))
    helm_revision(cluster, 9, "superseded")
    helm_revision(cluster, 10, "deployed")
    assert [(finding.level, finding.text) for finding in found(cluster)] == [
        (Level.OK, "Helm applied the release, as the file says"),
        (Level.OK, "2 of 2 servers are ready, and run v1.52.0"),
        (Level.OK, "revision 10 is deployed"),
    ]


def test_servers_are_counted_without_those_that_stop() -> None:
    cluster = installable()
    deploy(cluster, props("v1.52.0"))
    servers(cluster)[0]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert running_servers(observe(cluster.cluster(), "spicedb")) == 1


@pytest.mark.parametrize(
    ("status", "level", "text"),
    [
        ({"updatedReplicas": 1}, Level.FAILURE, "a roll-out is under way: 1 of 2 servers are updated"),
        ({"replicas": 3}, Level.FAILURE, "a roll-out is under way: 2 of 2 servers are updated"),
        ({"observedGeneration": 0}, Level.FAILURE, "a roll-out is under way: 2 of 2 servers are updated"),
        ({"availableReplicas": 1}, Level.WARNING, "1 of 2 servers are ready"),
        (
            {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]},
            Level.FAILURE,
            "its last roll-out failed: timed out",
        ),
    ],
)
def test_servers_that_are_not(status: dict[str, Any], level: Level, text: str) -> None:
    cluster = installable()
    deploy(cluster, props("v1.52.0"))["status"].update(status)
    finding = about("Deployment spicedb", cluster)
    assert (finding.level, finding.text) == (level, text)
    assert "--namespace authz" in finding.fix


def test_a_paused_deployment_is_resumed_first() -> None:
    cluster = installable()
    deploy(cluster, props("v1.52.0"))
    cluster.get("deployments", "spicedb")["spec"]["paused"] = True
    finding = about("Deployment spicedb", cluster)
    assert finding.fix == "run `kubectl rollout resume deployment/spicedb --namespace authz`"


@pytest.mark.parametrize(
    ("helm", "delivery", "level", "fix"),
    [
        (True, Delivery.HELM, Level.OK, ""),
        (True, Delivery.KUBECTL, Level.FAILURE, "set delivery: helm in the file"),
        (True, Delivery.ARGOCD, Level.FAILURE, "set delivery: helm in the file"),
        (False, Delivery.KUBECTL, Level.OK, ""),
        (False, Delivery.HELM, Level.FAILURE, "set delivery: kubectl in the file"),
        (False, Delivery.ARGOCD, Level.WARNING, "go on if Argo CD tracks objects by label"),
    ],
)
def test_the_delivery_of_the_file_is_the_one_of_the_release(
    helm: bool, delivery: Delivery, level: Level, fix: str
) -> None:
    cluster = installable()
    deploy(cluster, props("v1.52.0"), helm=helm)
    finding = about("Delivery", cluster, props(delivery=delivery))
    assert finding.level is level
    assert finding.fix.startswith(fix)


def test_a_name_that_kustomize_changed_belongs_into_the_file() -> None:
    cluster = installable()
    deployment = deploy(cluster, props("v1.52.0"), helm=False)
    cluster.put("deployments", {**deployment, "metadata": {**deployment["metadata"], "name": "prod-spicedb"}})
    live, settings = cluster.cluster(), props(name="prod-spicedb", delivery=Delivery.KUBECTL)
    (finding,) = (
        each
        for each in server_findings(live, settings, observe(live, "prod-spicedb", helm=True))
        if each.subject == "Delivery"
    )
    assert (finding.level, finding.text) == (
        Level.FAILURE,
        "another program, such as kustomize, changed the name spicedb to prod-spicedb",
    )
    assert finding.fix == "set name: prod-spicedb in the file instead, and write it again"


@pytest.mark.parametrize(
    ("tag", "wrong"), [("v1.52.0", False), ("v1.52.0-amd64", False), ("nightly", False), ("v1.53.0", True)]
)
def test_an_image_that_kustomize_changed_is_found(tag: str, wrong: bool) -> None:
    cluster = installable()
    deploy(cluster, props("v1.52.0"), helm=False)
    (container,) = cluster.get("deployments", "spicedb")["spec"]["template"]["spec"]["containers"]
    container["image"] = f"ghcr.io/authzed/spicedb:{tag}"
    texts = [each.text for each in found(cluster, props(delivery=Delivery.KUBECTL)) if each.subject == "Servers"]
    assert texts == (["their image is v1.53.0, but flags and the migration are those of v1.52.0"] if wrong else [])


def test_a_release_of_another_program_is_not_ours_to_change() -> None:
    cluster = installable()
    deploy(cluster, props("v1.52.0"))
    cluster.get("deployments", "spicedb")["metadata"]["labels"] = {"authzed.com/cluster": "dev"}
    finding = about("Delivery", cluster)
    assert (finding.level, finding.text.partition(",")[0]) == (
        Level.FAILURE,
        "the SpiceDB operator applied the release",
    )


@pytest.mark.parametrize(
    ("status", "level", "fix"),
    [
        ("pending-upgrade", Level.FAILURE, "`helm rollback release 1 --namespace authz`"),
        ("failed", Level.WARNING, "`helm status release --namespace authz`"),
    ],
)
def test_a_helm_release_that_is_not_deployed(status: str, level: Level, fix: str) -> None:
    cluster = installable()
    deploy(cluster, props("v1.52.0"))
    helm_revision(cluster, 1, "deployed")
    helm_revision(cluster, 2, status)
    finding = about("Helm release release", cluster)
    assert finding.level is level
    assert fix in finding.fix


def test_an_install_that_was_stopped_is_uninstalled() -> None:
    cluster = installable()
    helm_revision(cluster, 1, "pending-install", "spicedb")
    assert "`helm uninstall spicedb --namespace authz`" in about("Helm release spicedb", cluster).fix


@pytest.mark.parametrize(
    ("status", "level"),
    [
        ({"active": 1}, Level.FAILURE),
        ({"conditions": [{"type": "Failed", "status": "True", "message": "too often"}]}, Level.WARNING),
    ],
)
def test_a_migration_that_runs_or_failed(status: dict[str, Any], level: Level) -> None:
    cluster = installable()
    labels = selector_labels("spicedb", Component.MIGRATION)
    cluster.put("jobs", {"metadata": {"name": "spicedb-migration", "labels": labels}, "spec": {}, "status": status})
    assert about("Job spicedb-migration", cluster).level is level
    cluster.get("jobs", "spicedb-migration")["status"] = {"succeeded": 1}
    assert found(cluster) == []


def test_a_failed_migration_of_kubectl_is_deleted_to_run_again() -> None:
    cluster = installable()
    labels = selector_labels("spicedb", Component.MIGRATION)
    status = {"conditions": [{"type": "Failed", "status": "True"}]}
    cluster.put(
        "jobs", {"metadata": {"name": "spicedb-migration-1234567", "labels": labels}, "spec": {}, "status": status}
    )
    fix = about("Job spicedb-migration-1234567", cluster, props(delivery=Delivery.KUBECTL)).fix
    assert "`kubectl delete job spicedb-migration-1234567 --namespace authz`" in fix


def test_older_failed_migrations_of_kubectl_do_not_matter() -> None:
    """Unless this release has the same one, which then would not run."""
    cluster, settings = installable(), props(delivery=Delivery.KUBECTL)
    (own,) = (each["metadata"]["name"] for each in release_manifests(settings) if each["kind"] == "Job")
    labels = selector_labels("spicedb", Component.MIGRATION)
    failed, done = ({"conditions": [{"type": kind, "status": "True"}]} for kind in ("Failed", "Complete"))
    jobs = {"spicedb-migration-0000000": failed, own: failed, "spicedb-migration-1111111": done}
    for number, (name, status) in enumerate(jobs.items()):
        metadata = {"name": name, "labels": labels, "creationTimestamp": f"2030-01-01T00:00:0{number}Z"}
        cluster.put("jobs", {"metadata": metadata, "spec": {}, "status": status})
    assert [each.subject for each in found(cluster, settings)] == [f"Job {own}"]


def test_what_an_interrupted_upgrade_left_is_no_failure_for_it() -> None:
    cluster = installable()
    deploy(cluster, props("v1.52.0"))["status"]["updatedReplicas"] = 1
    helm_revision(cluster, 1, "deployed")
    helm_revision(cluster, 2, "pending-upgrade")
    assert [finding.level for finding in found(cluster, goes_on="upgrade")] == [Level.OK, Level.WARNING, Level.WARNING]
