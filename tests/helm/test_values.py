"""A written chart, in the hands of Helm: without values it is what the constructs render, with them it follows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import helm_python as helm
import jsonschema
import pytest

from cdk8s_spicedb import (
    Autoscaling,
    BackupProps,
    ChartChange,
    ChartLink,
    ChartMetadata,
    CleanupProps,
    ConfigMapKey,
    DispatchTLS,
    InvalidProps,
    Maintainer,
    Memory,
    MigrationPhase,
    MigrationProps,
    MySQL,
    NetworkPolicies,
    Patch,
    PatchOperation,
    PermissionTest,
    PodSettings,
    Resources,
    SchemaProps,
    SecretKey,
    ServerProps,
    SignKey,
    SpiceDBProps,
    Toleration,
    TopologySpread,
    write_helm_chart,
)
from cdk8s_spicedb.labels import CHECKSUM
from cdk8s_spicedb.manifests import release_manifests
from cdk8s_spicedb.props import problems
from cdk8s_spicedb.props.fields import manifest_of
from cdk8s_spicedb.versions import known_releases
from tests import fast_yaml
from tests.charts import rendered, same, texts, without_chart_labels
from tests.synth import POSTGRES, Manifests, matrix

MATRIX = matrix()
BASE = SpiceDBProps(version="v1.56.0", datastore=POSTGRES, preshared_key=SecretKey("api", "token"))
DIGEST = f"sha256:{'0' * 64}"


def of(**fields: Any) -> SpiceDBProps:
    props: SpiceDBProps = attrs.evolve(BASE, **fields)
    return props


SPECIAL = {
    "disabled migration": of(migration=MigrationProps(enabled=False)),
    "no retry": of(migration=MigrationProps(backoff_limit=0)),
    "migration with the release": of(
        migration=MigrationProps(
            hook=False, ttl_seconds_after_finished=3600, pod_annotations={"note": "<é> & \U0001f600 {{ a }}"}
        ),
        annotations={"note": "all"},
        service_account_annotations={"role": "authz"},
        network_policies=NetworkPolicies(),
    ),
    "disabled clean-up": of(cleanup=CleanupProps(enabled=False)),
    "phase": of(migration=MigrationProps(target_phase=MigrationPhase.READ)),
    "target": of(migration=MigrationProps(target_migration="add-caveats")),
    "target and phase": of(
        migration=MigrationProps(target_migration="add-caveats", target_phase=MigrationPhase.COMPLETE)
    ),
    "digest": of(image=f"registry.example.com:5000/spicedb@{DIGEST}"),
    "tag and digest": of(image=f"registry.example.com:5000/spicedb:v1.56.0@{DIGEST}"),
    "one secret twice": of(migration=MigrationProps(datastore_uri=POSTGRES.uri)),
    "own accounts": of(
        server=ServerProps(service_account="theirs"), migration=MigrationProps(service_account="theirs-too")
    ),
    "parts in Secrets": of(
        datastore=MySQL(
            host=SecretKey("conn", "host"),
            port=SecretKey("conn", "port"),
            user=SecretKey("conn", "user"),
            database=SecretKey("conn", "database"),
            password=SecretKey("conn", "password"),
            ca=ConfigMapKey("bundle", "ca.crt"),
        ),
        server=ServerProps(
            dispatch_tls=DispatchTLS(
                certificate=SecretKey("tls", "crt"), key=SecretKey("tls", "key"), ca=ConfigMapKey("bundle", "other")
            )
        ),
    ),
    "text like a template": of(
        annotations={"note": "{{ .Values.x }} }} {{"},
        migration=MigrationProps(pod_annotations={"note": '{{ "a" }} `b` \\ "c" <é>\U0001f600'}),
    ),
}


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Callable[[SpiceDBProps], Path]:
    """Writes the chart of props, for all tests that only read it."""
    written: dict[str, Path] = {}

    def write(props: SpiceDBProps) -> Path:
        key = repr(props)
        if key not in written:
            written[key] = tmp_path_factory.mktemp("charts") / "chart"
            write_helm_chart(written[key], props)
        return written[key]

    return write


ALL = {**MATRIX, **SPECIAL}


@pytest.mark.parametrize("props", ALL.values(), ids=ALL)
def test_without_values_it_is_what_the_constructs_render(
    props: SpiceDBProps, chart: Callable[[SpiceDBProps], Path]
) -> None:
    assert same(without_chart_labels(rendered(chart(props))), release_manifests(props))


@pytest.mark.parametrize("props", ALL.values(), ids=ALL)
def test_helm_finds_nothing_to_complain_of(props: SpiceDBProps, chart: Callable[[SpiceDBProps], Path]) -> None:
    report = helm.lint(chart(props), strict=True, namespace="authz", kube_version="v1.30.0")
    assert report["errors"] == []
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("props", ALL.values(), ids=ALL)
def test_the_values_fit_their_schema(props: SpiceDBProps, chart: Callable[[SpiceDBProps], Path]) -> None:
    folder = chart(props)
    schema = json.loads((folder / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(fast_yaml.load((folder / "values.yaml").read_text()))


_DISK = {"ephemeral-storage": "2Gi"}
_MORE = {"requests": {"cpu": "1", "memory": "1Gi", **_DISK}, "limits": {"cpu": "8", "memory": "8Gi", **_DISK}}
_TOLERATED = [Toleration(key="dedicated", operator="Exists")]
_ZONES = TopologySpread(topology_key="zone", max_skew=2, when_unsatisfiable="DoNotSchedule")
_TOLERATIONS = [{"key": "dedicated", "operator": "Exists"}]
# By value, something other than its default, and the props that render the same.
VALUES: dict[str, tuple[Any, SpiceDBProps]] = {
    "image.repository": ("mirror.example.com/spicedb", of(image="mirror.example.com/spicedb")),
    "image.tag": ("v1.56.0-amd64", of(image="ghcr.io/authzed/spicedb:v1.56.0-amd64")),
    "image.digest": (DIGEST, of(image=f"ghcr.io/authzed/spicedb:v1.56.0@{DIGEST}")),
    "image.pullPolicy": ("Always", of(image_pull_policy="Always")),
    "imagePullSecrets": ([{"name": "registry"}], of(image_pull_secrets=["registry"])),
    "replicas": (5, of(server=ServerProps(replicas=5))),
    "logLevel": ("warn", of(server=ServerProps(log_level="warn"))),
    "rollingUpdate.maxSurge": ("25%", of(server=ServerProps(max_surge="25%"))),
    "rollingUpdate.maxUnavailable": (1, of(server=ServerProps(max_unavailable=1))),
    "terminationGracePeriodSeconds": (99, of(server=ServerProps(termination_grace_period_seconds=99))),
    "podDisruptionBudget.enabled": (False, of(server=ServerProps(disruption_budget=None))),
    "podDisruptionBudget.maxUnavailable": (2, of(server=ServerProps(disruption_budget=2))),
    "topologySpreadConstraints": (
        [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        of(server=ServerProps(topology_spread=[_ZONES])),
    ),
    "schemaMode": ("read-new-write-both", of(server=ServerProps(schema_mode="read-new-write-both"))),
    "datastoreMigrationPhase": ("phase-1", of(server=ServerProps(datastore_migration_phase="phase-1"))),
    "allowedMigrations": (["a", "b"], of(server=ServerProps(allowed_migrations=["a", "b"]))),
    "extraArgs": (
        ["--dispatch-max-depth=100", "--dispatch-chunk-size=5"],
        of(server=ServerProps(extra_args=["--dispatch-max-depth=100", "--dispatch-chunk-size=5"])),
    ),
    "serviceAccount.annotations": ({"a": "b"}, of(service_account_annotations={"a": "b"})),
    "service.annotations": ({"a": "b"}, of(server=ServerProps(service_annotations={"a": "b"}))),
    "service.headless": (True, of(server=ServerProps(headless_service=True))),
    "rbac.create": (False, of(rbac_create=False)),
    "commonLabels": ({"a": "b"}, of(labels={"a": "b"})),
    "commonAnnotations": ({"a": "b"}, of(annotations={"a": "b"})),
    "hookLogs": (False, of(hook_logs=False)),
    "fullnameOverride": ("other", of(name="other")),
    "secrets.presharedKey": ({"name": "n", "key": "k"}, of(preshared_key=SecretKey("n", "k"))),
    "secrets.datastoreUri": (
        {"name": "n", "key": "k"},
        of(datastore=attrs.evolve(POSTGRES, uri=SecretKey("n", "k"))),
    ),
    "migrations.enabled": (False, of(migration=MigrationProps(enabled=False))),
    "openshift": (True, of(openshift=True)),
    "migrations.hook": (False, of(migration=MigrationProps(hook=False))),
    "migrations.logLevel": ("debug", of(migration=MigrationProps(log_level="debug"))),
    "migrations.targetMigration": ("add-caveats", of(migration=MigrationProps(target_migration="add-caveats"))),
    "migrations.targetPhase": ("write", of(migration=MigrationProps(target_phase=MigrationPhase.WRITE))),
    "migrations.restartPolicy": ("Never", of(migration=MigrationProps(restart_policy="Never"))),
    "migrations.backoffLimit": (0, of(migration=MigrationProps(backoff_limit=0))),
    "migrations.activeDeadlineSeconds": (7, of(migration=MigrationProps(active_deadline_seconds=7))),
    "migrations.migrationTimeout": ("90s", of(migration=MigrationProps(migration_timeout=timedelta(seconds=90)))),
    "migrations.backfillBatchSize": (7, of(migration=MigrationProps(backfill_batch_size=7))),
    "migrations.extraArgs": (
        ["--pprof-mutex-profile-rate=1"],
        of(migration=MigrationProps(extra_args=["--pprof-mutex-profile-rate=1"])),
    ),
    "migrations.cleanup.enabled": (False, of(cleanup=CleanupProps(enabled=False))),
    "migrations.cleanup.image": ("example.com/kubectl:v1", of(cleanup=CleanupProps(image="example.com/kubectl:v1"))),
    "migrations.cleanup.activeDeadlineSeconds": (7, of(cleanup=CleanupProps(active_deadline_seconds=7))),
}
# What all kinds of pods have: by the name of the value, something else than the default, and the prop with the same.
_MOUNTS = [{"name": "datastore", "mountPath": "/more"}]
_CONTAINERS = [{"name": "more", "image": "example.com/more:v1"}]
POD_VALUES: dict[str, tuple[Any, dict[str, Any]]] = {
    "podLabels": ({"a": "b"}, {"pod_labels": {"a": "b"}}),
    "podAnnotations": ({"a": "b"}, {"pod_annotations": {"a": "b"}}),
    "nodeSelector": ({"disk": "ssd"}, {"node_selector": {"disk": "ssd"}}),
    "tolerations": (_TOLERATIONS, {"tolerations": _TOLERATED}),
    "affinity": ({"nodeAffinity": {}}, {"affinity": {"nodeAffinity": {}}}),
    "priorityClassName": ("high", {"priority_class_name": "high"}),
    "serviceAccount.name": ("theirs", {"service_account": "theirs"}),
    "extraVolumes": ([{"name": "more", "emptyDir": {}}], {"extra_volumes": [{"name": "more", "emptyDir": {}}]}),
    "extraVolumeMounts": (_MOUNTS, {"extra_volume_mounts": _MOUNTS}),
    "initContainers": (_CONTAINERS, {"init_containers": _CONTAINERS}),
    "extraContainers": (_CONTAINERS, {"extra_containers": _CONTAINERS}),
    "resources": (_MORE, {"resources": Resources(**_MORE)}),
    "extraEnv": ([{"name": "A", "value": "b"}], {"env": {"A": "b"}}),
}
_CLIENTS = of(
    schema=SchemaProps(text="definition user {}"),
    test=PermissionTest(resource="document", permission="read", subject="user"),
    backup=BackupProps(schedule="@daily"),
)
PARTS = {
    "pods": "pods.",
    "server": "",
    "migration": "migrations.",
    "cleanup": "migrations.cleanup.",
    "schema": "schema.",
    "test": "test.",
    "backup": "backup.",
}
CLIENT_VALUES: dict[str, tuple[Any, SpiceDBProps]] = {
    f"{part}.{name}": (value, attrs.evolve(_CLIENTS, **{part: attrs.evolve(getattr(_CLIENTS, part), **{field: value})}))
    for part in ("schema", "test", "backup")
    for name, field, value in (
        ("image", "image", "example.com/zed:v1"),
        ("activeDeadlineSeconds", "active_deadline_seconds", 7),
    )
}
_BACKUP_VALUES: dict[str, tuple[str, Any]] = {
    "schedule": ("schedule", "*/5 0,12 * * mon"),
    "timeZone": ("time_zone", "Europe/Berlin"),
    "suspend": ("suspend", True),
    "keep": ("keep", 3),
    "claim": ("claim", "theirs"),
    "storage": ("storage", "2Ti"),
    "storageClass": ("storage_class", "fast"),
    "shellImage": ("shell_image", "example.com/busybox:1"),
}
CLIENT_VALUES |= {
    f"backup.{name}": (
        value,
        attrs.evolve(_CLIENTS, backup=attrs.evolve(BackupProps(schedule="@daily"), **{field: value})),
    )
    for name, (field, value) in _BACKUP_VALUES.items()
}
EVERY_POD = [(part, name) for part in PARTS for name in POD_VALUES if (part, name) != ("pods", "resources")]
OTHER_VALUES = (
    "extraObjects",
    "service.type",
    "service.exposeMetrics",
    "autoscaling.external",
    "schema.configMap",
    "schema.configMapKey",
)
"""Values with a test of their own."""


def nest(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    found: dict[str, Any] = value
    return found


def checksum(objects: list[Any]) -> str:
    """The checksum, which it also takes out."""
    annotations = Manifests(objects).one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    found: str = annotations.pop(CHECKSUM)
    if not annotations:
        del Manifests(objects).one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    return found


@pytest.mark.parametrize("path", VALUES)
def test_a_value_renders_as_the_prop_does(path: str, chart: Callable[[SpiceDBProps], Path]) -> None:
    value, props = VALUES[path]
    folder = chart(BASE)
    before, found = without_chart_labels(rendered(folder)), without_chart_labels(rendered(folder, nest(path, value)))
    wanted = release_manifests(props)
    assert same(found, wanted)
    of_migration = path.startswith("migrations.") and "cleanup" not in path
    assert (checksum(found) != checksum(before)) is of_migration, "servers restart for the migration's values alone"
    assert not same(found, before)


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
def test_openshift_as_a_value_also_opens_its_dns(
    written: bool, wanted: bool, chart: Callable[[SpiceDBProps], Path]
) -> None:
    props = attrs.evolve(_CLIENTS, openshift=written, network_policies=NetworkPolicies())
    found = without_chart_labels(rendered(chart(props), {"openshift": wanted}))
    assert same(found, release_manifests(attrs.evolve(props, openshift=wanted)))


@pytest.mark.parametrize("path", CLIENT_VALUES)
def test_a_value_of_a_client_renders_as_the_prop_does(path: str, chart: Callable[[SpiceDBProps], Path]) -> None:
    value, props = CLIENT_VALUES[path]
    assert same(without_chart_labels(rendered(chart(_CLIENTS), nest(path, value))), release_manifests(props))


@pytest.mark.parametrize(("part", "name"), EVERY_POD)
def test_every_pod_has_the_same_values(part: str, name: str, chart: Callable[[SpiceDBProps], Path]) -> None:
    (value, fields), path = POD_VALUES[name], f"{PARTS[part]}{name}"
    wanted = release_manifests(attrs.evolve(_CLIENTS, **{part: attrs.evolve(getattr(_CLIENTS, part), **fields)}))
    before, found = (without_chart_labels(rendered(chart(_CLIENTS), values)) for values in ({}, nest(path, value)))
    # The variables of the migration count by the name of the value.
    assert (checksum(before) != checksum(found)) is (part == "migration")
    checksum(wanted)
    assert same(found, wanted)
    assert not same(found, before)


@pytest.mark.parametrize("prefix", PARTS.values())
@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("extraVolumes", {"emptyDir": {}}),
        ("extraVolumeMounts", {"name": "a"}),
        ("initContainers", {"name": "", "image": "x"}),
        ("extraContainers", {"name": "a"}),
        ("extraEnv", {"value": "a"}),
        ("extraEnv", {"name": "A", "value": 1}),
    ],
)
def test_helm_refuses_an_item_that_kubernetes_would_refuse(
    prefix: str, name: str, item: dict[str, Any], chart: Callable[[SpiceDBProps], Path]
) -> None:
    """Otherwise the migration would run before Kubernetes refuses the servers."""
    with pytest.raises(helm.HelmValuesError, match=f"/{name}/0"):
        rendered(chart(_CLIENTS), nest(f"{prefix}{name}", [item]))


@pytest.mark.parametrize("key", ["helm.sh/chart", "app.kubernetes.io/managed-by"])
def test_labels_of_helm_are_not_for_users(key: str, chart: Callable[[SpiceDBProps], Path], tmp_path: Path) -> None:
    with pytest.raises(helm.HelmValuesError, match="/commonLabels"):
        rendered(chart(BASE), {"commonLabels": {key: "mine"}})
    with pytest.raises(InvalidProps, match="labels that no chart sets"):
        write_helm_chart(tmp_path / "chart", of(labels={key: "mine"}))
    assert release_manifests(of(labels={key: "mine"}))[0]["metadata"]["labels"][key] == "mine"


def test_annotations_of_hooks_are_not_for_all_objects(chart: Callable[[SpiceDBProps], Path]) -> None:
    with pytest.raises(helm.HelmValuesError, match="/commonAnnotations"):
        rendered(chart(BASE), {"commonAnnotations": {"helm.sh/hook": "pre-install"}})


def test_a_template_that_makes_nothing_leaves_the_default(chart: Callable[[SpiceDBProps], Path]) -> None:
    """As a parent chart writes it that passes on a value which may be empty."""
    nothing = "{{ .Values.global.nothing }}"
    values = {
        "global": {"nothing": ""},
        "serviceAccount": {"name": nothing},
        "migrations": {"serviceAccount": {"name": nothing}, "cleanup": {"serviceAccount": {"name": nothing}}},
        "schema": {"configMap": nothing},
    }
    before, found = (without_chart_labels(rendered(chart(_CLIENTS), given)) for given in ({}, values))
    checksum(before), checksum(found)
    assert same(before, found)


POD_PATH = "/spec/template/spec"
PATCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "another user": ("Deployment", {"op": "replace", "path": f"{POD_PATH}/securityContext/runAsUser", "value": 7}),
    "a port of DNS": ("NetworkPolicy", {"op": "add", "path": "/spec/egress/0/ports/-", "value": {"port": 5}}),
    "other ports": ("Service", {"op": "replace", "path": "/spec/ports", "value": [{"port": 1}]}),
}


@pytest.mark.parametrize("name", PATCHES)
def test_a_chart_keeps_a_patch_beside_what_depends_on_values(name: str, tmp_path: Path) -> None:
    kind, operation = PATCHES[name]
    patch = Patch(kind=kind, operations=[PatchOperation(**operation)])
    props = of(network_policies=NetworkPolicies(), openshift=name == "a port of DNS", patches=[patch])
    write_helm_chart(tmp_path / "chart", props)
    assert same(without_chart_labels(rendered(tmp_path / "chart")), release_manifests(props))


_JOBS = f"/spec/jobTemplate{POD_PATH}"
CRON_JOB_PATCHES: dict[str, tuple[dict[str, Any], str | None]] = {
    "a field without a value": ({"op": "add", "path": f"{_JOBS}/dnsPolicy", "value": "Default"}, None),
    "an argument": ({"op": "add", "path": f"{_JOBS}/initContainers/1/args/-", "value": "--page-limit=9"}, None),
    "the history": ({"op": "replace", "path": "/spec/failedJobsHistoryLimit", "value": 9}, None),
    "the schedule": ({"op": "replace", "path": "/spec/schedule", "value": "@hourly"}, "backup.schedule"),
    "the deadline": (
        {"op": "replace", "path": "/spec/jobTemplate/spec/activeDeadlineSeconds", "value": 9},
        "backup.activeDeadlineSeconds",
    ),
    "the image of zed": ({"op": "replace", "path": f"{_JOBS}/initContainers/1/image", "value": "x"}, "backup.image"),
    "the image of the shell": (
        {"op": "replace", "path": f"{_JOBS}/containers/0/image", "value": "x"},
        "backup.shellImage",
    ),
    "resources of zed": ({"op": "remove", "path": f"{_JOBS}/initContainers/1/resources/limits"}, "backup.resources"),
    "the claim": (
        {"op": "replace", "path": f"{_JOBS}/volumes/0/persistentVolumeClaim/claimName", "value": "x"},
        "backup.claim",
    ),
}


@pytest.mark.parametrize("name", CRON_JOB_PATCHES)
def test_a_patch_of_a_cron_job_keeps_what_values_set(name: str, tmp_path: Path) -> None:
    operation, value = CRON_JOB_PATCHES[name]
    patch = Patch(kind="CronJob", operations=[PatchOperation(**operation)])
    props = of(backup=BackupProps(schedule="@daily"), patches=[patch])
    if value is None:
        write_helm_chart(tmp_path / "chart", props)
        assert same(without_chart_labels(rendered(tmp_path / "chart")), release_manifests(props))
    else:
        with pytest.raises(InvalidProps, match=f"the value {value} sets this one"):
            write_helm_chart(tmp_path / "chart", props)


def test_users_containers_of_a_chart_run_before_those_of_the_backup(chart: Callable[[SpiceDBProps], Path]) -> None:
    folder = chart(of(backup=BackupProps(schedule="@daily")))
    found = Manifests(rendered(folder, {"backup": {"initContainers": [{"name": "proxy", "image": "x"}]}}))
    names = [each["name"] for each in found.pod("CronJob")["initContainers"]]
    assert names == ["proxy", "prepare-backup", "zed"]


def test_an_error_about_a_patch_has_the_name_of_the_object(tmp_path: Path) -> None:
    patch = Patch(kind="Service", operations=[PatchOperation(op="remove", path="/spec/nothing")])
    with pytest.raises(InvalidProps, match="fits Service spicedb:"):
        write_helm_chart(tmp_path / "chart", of(patches=[patch]))


def test_values_of_one_kind_of_pod_take_precedence(chart: Callable[[SpiceDBProps], Path]) -> None:
    def values(whose: str) -> dict[str, Any]:
        return {
            "podLabels": {"both": whose, whose: "x"},
            "nodeSelector": {"both": whose, whose: "x"},
            "priorityClassName": whose,
            "tolerations": [{"key": whose, "operator": "Exists"}],
            "affinity": {"nodeAffinity": {whose: 1}},
            "serviceAccount": {"name": whose},
            "extraEnv": [{"name": "BOTH", "value": whose}, {"name": whose, "value": "x"}],
            "extraVolumes": [{"name": "both", "emptyDir": {"medium": whose}}, {"name": whose, "emptyDir": {}}],
            "initContainers": [{"name": "both", "image": whose}],
        }

    def settings(kind: Any, own: Any, whose: str) -> Any:
        given = values(whose)
        return attrs.evolve(
            own,
            pod_labels=given["podLabels"],
            node_selector=given["nodeSelector"],
            priority_class_name=whose,
            tolerations=[Toleration(key=whose, operator="Exists")],
            affinity=given["affinity"],
            service_account=whose,
            env={each["name"]: each["value"] for each in given["extraEnv"]},
            extra_volumes=given["extraVolumes"],
            init_containers=given["initContainers"],
        )

    shared = settings(PodSettings, PodSettings(), "all")
    wanted = attrs.evolve(_CLIENTS, pods=shared, test=settings(PermissionTest, _CLIENTS.test, "one"))
    found = without_chart_labels(rendered(chart(_CLIENTS), {"pods": values("all"), "test": values("one")}))
    assert same(found, release_manifests(wanted))
    pod = Manifests(found).pod("Job", "test")
    assert (pod["priorityClassName"], pod["nodeSelector"]) == ("one", {"all": "x", "both": "one", "one": "x"})
    assert [each["name"] for each in pod["volumes"]] == ["both", "all", "one"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"extraEnv": [{"name": "SPICEDB_GRPC_PRESHARED_KEY", "value": "x"}]},
            "extraEnv has SPICEDB_GRPC_PRESHARED_KEY",
        ),
        ({"pods": {"extraEnv": [{"name": "ZED_TOKEN"}]}}, "pods.extraEnv: the chart itself sets ZED_TOKEN"),
        ({"migrations": {"extraEnv": [{"name": "A"}, {"name": "A"}]}}, "migrations.extraEnv: A is there twice"),
        ({"extraContainers": [{"name": "spicedb", "image": "x"}]}, "extraContainers: the chart itself sets spicedb"),
        ({"schema": {"extraVolumes": [{"name": "schema", "emptyDir": {}}]}}, "schema.extraVolumes: the chart itself"),
        (
            {"schema": {"extraVolumeMounts": [{"name": "x", "mountPath": "/etc/spicedb/schema/"}]}},
            "schema.extraVolumeMounts: the chart itself sets /etc/spicedb/schema",
        ),
        (
            {"test": {"initContainers": [{"name": "a", "image": "x"}, {"name": "a", "image": "y"}]}},
            "test.initContainers: a is there twice",
        ),
    ],
)
def test_a_name_is_not_there_twice(values: dict[str, Any], says: str, chart: Callable[[SpiceDBProps], Path]) -> None:
    """Kubernetes rejects a list with the same name twice if it is applied by the server, as Helm 4 does."""
    with pytest.raises(helm.HelmError, match=says):
        rendered(chart(_CLIENTS), values)


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def apart(**selector: Any) -> dict[str, Any]:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}
    return {"podAntiAffinity": {_REQUIRED: [term]}}


NAMED, TEAM = {"app.kubernetes.io/name": "spicedb"}, {"matchLabels": {"team": "x"}}
IN = {"key": "app.kubernetes.io/component", "operator": "In", "values": ["server", "schema"]}
NOT_IN = {"key": "app.kubernetes.io/component", "operator": "NotIn", "values": ["migration", "cleanup", "schema"]}
# Values, and the Job that could find no node.
APART: list[tuple[dict[str, Any], str | None]] = [
    ({"affinity": apart(matchLabels=NAMED)}, "migration"),
    ({"affinity": apart()}, "migration"),
    ({"affinity": apart(matchExpressions=[IN])}, "schema"),
    ({"affinity": apart(matchExpressions=[NOT_IN])}, "test"),
    ({"affinity": apart(matchExpressions=[{"key": "app.kubernetes.io/version", "operator": "Exists"}])}, "migration"),
    ({"pods": {"affinity": apart(matchLabels=NAMED)}}, "migration"),
    ({"migrations": {"affinity": apart(matchLabels={"app.kubernetes.io/component": "server"})}}, "migration"),
    ({"affinity": apart(**TEAM), "schema": {"podLabels": {"team": "x"}}}, "schema"),
    ({"affinity": apart(**TEAM), "pods": {"podLabels": {"team": "x"}}}, "migration"),
    ({"affinity": apart(**TEAM)}, None),
    ({"affinity": apart(**TEAM), "podLabels": {"team": "x"}}, None),
    ({"affinity": apart(matchLabels={**NAMED, "app.kubernetes.io/component": "server"})}, None),
    ({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}}, None),
    ({"affinity": None}, None),
    ({"affinity": {"podAntiAffinity": {_REQUIRED: [{"topologyKey": "zone", "labelSelector": None}]}}}, None),
]


@pytest.mark.parametrize(("values", "job"), APART)
def test_servers_leave_a_node_for_the_jobs(
    values: dict[str, Any], job: str | None, chart: Callable[[SpiceDBProps], Path]
) -> None:
    """The same in a chart's values and in props."""
    parts = {"pods": "pods", "migrations": "migration", "schema": "schema"}
    given: dict[str, dict[str, Any]] = {"server": {}}
    for name, value in values.items():
        given.update({parts[name]: value} if name in parts else {})
        given["server"].update({} if name in parts else {name: value})
    names = {"affinity": "affinity", "podLabels": "pod_labels"}
    props = attrs.evolve(
        _CLIENTS,
        **{
            part: attrs.evolve(getattr(_CLIENTS, part), **{names[name]: value or {} for name, value in fields.items()})
            for part, fields in given.items()
        },
    )
    found = list(problems(props))
    if job is None:
        assert found == []
        assert rendered(chart(_CLIENTS), values)
    else:
        assert job in found[0].allowed
        assert found[0].fix == "add app.kubernetes.io/component: server to its labelSelector"
        with pytest.raises(helm.HelmError, match=r"the Job \w+ off the same node"):
            rendered(chart(_CLIENTS), values)


