"""Annotations, names and lifetimes of objects for each delivery."""

from __future__ import annotations

import re
import shlex
from typing import Any

import attrs
import pytest

from cdk8s_spicedb import (
    Autoscaling,
    Cleanup,
    CleanupProps,
    Delivery,
    InvalidProps,
    MigrationProps,
    ServerProps,
    SpiceDBProps,
)
from cdk8s_spicedb.delivery import CLEANUP, MIGRATION, MIGRATION_IDENTITY, Applier, Hook, misfit
from cdk8s_spicedb.labels import LONGEST_NAME
from cdk8s_spicedb.manifests import release_manifests
from tests.synth import POSTGRES, Manifests, chart

HOOKS = pytest.mark.parametrize(
    "hook", [MIGRATION, MIGRATION_IDENTITY, CLEANUP], ids=["migration", "identity", "clean-up"]
)


def of(delivery: Delivery, **fields: Any) -> SpiceDBProps:
    return SpiceDBProps(**{"version": "v1.56.0", "datastore": POSTGRES, "delivery": delivery, **fields})


def rendered(delivery: Delivery, **fields: Any) -> Manifests:
    return Manifests(release_manifests(of(delivery, **fields)))


@pytest.mark.parametrize(
    ("hook", "annotations"),
    [
        (
            MIGRATION,
            {
                "helm.sh/hook": "pre-install,pre-upgrade",
                "helm.sh/hook-weight": "0",
                "helm.sh/hook-delete-policy": "before-hook-creation",
                "helm.sh/hook-output-log-policy": "hook-failed,hook-succeeded",
            },
        ),
        (
            MIGRATION_IDENTITY,
            {
                "helm.sh/hook": "pre-install,pre-upgrade",
                "helm.sh/hook-weight": "-5",
                "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
            },
        ),
        (
            CLEANUP,
            {
                "helm.sh/hook": "post-install,post-upgrade",
                "helm.sh/hook-weight": "0",
                "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
                "helm.sh/hook-output-log-policy": "hook-failed",
            },
        ),
    ],
    ids=["migration", "identity", "clean-up"],
)
def test_helm_annotations(hook: Hook, annotations: dict[str, str]) -> None:
    assert Delivery.HELM.annotations(hook) == annotations


@pytest.mark.parametrize(
    ("hook", "moment", "wave", "policy"),
    [
        (MIGRATION, "PreSync", "0", "BeforeHookCreation"),
        (MIGRATION_IDENTITY, "PreSync", "-5", "BeforeHookCreation,HookSucceeded"),
        (CLEANUP, "PostSync", "0", "BeforeHookCreation,HookSucceeded"),
    ],
    ids=["migration", "identity", "clean-up"],
)
def test_argo_cd_annotations(hook: Hook, moment: str, wave: str, policy: str) -> None:
    assert Delivery.ARGOCD.annotations(hook) == {
        "argocd.argoproj.io/hook": moment,
        "argocd.argoproj.io/sync-wave": wave,
        "argocd.argoproj.io/hook-delete-policy": policy,
    }


@HOOKS
def test_kubectl_has_no_hook_annotations(hook: Hook) -> None:
    assert Delivery.KUBECTL.annotations(hook) == {}


@pytest.mark.parametrize("delivery", [Delivery.HELM, Delivery.ARGOCD])
@HOOKS
def test_each_hook_is_deleted_before_it_is_created_again(delivery: Delivery, hook: Hook) -> None:
    policies = [value for key, value in delivery.annotations(hook).items() if key.endswith("hook-delete-policy")]
    assert [policy.lower().replace("-", "").split(",")[0] for policy in policies] == ["beforehookcreation"]


def test_the_identity_is_created_before_the_migration_which_is_kept() -> None:
    assert MIGRATION_IDENTITY.when is MIGRATION.when
    assert MIGRATION_IDENTITY.order < MIGRATION.order
    assert not MIGRATION.delete_on_success
    assert CLEANUP.when is not MIGRATION.when


@pytest.mark.parametrize("delivery", [Delivery.HELM, Delivery.ARGOCD])
def test_only_the_two_jobs_are_hooks(delivery: Delivery) -> None:
    metadata = [manifest["metadata"] for manifest in rendered(delivery).objects]
    hooks = [entry["name"] for entry in metadata if any("hook" in key for key in entry.get("annotations", {}))]
    assert hooks == ["spicedb-migration", "spicedb-migration-cleanup"]


