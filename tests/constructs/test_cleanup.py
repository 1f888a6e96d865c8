"""The clean-up: a Job after each install and upgrade, and its right to delete the migration."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb import Cleanup, CleanupProps, InvalidProps, Memory, Resources, SpiceDBProps, Toleration
from tests.synth import POSTGRES, Manifests, Object, chart, manifests, synth

BASE = SpiceDBProps(version="v1.56.0", datastore=POSTGRES)


def cleanup(settings: CleanupProps | None = None, **changes: Any) -> Manifests:
    target = chart()
    Cleanup(target, "cleanup", attrs.evolve(BASE, cleanup=settings or CleanupProps(), **changes))
    return manifests(target)


def container(settings: CleanupProps | None = None, **changes: Any) -> Object:
    return cleanup(settings, **changes).container("Job")


def option(command: list[str], name: str) -> str:
    (found,) = [arg for arg in command if arg.startswith(f"--{name}=")]
    return found.partition("=")[2]


def test_the_clean_up_has_these_objects() -> None:
    found = cleanup()
    assert found.kinds == ["ServiceAccount", "Role", "RoleBinding", "Job"]
    assert {manifest["metadata"]["name"] for manifest in found.objects} == {"spicedb-migration-cleanup"}


def test_somebody_else_can_create_the_roles() -> None:
    found = synth(SpiceDBProps(version="v1.56.0", datastore=POSTGRES, rbac_create=False))
    assert not {"Role", "RoleBinding"} & set(found.kinds)
    assert found.pod("Job", "cleanup")["serviceAccountName"] == "spicedb-migration-cleanup"
    assert found.one("ServiceAccount", "cleanup")["metadata"]["name"] == "spicedb-migration-cleanup"


def test_the_job_is_a_hook_after_install_and_upgrade() -> None:
    assert cleanup().one("Job")["metadata"]["annotations"] == {
        "helm.sh/hook": "post-install,post-upgrade",
        "helm.sh/hook-weight": "0",
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
        "helm.sh/hook-output-log-policy": "hook-failed",
    }


@pytest.mark.parametrize("kind", ["ServiceAccount", "Role", "RoleBinding"])
def test_its_rights_are_not_hooks(kind: str) -> None:
    assert "annotations" not in cleanup().one(kind)["metadata"]


def test_it_deletes_jobs_with_kubectl() -> None:
    assert container()["command"][:3] == ["kubectl", "delete", "jobs"]
    assert "args" not in container()


@pytest.mark.parametrize("name", ["spicedb", "permissions"])
def test_it_selects_only_the_migration_of_its_release(name: str) -> None:
    found = synth(attrs.evolve(BASE, name=name, labels={"team": "identity"}))
    selector = dict(
        pair.split("=") for pair in option(found.container("Job", "cleanup")["command"], "selector").split(",")
    )
    assert selector == {
        "app.kubernetes.io/name": "spicedb",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": "migration",
    }
    selected_names = [
        manifest["metadata"]["name"]
        for manifest in found.objects
        if selector.items() <= manifest["metadata"]["labels"].items()
    ]
    assert selected_names == [f"{name}-migration"]


def test_it_keeps_failed_migrations() -> None:
    assert option(container()["command"], "field-selector") == "metadata.name=spicedb-migration,status.successful=1"


def test_it_does_not_wait_for_the_deletion() -> None:
    assert option(container()["command"], "wait") == "false"


@pytest.mark.parametrize("name", ["spicedb", "permissions"])
def test_it_may_only_list_jobs_and_delete_its_migration(name: str) -> None:
    found = cleanup(name=name)
    assert found.one("Role")["rules"] == [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "resourceNames": [f"{name}-migration"], "verbs": ["delete"]},
    ]


def test_its_role_is_bound_to_its_own_account() -> None:
    found = cleanup()
    name = "spicedb-migration-cleanup"
    binding = found.one("RoleBinding")
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name}]
    assert found.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert found.pod("Job")["serviceAccountName"] == name
    assert found.pod("Job")["automountServiceAccountToken"] is True


def test_its_account_has_no_workload_identity() -> None:
    account = cleanup(service_account_annotations={"a": "b"}).one("ServiceAccount")
    assert "annotations" not in account["metadata"]


def test_retries_and_time_of_the_job_are_limited() -> None:
    spec = cleanup().one("Job")["spec"]
    assert spec["backoffLimit"] == 3
    assert spec["activeDeadlineSeconds"] == 120
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert cleanup(CleanupProps(active_deadline_seconds=30)).one("Job")["spec"]["activeDeadlineSeconds"] == 30


def test_the_image_is_not_the_servers_and_can_be_configured() -> None:
    assert container(image="registry.example.com/spicedb")["image"] == "registry.k8s.io/kubectl:v1.34.4"
    assert container(CleanupProps(image="mirror/kubectl:v1.33.0"))["image"] == "mirror/kubectl:v1.33.0"


def test_it_has_no_settings_of_the_datastore() -> None:
    assert "env" not in container()
    assert "volumes" not in cleanup().pod("Job")


def test_its_resources_can_be_configured() -> None:
    assert container()["resources"] == {
        "requests": {"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "64Mi"},
        "limits": {"cpu": "1", "memory": "128Mi", "ephemeral-storage": "1Gi"},
    }
    resources = Resources(requests={"cpu": "1m"}, limits={"memory": "64Mi"})
    assert container(CleanupProps(resources=resources))["resources"] == {
        "requests": {"cpu": "1m"},
        "limits": {"memory": "64Mi"},
    }


def test_its_pod_can_be_configured() -> None:
    settings = CleanupProps(
        pod_labels={"pod": "yes"},
        pod_annotations={"sidecar.istio.io/inject": "false"},
        node_selector={"disk": "ssd"},
        tolerations=(Toleration(operator="Exists"),),
        affinity={"podAffinity": {}},
    )
    found = cleanup(settings, image_pull_secrets=("registry",))
    metadata = found.one("Job")["spec"]["template"]["metadata"]
    assert metadata["labels"]["pod"] == "yes"
    assert metadata["annotations"] == {"sidecar.istio.io/inject": "false"}
    pod = found.pod("Job")
    assert pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["affinity"] == {"podAffinity": {}}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]


def test_the_memory_engine_has_no_clean_up() -> None:
    target = chart()
    with pytest.raises(InvalidProps) as caught:
        Cleanup(target, "cleanup", SpiceDBProps(datastore=Memory()))
    assert [problem.field for problem in caught.value.problems] == ["datastore"]
    assert manifests(target).objects == []


def test_objects_can_be_patched() -> None:
    target = chart()
    Cleanup(target, "cleanup", BASE).job.metadata.add_annotation("example.com/job", "yes")
    assert manifests(target).one("Job")["metadata"]["annotations"]["example.com/job"] == "yes"