@pytest.mark.parametrize(
    "own",
    [
        Toleration(key="node.kubernetes.io/unreachable", operator="Exists", toleration_seconds=90),
        Toleration(key="node.kubernetes.io/unreachable", effect="NoSchedule"),
        Toleration(operator="Exists"),
        Toleration(key="pool", operator="Exists"),
    ],
)
@pytest.mark.parametrize("template", [False, True])
def test_own_tolerations_of_nodes_that_do_not_answer(
    own: Toleration, template: bool, chart: Callable[[SpiceDBProps], Path]
) -> None:
    value = manifest_of(own)
    if template and "key" in value:
        value["key"] = f'{{{{ "{own.key}" }}}}'
    props = attrs.evolve(BASE, pods=PodSettings(tolerations=[own]))
    found = rendered(chart(BASE), {"pods": {"tolerations": [value]}})
    assert same(without_chart_labels(found), release_manifests(props))


def test_values_name_other_keys_of_parts_and_config_maps(chart: Callable[[SpiceDBProps], Path]) -> None:
    props = SPECIAL["parts in Secrets"]
    values = {
        "secrets": {"datastoreHost": {"name": "n", "key": "k"}},
        "configMaps": {"datastoreCa": {"name": "m", "key": "c"}, "dispatchTlsCa": {"key": "d"}},
    }
    datastore: Any = props.datastore
    datastore = attrs.evolve(datastore, host=SecretKey("n", "k"), ca=ConfigMapKey("m", "c"))
    tls: Any = props.server.dispatch_tls
    tls = attrs.evolve(tls, ca=ConfigMapKey("bundle", "d"))
    expected = attrs.evolve(props, datastore=datastore, server=attrs.evolve(props.server, dispatch_tls=tls))
    assert same(without_chart_labels(rendered(chart(props), values)), release_manifests(expected))


