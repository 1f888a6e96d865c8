"""Dry runs of objects and pods."""

from __future__ import annotations

import pytest

from cdk8s_spicedb import BackupProps, Delivery, Monitoring, PodMonitor, ServerProps, SpiceDBProps
from cdk8s_spicedb.live.check.admission import object_findings, pod_findings
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.manifests import release_manifests
from tests.apiserver import ApiServer, matches
from tests.live.installed import installable, props


def objects(cluster: ApiServer, settings: SpiceDBProps | None = None, *, installs: bool = True) -> list[Finding]:
    manifests = release_manifests(settings or props())
    return list(object_findings(cluster.cluster(), Delivery.HELM, manifests, installs=installs))


def pods(cluster: ApiServer, settings: SpiceDBProps | None = None) -> list[Finding]:
    return list(pod_findings(cluster.cluster(), release_manifests(settings or props())))


def refusing(resource: str, status: int, message: str) -> ApiServer:
    """A cluster that refuses objects of one kind."""
    cluster = installable()
    cluster.fail(matches("change", resource), (status, message), times=None)
    return cluster


def test_the_cluster_takes_all_objects_and_none_is_created() -> None:
    cluster = installable()
    (finding,) = objects(cluster)
    assert finding.level is Level.OK
    assert cluster.count("change", dry_run=True)
    assert not cluster.count("change", dry_run=False)


def test_jobs_have_another_name_in_the_dry_run() -> None:
    cluster = installable()
    objects(cluster)
    assert sorted(request.name for request in cluster.asked("patch", "jobs")) == [
        "spicedb-migration-cleanup-dry-run",
        "spicedb-migration-dry-run",
    ]


def test_a_claim_that_cannot_change_says_what_to_do() -> None:
    message = "spec: Forbidden: spec is immutable after creation except resources.requests"
    cluster = refusing("persistentvolumeclaims", 422, message)
    (finding,) = objects(cluster, props(backup=BackupProps(schedule="@daily")))
    assert finding.subject == "PersistentVolumeClaim spicedb-backup"
    assert "backup.storageClass as they were" in finding.fix


def test_the_pods_of_backups_are_tried_too() -> None:
    cluster = installable()
    (finding,) = pods(cluster, props(backup=BackupProps(schedule="@daily")))
    assert finding.level is Level.OK
    names = [each["name"] for request in cluster.asked("create", "pods") for each in request.body["spec"]["containers"]]
    assert {"try-volume", "finish-backup"} < {*names}


def test_a_missing_kind_names_its_setting() -> None:
    (finding,) = objects(installable(), props(monitoring=Monitoring(pod_monitor=PodMonitor())))
    assert (finding.subject, finding.level) == ("PodMonitor spicedb", Level.FAILURE)
    assert "remove monitoring.podMonitor from the file" in finding.fix


@pytest.mark.parametrize(
    ("status", "message", "fix"),
    [
        (403, 'user "u" is attempting to grant RBAC permissions not currently held', "escalate"),
        (422, "spec.selector: Invalid value: field is immutable", "another name"),
        (403, "exceeded quota: objects, requested: count/roles=1", "ResourceQuota"),
        (400, 'admission webhook "policy.example.com" denied the request', "policy"),
        (422, "spec.rules: Required value", "setting or the patch"),
    ],
)
def test_a_refused_object_says_what_to_do(status: int, message: str, fix: str) -> None:
    settings = props(server=ServerProps(dispatch_enabled=True))
    (finding,) = objects(refusing("roles", status, message), settings)[:1]
    assert (finding.subject, finding.level) == ("Role spicedb", Level.FAILURE)
    assert message in finding.text
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, 'roles "spicedb" is forbidden: User "u" cannot patch resource "roles"'),
        (400, 'admission webhook "w" does not support dry run'),
    ],
)
def test_what_could_not_be_tried_is_a_warning(status: int, message: str) -> None:
    assert {finding.level for finding in objects(refusing("roles", status, message))} == {Level.WARNING}


def test_a_role_that_is_not_there_yet_can_be_bound_later() -> None:
    (finding,) = objects(refusing("rolebindings", 404, 'roles "spicedb" not found'))
    assert finding.level is Level.OK


def test_helm_does_not_install_over_objects_of_others() -> None:
    cluster = installable()
    cluster.put("services", {"metadata": {"name": "spicedb"}, "spec": {}})
    (finding,) = objects(cluster)
    assert (finding.subject, finding.level) == ("Service spicedb", Level.FAILURE)
    by_helm = {"meta.helm.sh/release-name": "spicedb"}
    cluster.put("services", {"metadata": {"name": "spicedb", "annotations": by_helm}, "spec": {}})
    assert objects(cluster)[0].level is Level.OK
    cluster.put("services", {"metadata": {"name": "spicedb"}, "spec": {}})
    assert objects(cluster, installs=False)[0].level is Level.OK


def test_the_cluster_takes_all_pods() -> None:
    (finding,) = pods(installable())
    assert finding == Finding.ok("Pods", "the cluster accepts the pods of migration, server, cleanup (dry run)")


def test_the_service_account_of_the_release_may_be_missing() -> None:
    cluster = installable()

    def accounts() -> set[str | None]:
        return {request.body["spec"].get("serviceAccountName") for request in cluster.asked("create", "pods")}

    pods(cluster)
    assert accounts() == {None}
    cluster.put("serviceaccounts", {"metadata": {"name": "spicedb"}})
    pods(cluster)
    assert "spicedb" in accounts()
    servers_and_migration = pods(installable(), props(server=ServerProps(service_account="own")))
    assert len(servers_and_migration) == 2
    assert all("kubectl create serviceaccount own" in finding.fix for finding in servers_and_migration)


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        ('violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false', "remove the patches"),
        ("unable to validate against any security context constraint: []", "openshift: true"),
        ("failed quota: compute: must specify limits.cpu for: spicedb", "needs amounts"),
        ("maximum cpu usage per Container is 1, but limit is 2", "LimitRange"),
        ("no PriorityClass with name high was found", "priorityClassName"),
        ("the policy says no", "policy of the cluster"),
    ],
)
def test_a_refused_pod_says_what_to_do(message: str, fix: str) -> None:
    findings = pods(refusing("pods", 403, f'pods "dry-run-x7" is forbidden: {message}'))
    assert [finding.subject for finding in findings] == [
        "Pod of Job spicedb-migration",
        "Pod of Deployment spicedb",
        "Pod of Job spicedb-migration-cleanup",
    ]
    assert findings[0].text == f"the cluster refuses it: {message}"
    assert fix in findings[0].fix


def test_exceeded_quotas_are_left_to_the_finding_that_counts() -> None:
    message = 'pods "dry-run-x7" is forbidden: exceeded quota: compute'
    assert pods(refusing("pods", 403, message))[0].level is Level.OK
    cluster = refusing("pods", 403, message)
    cluster.deny("resourcequotas", "list")
    assert "raise the ResourceQuota" in pods(cluster)[0].fix


def test_pods_that_you_may_not_create_are_not_tried() -> None:
    assert {finding.level for finding in pods(installable(("create", "pods")))} == {Level.WARNING}