def test_a_migration_with_the_release_is_a_job_of_helm() -> None:
    found = rendered(Delivery.HELM, migration=MigrationProps(hook=False))
    job = found.one("Job")
    assert "annotations" not in job["metadata"], "it is no hook, and no clean-up deletes it"
    assert re.fullmatch("spicedb-migration-[0-9a-f]{7}", job["metadata"]["name"])
    assert "ttlSecondsAfterFinished" not in job["spec"], "Helm must not find it gone"
    assert found.one("Deployment")["spec"]["progressDeadlineSeconds"] == 1200


def test_a_migration_with_the_release_runs_in_argo_cds_sync_phase() -> None:
    server = ServerProps(autoscaling=Autoscaling(min_replicas=2, max_replicas=3, cpu_utilization=80))
    found = rendered(
        Delivery.ARGOCD,
        migration=MigrationProps(hook=False),
        server=server,
        service_account_annotations={"role": "authz"},
    )
    waves = {
        (each["kind"], each["metadata"]["name"]): int(wave)
        for each in found.objects
        if (wave := each["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave"))
    }
    assert waves == {
        ("Job", "spicedb-migration"): 1,
        ("Deployment", "spicedb"): 2,
        ("PodDisruptionBudget", "spicedb"): 2,
        ("HorizontalPodAutoscaler", "spicedb"): 2,
        ("Job", "spicedb-migration-cleanup"): 0,
    }, "a database without a wave is in wave 0, as the ServiceAccount of the migration is"
    annotations = found.one("Job", "migration")["metadata"]["annotations"]
    assert annotations["argocd.argoproj.io/hook"] == "Sync"
    assert annotations["argocd.argoproj.io/hook-delete-policy"] == "BeforeHookCreation"
    assert "progressDeadlineSeconds" not in found.one("Deployment")["spec"]
    before = rendered(Delivery.ARGOCD).one("Deployment")
    assert "annotations" not in before["metadata"], "servers that need not wait have no wave"