def test_every_value_is_tried(chart: Callable[[SpiceDBProps], Path]) -> None:
    def leaves(schema: dict[str, Any], prefix: str = "") -> set[str]:
        inner = schema["properties"].items()
        return {
            path
            for name, each in inner
            for path in (
                leaves(each, f"{prefix}{name}.")
                if each.get("additionalProperties") is False and "required" in each
                else {f"{prefix}{name}".removesuffix(".name") if prefix.startswith("secrets") else f"{prefix}{name}"}
            )
            if f"{prefix}{name}" not in ("global", "enabled")
        }

    found = leaves(json.loads((chart(_CLIENTS) / "values.schema.json").read_text()))
    pairs = {path.rpartition(".")[0] for path in found if path.startswith("secrets.") and path.endswith(".key")}
    tried = {*VALUES, *CLIENT_VALUES, *(f"{PARTS[part]}{name}" for part, name in EVERY_POD), *OTHER_VALUES}
    assert {path for path in found if not path.endswith(".key")} | pairs == tried


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": 0}, "replicas"),
        ({"replicas": None}, "replicas"),
        ({"migrations": None}, "migrations"),
        ({"logLevel": "verbose"}, "logLevel"),
        ({"migrations": {"targetFase": "write"}}, "targetFase"),
        ({"migrations": {"targetPhase": "writ"}}, "targetPhase"),
        ({"image": {"digest": "v1"}}, "digest"),
        ({"podAnnotations": {CHECKSUM: "mine"}}, "at '/podAnnotations/checksum~1migration-config'"),
        ({"podAnnotations": {"not a key": "b"}}, "at '/podAnnotations': additional properties 'not a key' not allowed"),
        ({"nodeSelector": {"not a key": "b"}}, "at '/nodeSelector': additional properties 'not a key' not allowed"),
        ({"affinity": {"nodeAfinity": {}}}, "at '/affinity': additional properties 'nodeAfinity' not allowed"),
        ({"migrations": {"targetMigration": "add-caveatz"}}, "at '/migrations/targetMigration': value must be one of"),
        ({"schemaMode": "read-new"}, "schemaMode"),
        ({"fullnameOverride": "Not-A-Name"}, "fullnameOverride"),
        ({"enabled": False}, "at '/enabled'"),
        ({"secrets": {"presharedKey": {"name": "Not A Name"}}}, "presharedKey"),
        (
            {"extraArgs": ["--dispatch-max-depth=9", "--grpc-addr=:1"]},
            "extraArgs has --grpc-addr.*: write the chart again with server.grpcPort",
        ),
        (
            {"extraArgs": ["--log-level=debug"]},
            "extraArgs has --log-level, which you cannot set here: use the value logLevel",
        ),
        ({"extraArgs": ["--datastore-gc-window=1h"]}, "write the chart again with datastore.gcWindow"),
        ({"extraArgs": ["--dispatch-max-dept=9"]}, f"extraArgs has --dispatch-max-dept, which SpiceDB {BASE.version}"),
        (
            {"extraEnv": [{"name": "SPICEDB_NO_SUCH", "value": "x"}]},
            "extraEnv has SPICEDB_NO_SUCH, which SpiceDB v.* read",
        ),
        (
            {"migrations": {"extraArgs": ["--dispatch-max-depth=9"]}},
            "migrations.extraArgs has --dispatch-max-depth, which",
        ),
        (
            {"serviceAccount": {"name": "mine", "annotations": {"a": "b"}}},
            "serviceAccount.annotations: the chart does not create",
        ),
        (
            {"pods": {"serviceAccount": {"name": "mine"}}, "serviceAccount": {"annotations": {"a": "b"}}},
            "serviceAccount.annotations: the chart does not create",
        ),
        ({"extraArgs": ["--dispatch-cluster-addr=:1"]}, "extraArgs has --dispatch-cluster-addr.*: remove it"),
        (
            {"extraEnv": [{"name": "SPICEDB_HTTP_ADDR", "value": ":1"}]},
            "extraEnv has SPICEDB_HTTP_ADDR.*server.httpPort",
        ),
        (
            {"extraEnv": [{"name": "SPICEDB_DATASTORE_CONN_URI", "value": "x"}]},
            "use the value secrets.datastoreUri",
        ),
        ({"extraArgs": ["-x"]}, "/extraArgs/0"),
        ({"extraArgs": ['{{ "--grpc-addr" }}=:1']}, "extraArgs has --grpc-addr"),
        ({"extraEnv": [{"name": '{{ "SPICEDB_HTTP_ADDR" }}', "value": ":1"}]}, "extraEnv has SPICEDB_HTTP_ADDR"),
        ({"extraEnv": [{"name": "A"}, {"name": '{{ "A" }}'}]}, "value extraEnv: A is there twice"),
        (
            {"pods": {"extraEnv": [{"name": "SPICEDB_DISPATCH_MAX_DEPTH", "value": "9"}]}},
            "pods.extraEnv has SPICEDB_DISPATCH_MAX_DEPTH.*: set it in extraEnv or migrations.extraEnv",
        ),
        (
            {"migrations": {"extraArgs": ["--log-level=debug"]}},
            "migrations.extraArgs has .* the value migrations.logLevel",
        ),
        ({"migrations": {"extraArgs": ["--datastore-engine=mysql"]}}, "migrations.extraArgs has --datastore-engine"),
        (
            {"migrations": {"extraEnv": [{"name": "SPICEDB_LOG_FORMAT", "value": "x"}]}},
            "migrations.extraEnv has SPICEDB_LOG_FORMAT, .*server.logFormat",
        ),
    ],
)
def test_a_wrong_value_stops_helm(values: dict[str, Any], says: str, chart: Callable[[SpiceDBProps], Path]) -> None:
    with pytest.raises(helm.HelmError, match=says):
        rendered(chart(BASE), values)


