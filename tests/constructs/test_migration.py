"""The migration: a Job before each install and upgrade, and its own identity if it needs one."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import attrs
import pytest

from cdk8s_spicedb import (
    Datastore,
    InvalidProps,
    Memory,
    Migration,
    MigrationPhase,
    MigrationProps,
    Resources,
    SecretKey,
    ServerProps,
    SpiceDBProps,
    SpiceDBWarning,
    Toleration,
)
from tests.synth import ENGINES, OF_LOST_NODES, POSTGRES, Manifests, Object, chart, environment, manifests, synth

BASE = SpiceDBProps(version="v1.56.0", datastore=POSTGRES)
ROLE = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/spicedb"}


def migration(settings: MigrationProps | None = None, **changes: Any) -> Manifests:
    target = chart()
    Migration(target, "migration", attrs.evolve(BASE, migration=settings or MigrationProps(), **changes))
    return manifests(target)


def container(settings: MigrationProps | None = None, **changes: Any) -> Object:
    return migration(settings, **changes).container("Job")


def phased(settings: MigrationProps) -> Object:
    with pytest.warns(SpiceDBWarning):
        return container(settings)


def test_the_migration_is_one_job_named_after_the_release() -> None:
    assert migration().kinds == ["Job"]
    assert migration().one("Job")["metadata"]["name"] == "spicedb-migration"
    assert migration(name="permissions").one("Job")["metadata"]["name"] == "permissions-migration"


def test_the_job_is_a_hook_before_install_and_upgrade() -> None:
    assert migration().one("Job")["metadata"]["annotations"] == {
        "helm.sh/hook": "pre-install,pre-upgrade",
        "helm.sh/hook-weight": "0",
        "helm.sh/hook-delete-policy": "before-hook-creation",
        "helm.sh/hook-output-log-policy": "hook-failed,hook-succeeded",
    }


def test_a_users_annotations_do_not_replace_the_hooks() -> None:
    annotations = migration(annotations={"owner": "identity"}).one("Job")["metadata"]["annotations"]
    assert annotations == {**migration().one("Job")["metadata"]["annotations"], "owner": "identity"}


def test_the_job_has_the_migrations_labels() -> None:
    found = migration(MigrationProps(pod_labels={"pod": "yes"}), labels={"team": "identity"}).one("Job")
    selector = {
        "app.kubernetes.io/name": "spicedb",
        "app.kubernetes.io/instance": "spicedb",
        "app.kubernetes.io/component": "migration",
    }
    assert found["metadata"]["labels"] == {**selector, "team": "identity"}
    assert found["spec"]["template"]["metadata"]["labels"] == {
        **selector,
        "app.kubernetes.io/version": "v1.56.0",
        "pod": "yes",
    }


def test_without_a_target_it_migrates_to_the_head() -> None:
    assert container()["command"] == ["spicedb", "migrate", "head"]


@pytest.mark.parametrize("target", ["head", "add-index-for-transaction-gc", "add-caveats"])
def test_it_stops_at_the_target(target: str) -> None:
    found = container(MigrationProps(target_migration=target), server=ServerProps(allowed_migrations=[target]))
    assert found["command"] == ["spicedb", "migrate", target]


def test_an_unknown_target_can_be_allowed() -> None:
    settings = MigrationProps(target_migration="of-a-fork", allow_unknown_target=True)
    found = container(settings, server=ServerProps(allowed_migrations=["of-a-fork"]))
    assert found["command"] == ["spicedb", "migrate", "of-a-fork"]


@pytest.mark.parametrize(("phase", "text"), [("WRITE", "write"), ("READ", "read"), ("COMPLETE", "complete")])
def test_a_phase_without_a_target_is_the_only_argument(phase: str, text: str) -> None:
    found = phased(MigrationProps(target_phase=MigrationPhase[phase]))
    assert found["command"] == ["spicedb", "migrate", f"--phase={text}"]


@pytest.mark.parametrize("target", ["head", "add-caveats"])
def test_a_phase_comes_after_the_target(target: str) -> None:
    found = phased(MigrationProps(target_migration=target, target_phase=MigrationPhase.WRITE))
    assert found["command"] == ["spicedb", "migrate", target, "--phase=write"]


def test_the_migration_has_these_arguments_by_default() -> None:
    assert container()["args"] == [
        "--log-level=info",
        "--log-format=json",
        "--skip-release-check=true",
        "--termination-log-path=/dev/termination-log",
    ]


@pytest.mark.parametrize(
    ("own", "rendered"), [(None, "warn"), ("trace", "trace"), ("info", "info")], ids=["inherited", "own", "default"]
)
def test_the_log_level_is_the_servers_unless_it_has_its_own(own: Any, rendered: str) -> None:
    found = container(MigrationProps(log_level=own), server=ServerProps(log_level="warn"))
    assert [arg for arg in found["args"] if arg.startswith("--log-level")] == [f"--log-level={rendered}"]


def test_the_log_format_is_the_servers() -> None:
    assert "--log-format=console" in container(server=ServerProps(log_format="console"))["args"]


@pytest.mark.parametrize(("seconds", "timeout"), [(60, "2m"), (600, "11m"), (659, "11m")])
def test_helm_waits_longer_than_the_migration_may_take(seconds: int, timeout: str) -> None:
    assert MigrationProps(active_deadline_seconds=seconds).helm_timeout == timeout


def test_timeout_and_batch_size_are_arguments() -> None:
    settings = MigrationProps(migration_timeout=timedelta(minutes=5), backfill_batch_size=250)
    assert {"--migration-timeout=300s", "--migration-backfill-batch-size=250"} <= set(container(settings)["args"])


def test_releases_without_a_termination_log_have_no_flag_for_it() -> None:
    server = ServerProps(allowed_migrations=())
    args = container(version="v1.21.0", server=server)["args"]
    assert args == ["--log-level=info", "--log-format=json", "--skip-release-check=true"]


def test_retries_deadline_and_restart_policy_have_defaults() -> None:
    spec = migration().one("Job")["spec"]
    assert spec["backoffLimit"] == 3
    assert spec["activeDeadlineSeconds"] == 600
    assert spec["template"]["spec"]["restartPolicy"] == "OnFailure"


def test_retries_deadline_and_restart_policy_can_be_configured() -> None:
    settings = MigrationProps(backoff_limit=0, active_deadline_seconds=7200, restart_policy="Never")
    spec = migration(settings).one("Job")["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] == 7200
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize("image", [None, "registry.example.com/spicedb", f"spicedb@sha256:{'0' * 64}"])
def test_the_migration_has_the_servers_image(image: str | None) -> None:
    found = synth(attrs.evolve(BASE, image=image))
    assert found.container("Job", "migration")["image"] == found.container("Deployment")["image"]


@pytest.mark.parametrize("datastore", ENGINES.values(), ids=ENGINES)
def test_the_migration_connects_to_the_datastore_as_the_servers_do(datastore: Datastore) -> None:
    found = synth(attrs.evolve(BASE, datastore=datastore))
    servers = environment(found.container("Deployment"))
    servers = {name: value for name, value in servers.items() if "PRESHARED" not in name and "REPLICA" not in name}
    own = environment(found.container("Job", "migration"))
    # `spicedb migrate` expands $NAME itself, for the servers Kubernetes expands $(NAME).
    own = {name: re.sub(r"\$(\w+)", r"$(\1)", value) if "$" in value else value for name, value in own.items()}
    assert own == servers


def test_spicedb_expands_the_password_of_the_migration_and_kubernetes_that_of_the_servers() -> None:
    found = synth(attrs.evolve(BASE, datastore=ENGINES["mysql-parts"]))
    own, servers = environment(found.container("Job", "migration")), environment(found.container("Deployment"))
    assert own["SPICEDB_DATASTORE_CONN_URI"].startswith("spicedb:$DATASTORE_PASSWORD@tcp(")
    assert servers["SPICEDB_DATASTORE_CONN_URI"].startswith("spicedb:$(DATASTORE_PASSWORD)@tcp(")


def _of_datastore(volumes: list[Object] | None) -> list[Object]:
    return [volume for volume in volumes or [] if volume["name"] == "datastore"]


@pytest.mark.parametrize("datastore", ENGINES.values(), ids=ENGINES)
def test_the_migration_has_the_same_files_of_the_datastore_as_the_servers(datastore: Datastore) -> None:
    found = synth(attrs.evolve(BASE, datastore=datastore))
    servers, own = found.pod("Deployment"), found.pod("Job", "migration")
    assert _of_datastore(own.get("volumes")) == _of_datastore(servers.get("volumes"))
    mounts, own_mounts = servers["containers"][0].get("volumeMounts"), own["containers"][0].get("volumeMounts")
    assert _of_datastore(own_mounts) == _of_datastore(mounts)
    assert {volume["name"] for volume in own.get("volumes", [])} <= {"datastore"}


@pytest.mark.parametrize("datastore", ENGINES.values(), ids=ENGINES)
def test_the_migration_can_have_its_own_uri(datastore: Datastore) -> None:
    props = attrs.evolve(
        BASE, datastore=datastore, migration=MigrationProps(datastore_uri=SecretKey("owner", "owner-uri"))
    )
    found = synth(props)
    own = environment(found.container("Job", "migration"))
    assert own["SPICEDB_DATASTORE_CONN_URI"] == ("owner", "owner-uri")
    assert own["SPICEDB_DATASTORE_ENGINE"] == datastore.engine
    assert not {"PGPASSWORD", "DATASTORE_PASSWORD"} & set(own)
    assert environment(found.container("Deployment"))["SPICEDB_DATASTORE_CONN_URI"] != ("owner", "owner-uri")


def test_the_migration_has_no_preshared_key() -> None:
    assert "SPICEDB_GRPC_PRESHARED_KEY" not in environment(container())


def test_without_workload_identity_the_migration_has_no_account() -> None:
    pod = migration().pod("Job")
    assert "serviceAccountName" not in pod
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("release", "own", "rendered"),
    [
        (ROLE, None, ROLE),
        ({}, ROLE, ROLE),
        ({"a": "release"}, {"b": "own"}, {"b": "own"}),
    ],
    ids=["the release's", "its own", "its own instead"],
)
def test_with_workload_identity_its_account_is_created_first(
    release: dict[str, str], own: dict[str, str] | None, rendered: dict[str, str]
) -> None:
    found = migration(MigrationProps(service_account_annotations=own), service_account_annotations=release)
    assert found.kinds == ["ServiceAccount", "Job"]
    account = found.one("ServiceAccount")
    assert account["metadata"]["name"] == found.pod("Job")["serviceAccountName"] == "spicedb-migration"
    assert account["automountServiceAccountToken"] is False
    assert account["metadata"]["annotations"] == {
        **rendered,
        "helm.sh/hook": "pre-install,pre-upgrade",
        "helm.sh/hook-weight": "-5",
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
    }


def test_the_migrations_identity_does_not_change_the_servers_account() -> None:
    found = synth(attrs.evolve(BASE, migration=MigrationProps(service_account_annotations=ROLE)))
    assert "annotations" not in found.one("ServiceAccount", "server")["metadata"]
    assert ROLE.items() <= found.one("ServiceAccount", "migration")["metadata"]["annotations"].items()


def test_the_migration_can_have_no_identity() -> None:
    found = migration(MigrationProps(service_account_annotations={}), service_account_annotations=ROLE)
    assert found.kinds == ["Job"]
    assert "serviceAccountName" not in found.pod("Job")


def test_its_resources_can_be_configured() -> None:
    assert container()["resources"] == {
        "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "64Mi"},
        "limits": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "1Gi"},
    }
    resources = Resources(requests={"cpu": "2"}, limits={"memory": "4Gi"})
    assert container(MigrationProps(resources=resources))["resources"] == {
        "requests": {"cpu": "2"},
        "limits": {"memory": "4Gi"},
    }


def test_its_pod_has_its_own_settings_and_not_the_servers() -> None:
    settings = MigrationProps(
        pod_annotations={"sidecar.istio.io/inject": "false"},
        node_selector={"disk": "ssd"},
        tolerations=(Toleration(key="batch", effect="NoSchedule"),),
        affinity={"nodeAffinity": {}},
    )
    found = migration(settings, server=ServerProps(node_selector={"servers": "only"}))
    assert found.one("Job")["spec"]["template"]["metadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}
    pod = found.pod("Job")
    assert pod["nodeSelector"] == {"disk": "ssd"}
    own = {"key": "batch", "operator": "Equal", "effect": "NoSchedule"}
    assert pod["tolerations"] == [own, *OF_LOST_NODES]
    assert pod["affinity"] == {"nodeAffinity": {}}


def test_the_migration_has_the_image_pull_secrets() -> None:
    assert migration(image_pull_secrets=("a", "b")).pod("Job")["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


def test_the_memory_engine_has_no_migration() -> None:
    target = chart()
    with pytest.raises(InvalidProps) as caught:
        Migration(target, "migration", SpiceDBProps(datastore=Memory()))
    (problem,) = caught.value.problems
    assert problem.field == "datastore"
    assert "PostgreSQL" in problem.fix
    assert manifests(target).objects == []


def test_objects_can_be_patched() -> None:
    target = chart()
    Migration(target, "migration", BASE).job.metadata.add_annotation("example.com/job", "yes")
    assert manifests(target).one("Job")["metadata"]["annotations"]["example.com/job"] == "yes"
