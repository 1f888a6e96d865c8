"""What the clean-up renders: a Job after each install and upgrade, and the right to remove the migration."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb import (
    Cleanup,
    CleanupProps,
    InvalidProps,
    Memory,
    Resources,
    SpiceDBProps,
    Toleration,
)
from tests.synth import POSTGRES, Manifests, Object, chart, manifests, synth

BASE = SpiceDBProps(version="v1.56.0", datastore=POSTGRES)


def cleanup(settings: CleanupProps | None = None, **changes: Any) -> Manifests:
    target = chart()
    Cleanup(target, "cleanup", attrs.evolve(BASE, cleanup=settings or CleanupProps(), **changes))
    return manifests(target)


def container(settings: CleanupProps | None = None, **changes: Any) -> Object:
    return cleanup(settings, **changes).container("Job")


def option(command: list[str], name: str) -> str:
    (found,) = [each for each in command if each.startswith(f"--{name}=")]
    return found.partition("=")[2]


def test_the_clean_up_is_these_objects() -> None:
    found = cleanup()
    assert found.kinds == ["ServiceAccount", "Role", "RoleBinding", "Job"]
    assert {each["metadata"]["name"] for each in found.objects} == {"spicedb-migration-cleanup"}


def test_the_job_is_a_hook_after_install_and_upgrade() -> None:
    assert cleanup().one("Job")["metadata"]["annotations"] == {
        "helm.sh/hook": "post-install,post-upgrade",
        "helm.sh/hook-weight": "0",
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
        "helm.sh/hook-output-log-policy": "hook-failed",
    }


@pytest.mark.parametrize("kind", ["ServiceAccount", "Role", "RoleBinding"])
def test_its_rights_are_part_of_the_release_and_no_hooks(kind: str) -> None:
    assert "annotations" not in cleanup().one(kind)["metadata"]


def test_it_deletes_jobs_with_kubectl() -> None:
    assert container()["command"][:3] == ["kubectl", "delete", "jobs"]
    assert "args" not in container()


@pytest.mark.parametrize("name", ["spicedb", "permissions"])
def test_it_selects_the_migration_of_its_own_release_and_nothing_else(name: str) -> None:
    found = synth(attrs.evolve(BASE, name=name, labels={"team": "identity"}))
    selected = dict(
        pair.split("=") for pair in option(found.container("Job", "cleanup")["command"], "selector").split(",")
    )
    assert selected == {
        "app.kubernetes.io/name": "spicedb",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": "migration",
    }
    hit = [each["metadata"]["name"] for each in found.objects if selected.items() <= each["metadata"]["labels"].items()]
    assert hit == [f"{name}-migration"]


def test_it_leaves_failed_migrations_as_evidence() -> None:
    assert option(container()["command"], "field-selector") == "status.successful=1"


def test_it_does_not_wait_for_which_it_has_no_right() -> None:
    assert option(container()["command"], "wait") == "false"


@pytest.mark.parametrize("name", ["spicedb", "permissions"])
def test_it_may_list_jobs_and_delete_its_migration_and_nothing_else(name: str) -> None:
    found = cleanup(name=name)
    assert found.one("Role")["rules"] == [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "resourceNames": [f"{name}-migration"], "verbs": ["delete"]},
    ]


def test_its_rights_are_those_of_its_own_account() -> None:
    found = cleanup()
    own = "spicedb-migration-cleanup"
    binding = found.one("RoleBinding")
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": own}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": own}]
    assert found.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert found.pod("Job")["serviceAccountName"] == own
    assert found.pod("Job")["automountServiceAccountToken"] is True


def test_its_account_does_not_take_part_in_workload_identity() -> None:
    account = cleanup(service_account_annotations={"a": "b"}).one("ServiceAccount")
    assert "annotations" not in account["metadata"]


def test_the_job_ends_on_its_own() -> None:
    spec = cleanup().one("Job")["spec"]
    assert spec["backoffLimit"] == 3
    assert spec["activeDeadlineSeconds"] == 120
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert cleanup(CleanupProps(active_deadline_seconds=30)).one("Job")["spec"]["activeDeadlineSeconds"] == 30


def test_the_image_is_the_one_asked_for_and_not_the_servers() -> None:
    assert container(image="registry.example.com/spicedb")["image"] == "registry.k8s.io/kubectl:v1.34.4"
    assert container(CleanupProps(image="mirror/kubectl:v1.33.0"))["image"] == "mirror/kubectl:v1.33.0"


def test_it_knows_nothing_of_the_datastore() -> None:
    assert "env" not in container()
    assert "volumes" not in cleanup().pod("Job")


def test_it_has_the_resources_asked_for() -> None:
    assert container()["resources"] == {
        "requests": {"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "64Mi"},
        "limits": {"cpu": "1", "memory": "128Mi", "ephemeral-storage": "1Gi"},
    }
    given = Resources(requests={"cpu": "1m"}, limits={"memory": "64Mi"})
    assert container(CleanupProps(resources=given))["resources"] == {
        "requests": {"cpu": "1m"},
        "limits": {"memory": "64Mi"},
    }


def test_it_is_placed_as_asked_for() -> None:
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


def test_the_memory_engine_leaves_nothing_to_clean_up() -> None:
    target = chart()
    with pytest.raises(InvalidProps) as caught:
        Cleanup(target, "cleanup", SpiceDBProps(datastore=Memory()))
    assert [problem.field for problem in caught.value.problems] == ["datastore"]
    assert manifests(target).objects == []


def test_what_has_no_prop_is_patched() -> None:
    target = chart()
    Cleanup(target, "cleanup", BASE).job.metadata.add_annotation("example.com/job", "yes")
    assert manifests(target).one("Job")["metadata"]["annotations"]["example.com/job"] == "yes"