def test_other_arguments_and_variables_are_accepted(chart: Callable[[SpiceDBProps], Path]) -> None:
    more: dict[str, Any] = {
        "extraArgs": ["--dispatch-max-depth=100"],
        "extraEnv": [{"name": "SPICEDB_DISPATCH_CHUNK_SIZE", "value": "5"}],
    }
    found = Manifests(rendered(chart(BASE), more)).container("Deployment")
    assert found["args"][-1] == "--dispatch-max-depth=100"
    assert found["env"][-1] == more["extraEnv"][0]
    # The chart knows the flags of its own release alone.
    other = {"extraArgs": ["--flag-of-a-later-release"], "image": {"tag": "v1.99.0"}}
    assert Manifests(rendered(chart(BASE), other)).container("Deployment")["args"][-1] == "--flag-of-a-later-release"
    telemetry = of(server=ServerProps(telemetry_enabled=True))
    own = "--telemetry-endpoint=https://telemetry.example.com"
    assert Manifests(rendered(chart(telemetry), {"extraArgs": [own]})).container("Deployment")["args"][-1] == own


@pytest.mark.filterwarnings("ignore::cdk8s_spicedb.SpiceDBWarning")
def test_a_chart_of_a_release_with_unknown_flags_takes_them_all(chart: Callable[[SpiceDBProps], Path]) -> None:
    props = of(version="v9.0.0", releases=known_releases().with_release("v9.0.0", {}))
    assert rendered(chart(props), {})
    found = Manifests(rendered(chart(props), {"extraArgs": ["--flag-of-a-later-release"]})).container("Deployment")
    assert found["args"][-1] == "--flag-of-a-later-release"