def test_without_hooks_kubernetes_deletes_the_job_after_a_day() -> None:
    job = rendered(Delivery.KUBECTL).one("Job")
    # Flux must not delete a Job that runs when the next commit brings another one.
    assert job["metadata"]["annotations"] == {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
    assert job["spec"]["ttlSecondsAfterFinished"] == 86400
    assert rendered(Delivery.HELM).one("Job", "migration")["spec"].get("ttlSecondsAfterFinished") is None


def _job_name(**fields: Any) -> str:
    name: str = rendered(Delivery.KUBECTL, **fields).one("Job")["metadata"]["name"]
    return name


def test_the_name_of_the_job_changes_with_its_spec() -> None:
    names = [
        _job_name(),
        _job_name(version="v1.54.0"),
        _job_name(migration=MigrationProps(log_level="debug")),
        _job_name(migration=MigrationProps(backoff_limit=9)),
        _job_name(image="registry.example.com/spicedb"),
    ]
    assert len(set(names)) == len(names)
    assert all(name.startswith("spicedb-migration-") for name in names)


def test_the_name_of_the_job_does_not_change_with_labels_or_annotations() -> None:
    assert _job_name(labels={"team": "identity"}, annotations={"note": "new"}) == _job_name()


def test_the_longest_job_name_fits_into_a_label() -> None:
    assert len(_job_name(name="s" * LONGEST_NAME)) == 63


def test_the_progress_deadline_includes_the_migration_without_hooks() -> None:
    spec = rendered(Delivery.KUBECTL, migration=MigrationProps(active_deadline_seconds=3600)).one("Deployment")["spec"]
    assert spec["progressDeadlineSeconds"] == 4200
    for manifests in (
        rendered(Delivery.HELM),
        rendered(Delivery.ARGOCD),
        rendered(Delivery.KUBECTL, migration=MigrationProps(enabled=False)),
    ):
        assert "progressDeadlineSeconds" not in manifests.one("Deployment")["spec"]


@pytest.mark.parametrize(
    ("props", "field"),
    [
        (of(Delivery.KUBECTL, cleanup=CleanupProps(enabled=True)), r"cleanup\.enabled = True"),
        (of(Delivery.HELM, migration=MigrationProps(ttl_seconds_after_finished=60)), "ttl_seconds_after_finished = 60"),
        (of(Delivery.ARGOCD, migration=MigrationProps(ttl_seconds_after_finished=60)), "delivery argocd"),
    ],
)
def test_settings_that_a_delivery_does_not_support_are_rejected(props: SpiceDBProps, field: str) -> None:
    with pytest.raises(InvalidProps, match=field):
        Cleanup(chart(), "cleanup", props)


def test_the_cleanup_construct_needs_hooks() -> None:
    with pytest.raises(InvalidProps, match="delivery = 'kubectl'"):
        Cleanup(chart(), "cleanup", of(Delivery.KUBECTL))


def test_ttl_seconds_after_finished_sets_the_ttl_of_the_job() -> None:
    props = of(Delivery.KUBECTL, migration=MigrationProps(ttl_seconds_after_finished=600))
    assert Manifests(release_manifests(props)).one("Job")["spec"]["ttlSecondsAfterFinished"] == 600


def test_changing_the_delivery_does_not_restart_servers() -> None:
    templates = [rendered(delivery).one("Deployment")["spec"]["template"] for delivery in Delivery]
    assert templates[0] == templates[1] == templates[2]
    assert attrs.evolve(of(Delivery.HELM), delivery=Delivery.KUBECTL).cleans_up is False


FITS = {
    Applier.HELM: {Delivery.HELM},
    Applier.ARGOCD: {Delivery.ARGOCD},
    Applier.FLUX: {Delivery.HELM, Delivery.KUBECTL},
    Applier.KUBECTL: {Delivery.KUBECTL},
    Applier.OPERATOR: set[Delivery](),
}


@pytest.mark.parametrize("applier", Applier)
@pytest.mark.parametrize("delivery", Delivery)
def test_which_delivery_fits_which_program(delivery: Delivery, applier: Applier) -> None:
    wrong = misfit(delivery, applier)
    assert (wrong is None) is (delivery in FITS[applier])
    if wrong is not None:
        assert (
            wrong.text == f"the file has delivery: {delivery.value}, but the release was applied with {applier.title}"
        )
        assert wrong.certain is ((delivery, applier) != (Delivery.ARGOCD, Applier.KUBECTL))


def test_a_delivery_that_does_not_fit_has_a_fix() -> None:
    fixes = {applier: getattr(misfit(Delivery.ARGOCD, applier), "fix", "") for applier in Applier}
    assert fixes == {
        Applier.HELM: "set delivery: helm in the file",
        Applier.ARGOCD: "",
        Applier.FLUX: "set delivery: helm or kubectl in the file",
        Applier.KUBECTL: "go on if Argo CD tracks objects by label; otherwise set delivery: kubectl in the file",
        Applier.OPERATOR: "move the release to this package first, as the documentation describes",
    }


def test_programs_have_one_name() -> None:
    assert [applier.of("authz") for applier in Applier] == [
        "Helm release authz",
        "Argo CD authz",
        "Flux authz",
        "kubectl authz",
        "the SpiceDB operator, SpiceDBCluster authz",
    ]
    assert [applier.of(None) for applier in Applier] == ["Helm", "Argo CD", "Flux", "kubectl", "the SpiceDB operator"]


@pytest.mark.parametrize(
    "folder", ["dist", "a b", "$(touch pwned)", "it's", 'a"b', "x;y", "a/-rf", "ü", "*", "~", "a\\b"]
)
def test_the_next_command_names_the_folder_in_any_shell(folder: str) -> None:
    words = ["helm", "upgrade", "--install", "authz", folder, "--wait", "--timeout", "9m"]
    assert shlex.split(Delivery.HELM.next_command(folder, "authz", "9m")) == words
    assert shlex.split(Delivery.KUBECTL.next_command(folder, "authz", "9m"))[-1] == folder
    assert shlex.split(Delivery.ARGOCD.next_command(folder, "authz", "9m"))[1] == folder


def test_a_folder_is_no_option() -> None:
    assert " ./-rf " in Delivery.HELM.next_command("-rf", "authz", "9m")