@pytest.mark.parametrize(
    ("service", "has_metrics"),
    [
        ({}, True),
        ({"type": "NodePort"}, False),
        ({"type": "LoadBalancer"}, False),
        ({"type": "LoadBalancer", "exposeMetrics": True}, True),
    ],
)
def test_a_service_that_leaves_the_cluster_has_no_metrics(
    service: dict[str, Any], has_metrics: bool, chart: Callable[[SpiceDBProps], Path]
) -> None:
    found = Manifests(rendered(chart(BASE), {"service": service})).named("Service", "spicedb")["spec"]
    assert found["type"] == service.get("type", "ClusterIP")
    assert [port["name"] for port in found["ports"]] == (["grpc", "metrics"] if has_metrics else ["grpc"])


def test_notes_name_the_ports_of_the_service(chart: Callable[[SpiceDBProps], Path]) -> None:
    folder = chart(of(server=ServerProps(grpc_port=5001, service_ports={"grpc": 80, "metrics": 81})))
    notes = (folder / "templates" / "NOTES.txt").read_text()
    assert "{{ .Release.Namespace }}:80 (gRPC)" in notes
    assert " 5001:80 --namespace" in notes
    assert "Metrics are at port 81" in notes


def test_values_and_notes_say_that_metrics_need_no_key(chart: Callable[[SpiceDBProps], Path]) -> None:
    folder = chart(BASE)
    assert "(pprof), without a key" in (folder / "values.yaml").read_text()
    notes = (folder / "templates" / "NOTES.txt").read_text()
    assert "(pprof), and asks for no key" in notes
    without = chart(of(server=ServerProps(metrics_enabled=False)))
    assert "pprof" not in (without / "values.yaml").read_text() + (without / "templates" / "NOTES.txt").read_text()


def test_the_memory_engine_takes_no_second_server(chart: Callable[[SpiceDBProps], Path]) -> None:
    folder = chart(of(datastore=Memory()))
    assert "migrations" not in fast_yaml.load((folder / "values.yaml").read_text())
    with pytest.raises(helm.HelmError, match="replicas"):
        rendered(folder, {"replicas": 2})


TEMPLATE = "{{ .Release.Name }}"


def test_names_and_texts_may_be_templates(chart: Callable[[SpiceDBProps], Path]) -> None:
    """As people write them in the values of a parent chart, which does not know the name of the release."""
    values = {
        "fullnameOverride": f"{TEMPLATE}-authz",
        "image": {"repository": f"{TEMPLATE}/spicedb", "tag": f"v1.56.0-{TEMPLATE}"},
        "imagePullSecrets": [{"name": TEMPLATE}],
        "serviceAccount": {"name": f"{TEMPLATE}-account"},
        "secrets": {"presharedKey": {"name": f"{TEMPLATE}-keys", "key": f"{TEMPLATE}.key"}},
        "commonLabels": {"a": TEMPLATE},
        "podAnnotations": {"a": '{{ printf "%s\'\\"<&" .Release.Name }}'},
        "nodeSelector": {"a": TEMPLATE},
        "priorityClassName": TEMPLATE,
        "extraEnv": [{"name": "A", "value": TEMPLATE}, {"name": "B", "value": "plain"}],
        "extraVolumes": [{"name": "v", "configMap": {"name": TEMPLATE, "optional": True}}],
        "migrations": {"podLabels": {"a": TEMPLATE}, "cleanup": {"image": f"{TEMPLATE}/kubectl:v1"}},
        "extraObjects": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{TEMPLATE}-one"}},
            f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {TEMPLATE}-two}}\n",
        ],
    }
    plain = json.loads(json.dumps(values).replace(TEMPLATE, "release"))
    plain["podAnnotations"] = {"a": "release'\"<&"}
    found = rendered(chart(BASE), values)
    assert same(found, rendered(chart(BASE), plain))
    assert {"release-one", "release-two"} <= {each["metadata"]["name"] for each in found}
    assert TEMPLATE not in notes(chart(BASE), values)


def test_null_removes_a_tag_and_a_digest(chart: Callable[[SpiceDBProps], Path]) -> None:
    folder, values = chart(BASE), {"image": {"tag": None, "digest": None}}
    assert same(rendered(folder, values), rendered(folder))
    assert notes(folder, values) == notes(folder)


def test_a_template_that_makes_no_name_stops_helm(chart: Callable[[SpiceDBProps], Path]) -> None:
    with pytest.raises(helm.HelmError, match='fullnameOverride is "Release-1"; allowed are lower-case letters'):
        rendered(chart(BASE), {"fullnameOverride": '{{ printf "Release-1" }}'})


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        (
            PatchOperation(op="remove", path="/spec/template/spec/securityContext/runAsUser"),
            "securityContext.runAsUser",
        ),
        (PatchOperation(op="remove", path="/spec/template/spec/securityContext"), "securityContext"),
        (PatchOperation(op="add", path="/spec/progressDeadlineSeconds", value=99), "progressDeadlineSeconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_patch_takes_the_place_of_what_depends_on_values(
    operation: PatchOperation, path: str, chart: Callable[[SpiceDBProps], Path]
) -> None:
    props = of(patches=[Patch(kind="Deployment", operations=[operation])])
    assert same(without_chart_labels(rendered(chart(props))), release_manifests(props)), path


def test_all_pods_use_the_shared_pull_secrets(chart: Callable[[SpiceDBProps], Path]) -> None:
    props = attrs.evolve(MATRIX["postgres-parts-full"], version="v1.56.0", image_pull_secrets=["own"])
    values = {"global": {"imagePullSecrets": ["one", {"name": "two"}, "own"]}}
    for manifest in rendered(chart(props), values):
        if "template" in manifest.get("spec", {}):
            found = manifest["spec"]["template"]["spec"]["imagePullSecrets"]
            assert [each["name"] for each in found] == ["own", "one", "two"]


def test_each_alias_has_objects_of_its_own(chart: Callable[[SpiceDBProps], Path], tmp_path: Path) -> None:
    """Without an alias, the name stays that of the props."""
    aliases = {"eu": "eu", "US_East": "us-east", "2nd": "spicedb-2nd", "a" * 60: "a" * 45, None: "spicedb"}
    parent = tmp_path / "parent"
    shutil.copytree(chart(BASE), parent / "charts" / "spicedb")
    dependencies = [{"name": "spicedb", "version": "0.1.0", **({"alias": each} if each else {})} for each in aliases]
    metadata = {"apiVersion": "v2", "name": "parent", "version": "0.1.0", "dependencies": dependencies}
    (parent / "Chart.yaml").write_text(json.dumps(metadata))
    (parent / "values.yaml").write_text("{}")
    with helm.Chart.load(parent) as loaded:
        files = loaded.render(name="release", namespace="authz", values={})
    manifests = [each for name, text in files.items() if "NOTES" not in name for each in fast_yaml.load_all(text)]
    deployments = {each["metadata"]["name"] for each in manifests if each and each["kind"] == "Deployment"}
    assert deployments == set(aliases.values())
    names = [(each["kind"], each["metadata"]["name"]) for each in manifests if each]
    assert len(set(names)) == len(names)


def test_another_autoscaler_sets_the_number_of_servers(chart: Callable[[SpiceDBProps], Path]) -> None:
    external = {"autoscaling": {"external": True}}
    for server in (ServerProps(), ServerProps(autoscaling=Autoscaling(max_replicas=5))):
        found = Manifests(rendered(chart(of(server=server)), external))
        assert "replicas" not in found.one("Deployment")["spec"]
        assert not [each for each in found.objects if each["kind"] == "HorizontalPodAutoscaler"]
        assert found.one("PodDisruptionBudget")
    props = of(server=ServerProps(autoscaling=Autoscaling(max_replicas=5, external=True)))
    assert same(without_chart_labels(rendered(chart(props))), release_manifests(props))
    assert not [each for each in release_manifests(props) if each["kind"] == "HorizontalPodAutoscaler"]


def test_the_schema_may_be_in_an_existing_config_map(chart: Callable[[SpiceDBProps], Path]) -> None:
    text, existing = SchemaProps(text="definition user {}"), SchemaProps(config_map="theirs", config_map_key="s.zed")
    wanted = release_manifests(of(schema=existing))
    assert not [each for each in wanted if each["kind"] == "ConfigMap"]
    values = {"schema": {"configMap": "theirs", "configMapKey": "s.zed"}}
    for props, given in (
        (existing, {}),
        (text, values),
        (text, {"schema": {**values["schema"], "configMap": "{{ `theirs` }}"}}),
    ):
        assert same(without_chart_labels(rendered(chart(of(schema=props)), given)), wanted)
    assert same(without_chart_labels(rendered(chart(of(schema=text)))), release_manifests(of(schema=text)))
    with pytest.raises(helm.HelmError, match="/schema/configMap"):
        rendered(chart(of(schema=existing)), {"schema": {"configMap": ""}})


@pytest.mark.parametrize("image", [None, "ghcr.io/authzed/spicedb:{}-amd64", f"mirror.example.com/spicedb@{DIGEST}"])
def test_the_values_of_an_older_chart_run_the_new_release(
    image: str | None, chart: Callable[[SpiceDBProps], Path]
) -> None:
    """``helm upgrade --reuse-values`` passes all values of the chart before, also those that nobody set."""

    def at(version: str) -> SpiceDBProps:
        return of(version=version, image=image and image.format(version))

    old = fast_yaml.load((chart(at("v1.52.0")) / "values.yaml").read_text())
    cleanup = CleanupProps(image="registry.k8s.io/kubectl:v1.35.0")
    new = attrs.evolve(at("v1.56.0"), cleanup=cleanup)
    assert same(without_chart_labels(rendered(chart(new), old)), release_manifests(new))


def test_a_migration_with_the_release_is_a_job_whose_name_changes_with_its_spec(
    chart: Callable[[SpiceDBProps], Path],
) -> None:
    def job(values: dict[str, Any]) -> dict[str, Any]:
        found = Manifests(rendered(chart(BASE), {"migrations": {"hook": False, **values}}))
        assert [each["metadata"]["name"] for each in found.objects if each["kind"] == "Job"] == [
            found.one("Job", "migration")["metadata"]["name"]
        ], "no clean-up: the Job belongs to the release"
        assert found.one("Deployment")["spec"]["progressDeadlineSeconds"] == 600 + values.get(
            "activeDeadlineSeconds", 600
        )
        return found.one("Job", "migration")

    plain = job({})
    assert "annotations" not in plain["metadata"]
    assert plain["spec"]["backoffLimit"] == 10, "a database that is only being installed takes more attempts"
    assert job({"backoffLimit": 0})["spec"]["backoffLimit"] == 0
    names = [job(each)["metadata"]["name"] for each in ({}, {"logLevel": "debug"}, {"activeDeadlineSeconds": 60})]
    assert len({plain["metadata"]["name"], *names}) == 3
    hook = Manifests(rendered(chart(of(migration=MigrationProps(hook=False))), {"migrations": {"hook": True}}))
    assert hook.one("Job", "migration")["metadata"]["name"] == "spicedb-migration"
    assert hook.one("Job", "cleanup")["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"


@pytest.mark.parametrize(
    ("value", "field", "amount"), [("minReplicas", "min_replicas", 3), ("maxReplicas", "max_replicas", 9)]
)
def test_an_autoscaler_takes_the_place_of_replicas(
    value: str, field: str, amount: int, chart: Callable[[SpiceDBProps], Path]
) -> None:
    autoscaling = Autoscaling(max_replicas=5)
    folder = chart(of(server=ServerProps(autoscaling=autoscaling)))
    numbers: dict[str, Any] = {field: amount}
    wanted = of(server=ServerProps(autoscaling=attrs.evolve(autoscaling, **numbers)))
    found = without_chart_labels(rendered(folder, {"autoscaling": {value: amount}}))
    assert same(found, release_manifests(wanted))
    with pytest.raises(helm.HelmError, match="replicas"):
        rendered(folder, {"replicas": 2})


def test_values_for_parent_charts_are_accepted(chart: Callable[[SpiceDBProps], Path]) -> None:
    folder = chart(BASE)
    assert same(rendered(folder, {"global": {"any": "thing"}, "enabled": True}), rendered(folder))


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (None, "mirror.example.com:5000/authzed/spicedb:v1.56.0"),
        ("authzed/spicedb:v1.56.0", "mirror.example.com:5000/authzed/spicedb:v1.56.0"),
        ("localhost/team/spicedb:v1.56.0", "mirror.example.com:5000/team/spicedb:v1.56.0"),
        ("localhost:5000/spicedb:v1.56.0", "mirror.example.com:5000/spicedb:v1.56.0"),
    ],
)
def test_all_images_come_from_the_shared_registry(
    image: str | None, wanted: str, chart: Callable[[SpiceDBProps], Path]
) -> None:
    props = attrs.evolve(MATRIX["postgres-parts-full"], version="v1.56.0", image=image)
    manifests = rendered(chart(props), {"global": {"imageRegistry": "mirror.example.com:5000"}})
    images = {
        container["image"]
        for template in Manifests(manifests).templates
        for name in ("initContainers", "containers")
        for container in template["spec"].get(name, [])
    }
    assert len(images) == 5, "of SpiceDB, kubectl, busybox, and zed for schema, backup and test"
    assert all(each.startswith("mirror.example.com:5000/") for each in images)
    assert wanted in images


@pytest.mark.parametrize(
    ("tag", "label"),
    [
        ("v1.56.0", "v1.56.0"),
        ("v1.56.0-amd64", "v1.56.0"),
        ("v1.57.0", "v1.57.0"),
        ("", "v1.56.0"),
        ("1.0", "1.0"),
        (f"{'a' * 62}.b", "a" * 62),
    ],
)
def test_the_version_label_follows_the_tag(tag: str, label: str, chart: Callable[[SpiceDBProps], Path]) -> None:
    for manifest in rendered(chart(BASE), {"image": {"tag": tag}}):
        assert manifest["metadata"]["labels"]["app.kubernetes.io/version"] == label
        template = manifest.get("spec", {}).get("template", {"metadata": {"labels": {}}})
        cleanup = manifest["metadata"]["labels"]["app.kubernetes.io/component"] == "cleanup"
        assert template["metadata"]["labels"].get("app.kubernetes.io/version", label) == label or cleanup


def test_another_name_is_the_name_everywhere(chart: Callable[[SpiceDBProps], Path]) -> None:
    """Also in arguments, selectors, rights, addresses and queries: the name before is nowhere in the objects."""
    props = attrs.evolve(MATRIX["postgres-parts-full"], name="before-the-change", patches=[])
    folder = chart(props)
    text = "\n".join(texts(folder, {"fullnameOverride": "other"}).values())
    assert "before-the-change" not in text.replace("before-the-change-0.1.0", "the chart's label")
    assert same(
        without_chart_labels(rendered(folder, {"fullnameOverride": "other"})),
        release_manifests(attrs.evolve(props, name="other")),
    )


def test_text_values_reach_more_objects(chart: Callable[[SpiceDBProps], Path]) -> None:
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}}
    found = rendered(chart(BASE), {"extraObjects": [extra], "service": {"type": "NodePort"}})
    assert {**extra, "metadata": {"name": "release-more"}} in found
    services = {each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == "Service"}
    assert services["spicedb"]["type"] == "NodePort"
    assert services["spicedb-dispatch"]["clusterIP"] == "None"


@pytest.mark.parametrize("path", ["resources", "migrations.resources", "topologySpreadConstraints", "podLabels"])
def test_null_removes_a_value(path: str, chart: Callable[[SpiceDBProps], Path]) -> None:
    found = Manifests(rendered(chart(BASE), nest(path, None)))
    component = ("Job", "migration") if path.startswith("migrations") else ("Deployment", "server")
    assert path.rpartition(".")[2] not in {**found.container(*component), **found.pod(*component)}


def test_one_server_needs_no_disruption_budget(chart: Callable[[SpiceDBProps], Path]) -> None:
    folder = chart(BASE)
    one = Manifests(rendered(folder, {"replicas": 1}))
    assert "PodDisruptionBudget" not in one.kinds
    assert "topologySpreadConstraints" not in one.pod("Deployment", "server")
    more = Manifests(rendered(chart(of(server=ServerProps(replicas=1))), {"replicas": 3}))
    assert more.one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_every_value_says_what_it_is(chart: Callable[[SpiceDBProps], Path]) -> None:
    folder = chart(MATRIX["postgres-parts-full"])
    lines = (folder / "values.yaml").read_text().splitlines()
    readme = (folder / "README.md").read_text()
    for path in ("image.tag", "replicas", "secrets.datastorePassword.name", "migrations.cleanup.enabled"):
        key = f"{path.rpartition('.')[2]}:"
        assert all(lines[n - 1].lstrip().startswith("# ") for n, line in enumerate(lines) if line.strip() == key)
        assert f"| `{path}` |" in readme


# ---------------------------------------------------------------- notes, metadata


def notes(folder: Path, values: dict[str, Any] | None = None) -> str:
    return texts(folder, values)["NOTES.txt"]


def test_the_notes_say_what_was_installed_and_how_to_go_on(chart: Callable[[SpiceDBProps], Path]) -> None:
    text = notes(chart(BASE))
    for said in (
        "SpiceDB (ghcr.io/authzed/spicedb:v1.56.0) on postgres: 2 servers",
        "spicedb.authz:50051",
        "kubectl port-forward service/spicedb 50051 --namespace authz",
        "Clients authenticate with the API key in the Secret api, under the key token.",
        "kubectl logs job/spicedb-migration --namespace authz",
        "kubectl get job spicedb-migration --namespace authz",
        CHECKSUM,
        "helm rollback release REVISION --namespace authz --wait",
    ):
        assert said in text
    assert "WARNING" not in text
    assert "{{" not in text
    assert "\n\n\n" not in text


def test_the_notes_and_the_readme_help_with_a_failed_migration(chart: Callable[[SpiceDBProps], Path]) -> None:
    folder = chart(BASE)
    namespaces = {notes(folder): "--namespace authz", (folder / "README.md").read_text(): "--namespace NAMESPACE"}
    for text, namespace in namespaces.items():
        for command in (
            f"kubectl describe job spicedb-migration {namespace}",
            f"kubectl get events {namespace} --sort-by .lastTimestamp",
            f"kubectl describe secret api database {namespace}",
            f"kubectl delete job spicedb-migration {namespace} --ignore-not-found",
            "--dry-run=server",
            "--set migrations.targetMigration=REVISION",
        ):
            assert command in text
        assert "docs/upgrade/migrations/" in text


@pytest.mark.parametrize(
    ("props", "values", "says"),
    [
        (BASE, {"image": {"tag": "v1.57.0"}}, "the image is v1.57.0, but this chart was written for v1.56.0"),
        (BASE, {"migrations": {"targetPhase": "read"}}, "has `migrate --phase`"),
        (SPECIAL["phase"], {}, "Instead of --phase=read set the value schemaMode"),
        (BASE, {"migrations": {"targetMigration": "add-caveats"}}, "servers of v1.56.0 do not start on add-caveats"),
        (of(version="v9.0.0"), {}, "v9.0.0 is not among the releases"),
    ],
)
def test_the_notes_warn_of_what_deserves_it(
    props: SpiceDBProps, values: dict[str, Any], says: str, chart: Callable[[SpiceDBProps], Path]
) -> None:
    text = notes(chart(props), values)
    assert text.count("WARNING") == 1
    assert says in text


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"migrations": {"enabled": False}}, "The migration is disabled"),
        ({"migrations": {"cleanup": {"enabled": False}}}, "The finished migration Job stays until the next upgrade."),
        ({"migrations": {"restartPolicy": "Never"}}, "A failed one stays.\n"),
        ({"migrations": {"targetMigration": "add-caveats"}}, "was migrated to revision add-caveats before"),
        ({"migrations": {"targetPhase": "write"}}, "was migrated through phase write before"),
        ({"replicas": 1}, "1 server,"),
    ],
)
def test_the_notes_follow_the_values(values: dict[str, Any], says: str, chart: Callable[[SpiceDBProps], Path]) -> None:
    folder = chart(BASE)
    assert says in notes(folder, values)
    assert says not in notes(folder)


def test_the_notes_say_what_dispatch_and_tests_need(chart: Callable[[SpiceDBProps], Path]) -> None:
    test = PermissionTest(resource="document", permission="read", subject="user")
    server = ServerProps(dispatch_tls=DispatchTLS.from_secret("dispatch"))
    text, plain = notes(chart(of(server=server, test=test))), notes(chart(BASE))
    for said in (
        "must contain the DNS name\nspicedb-dispatch-tls.authz.\n",
        "  helm test release --namespace authz\n",
    ):
        assert said in text
        assert said not in plain


def test_the_notes_say_when_backups_run(chart: Callable[[SpiceDBProps], Path]) -> None:
    folder = chart(of(backup=BackupProps(schedule="15 3 * * *")))
    assert "Backups run on this schedule: 15 3 * * *. To back up now:" in notes(folder)
    values = {"backup": {"schedule": "@daily", "timeZone": "Europe/Berlin", "suspend": True}}
    assert "schedule: @daily (Europe/Berlin) (suspended). To" in notes(folder, values)
    assert "kubectl create job backup-now --from=cronjob/spicedb-backup --namespace authz" in notes(folder)


def test_the_notes_of_the_memory_engine_know_of_no_migration(chart: Callable[[SpiceDBProps], Path]) -> None:
    assert "migrat" not in notes(chart(of(datastore=Memory())))


def test_the_chart_says_what_artifact_hub_asks(chart: Callable[[SpiceDBProps], Path]) -> None:
    metadata = fast_yaml.load((chart(BASE) / "Chart.yaml").read_text())
    annotations = metadata["annotations"]
    assert annotations["artifacthub.io/category"] == "security"
    images = {each["image"] for each in fast_yaml.load(annotations["artifacthub.io/images"])}
    found = Manifests(release_manifests(BASE))
    assert images == {found.container("Deployment")["image"], found.container("Job", "cleanup")["image"]}
    assert metadata["kubeVersion"] == ">=1.30.0-0"
    assert not {"icon", "maintainers"} & metadata.keys()


def test_the_chart_says_who_distributes_it(tmp_path: Path) -> None:
    fingerprint = "0123456789ABCDEF0123456789ABCDEF01234567"
    about = ChartMetadata(
        icon="https://example.com/icon.svg",
        home="https://example.com/spicedb",
        sources=["https://git.example.com/platform/authz"],
        maintainers=[Maintainer(name="platform", email="platform@example.com")],
        links=[ChartLink(name="support", url="https://example.com/help")],
        changes=[ChartChange(kind="security", description="SpiceDB v1.56.0: see its notes")],
        sign_key=SignKey(fingerprint=fingerprint, url="https://example.com/key.asc"),
        license="MIT",
        annotations={"artifacthub.io/prerelease": "true"},
    )
    write_helm_chart(tmp_path / "chart", MATRIX["postgres-parts-full"], metadata=about)
    metadata = fast_yaml.load((tmp_path / "chart" / "Chart.yaml").read_text())
    assert metadata["icon"] == "https://example.com/icon.svg"
    assert metadata["maintainers"] == [{"name": "platform", "email": "platform@example.com"}]
    texts = {name.removeprefix("artifacthub.io/"): text for name, text in metadata["annotations"].items()}
    assert texts["license"] == "MIT"
    assert texts["prerelease"] == "true"
    assert fast_yaml.load(texts["signKey"]) == {"fingerprint": fingerprint, "url": "https://example.com/key.asc"}
    assert fast_yaml.load(texts["changes"]) == [{"kind": "security", "description": "SpiceDB v1.56.0: see its notes"}]
    assert fast_yaml.load(texts["links"]) == [{"name": "support", "url": "https://example.com/help"}]
    assert [image["name"] for image in fast_yaml.load(texts["images"])] == [
        "spicedb",
        "kubectl",
        "zed-schema",
        "zed-test",
        "zed-backup",
        "shell",
    ]
    report = helm.lint(tmp_path / "chart", strict=True, kube_version="v1.30.0")
    assert [message["error"] for message in report["messages"]] == [], "the icon is there"


def test_invalid_metadata_is_one_error_and_writes_nothing(tmp_path: Path) -> None:
    about = ChartMetadata(icon="icon.svg", sign_key=SignKey(fingerprint="ab", url="https://example.com/key.asc"))
    with pytest.raises(InvalidProps) as caught:
        write_helm_chart(tmp_path / "chart", BASE, metadata=about)
    assert [problem.field for problem in caught.value.problems] == ["icon", "sign_key.fingerprint"]
    assert not (tmp_path / "chart").exists()


def test_a_chart_can_be_packaged(chart: Callable[[SpiceDBProps], Path], tmp_path: Path) -> None:
    package = helm.package(chart(BASE), destination=tmp_path)
    assert "spicedb-0.1.0.tgz" in str(package)
