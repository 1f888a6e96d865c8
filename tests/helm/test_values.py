"""A written chart, in the hands of Helm: without values it is what the constructs render, with them it follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import helm_python as helm
import jsonschema
import pytest
import yaml

from cdk8s_spicedb import (
    Autoscaling,
    CleanupProps,
    DispatchTLS,
    Memory,
    MigrationPhase,
    MigrationProps,
    PermissionTest,
    SecretKey,
    ServerProps,
    SpiceDBProps,
    write_helm_chart,
)
from cdk8s_spicedb.labels import CHECKSUM
from cdk8s_spicedb.manifests import release_manifests
from tests.charts import rendered, same, texts
from tests.synth import POSTGRES, Manifests, matrix

MATRIX = matrix()
BASE = SpiceDBProps(version="v1.56.0", datastore=POSTGRES, preshared_key=SecretKey("api", "token"))
DIGEST = f"sha256:{'0' * 64}"


def of(**fields: Any) -> SpiceDBProps:
    props: SpiceDBProps = attrs.evolve(BASE, **fields)
    return props


SPECIAL = {
    "disabled migration": of(migration=MigrationProps(enabled=False)),
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
    "text like a template": of(
        annotations={"note": "{{ .Values.x }} }} {{"},
        migration=MigrationProps(pod_annotations={"note": '{{ "a" }} `b` \\ "c" <é>\U0001f600'}),
    ),
}


@pytest.fixture
def chart(tmp_path: Path) -> Callable[[SpiceDBProps], Path]:
    def write(props: SpiceDBProps) -> Path:
        write_helm_chart(tmp_path / "chart", props)
        return tmp_path / "chart"

    return write


ALL = {**MATRIX, **SPECIAL}


@pytest.mark.parametrize("props", ALL.values(), ids=ALL)
def test_without_values_it_is_what_the_constructs_render(
    props: SpiceDBProps, chart: Callable[[SpiceDBProps], Path]
) -> None:
    assert same(rendered(chart(props)), release_manifests(props))


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
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load((folder / "values.yaml").read_text()))


# By value, something other than its default, and the props that render the same.
VALUES: dict[str, tuple[Any, SpiceDBProps]] = {
    "image.repository": ("mirror.example.com/spicedb", of(image="mirror.example.com/spicedb")),
    "image.tag": ("v1.56.0-amd64", of(image="ghcr.io/authzed/spicedb:v1.56.0-amd64")),
    "image.digest": (DIGEST, of(image=f"ghcr.io/authzed/spicedb:v1.56.0@{DIGEST}")),
    "image.pullPolicy": ("Always", of(image_pull_policy="Always")),
    "imagePullSecrets": ([{"name": "registry"}], of(image_pull_secrets=["registry"])),
    "replicas": (5, of(server=ServerProps(replicas=5))),
    "logLevel": ("warn", of(server=ServerProps(log_level="warn"))),
    "podAnnotations": ({"a": "b"}, of(server=ServerProps(pod_annotations={"a": "b"}))),
    "nodeSelector": ({"disk": "ssd"}, of(server=ServerProps(node_selector={"disk": "ssd"}))),
    "affinity": ({"nodeAffinity": {}}, of(server=ServerProps(affinity={"nodeAffinity": {}}))),
    "priorityClassName": ("high", of(server=ServerProps(priority_class_name="high"))),
    "secrets.presharedKey": ({"name": "n", "key": "k"}, of(preshared_key=SecretKey("n", "k"))),
    "secrets.datastoreUri": (
        {"name": "n", "key": "k"},
        of(datastore=attrs.evolve(POSTGRES, uri=SecretKey("n", "k"))),
    ),
    "migrations.enabled": (False, of(migration=MigrationProps(enabled=False))),
    "migrations.logLevel": ("debug", of(migration=MigrationProps(log_level="debug"))),
    "migrations.targetMigration": ("add-caveats", of(migration=MigrationProps(target_migration="add-caveats"))),
    "migrations.targetPhase": ("write", of(migration=MigrationProps(target_phase=MigrationPhase.WRITE))),
    "migrations.restartPolicy": ("Never", of(migration=MigrationProps(restart_policy="Never"))),
    "migrations.backoffLimit": (0, of(migration=MigrationProps(backoff_limit=0))),
    "migrations.activeDeadlineSeconds": (7, of(migration=MigrationProps(active_deadline_seconds=7))),
    "migrations.podAnnotations": ({"a": "b"}, of(migration=MigrationProps(pod_annotations={"a": "b"}))),
    "migrations.nodeSelector": ({"disk": "ssd"}, of(migration=MigrationProps(node_selector={"disk": "ssd"}))),
    "migrations.affinity": ({"nodeAffinity": {}}, of(migration=MigrationProps(affinity={"nodeAffinity": {}}))),
    "migrations.priorityClassName": ("high", of(migration=MigrationProps(priority_class_name="high"))),
    "migrations.cleanup.enabled": (False, of(cleanup=CleanupProps(enabled=False))),
    "migrations.cleanup.image": ("example.com/kubectl:v1", of(cleanup=CleanupProps(image="example.com/kubectl:v1"))),
    "migrations.cleanup.podAnnotations": ({"a": "b"}, of(cleanup=CleanupProps(pod_annotations={"a": "b"}))),
    "migrations.cleanup.nodeSelector": ({"a": "b"}, of(cleanup=CleanupProps(node_selector={"a": "b"}))),
    "migrations.cleanup.priorityClassName": ("high", of(cleanup=CleanupProps(priority_class_name="high"))),
    "migrations.cleanup.affinity": ({"nodeAffinity": {}}, of(cleanup=CleanupProps(affinity={"nodeAffinity": {}}))),
}
_DISK = {"ephemeral-storage": "2Gi"}
_MORE = {"requests": {"cpu": "1", "memory": "1Gi", **_DISK}, "limits": {"cpu": "8", "memory": "8Gi", **_DISK}}
_TOLERATIONS = [{"key": "dedicated", "operator": "Exists"}]
# By value, something else, the component that follows it, and where.
POD_VALUES = {
    f"{prefix}{name}": (value, component)
    for prefix, component in {"": "server", "migrations.": "migration", "migrations.cleanup.": "cleanup"}.items()
    for name, value in {"resources": _MORE, "tolerations": _TOLERATIONS}.items()
}


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
    before, found, wanted = rendered(folder), rendered(folder, nest(path, value)), release_manifests(props)
    of_migration = path.startswith("migrations.") and "cleanup" not in path
    assert (checksum(found) != checksum(before)) is of_migration, "servers restart for the migration's values alone"
    checksum(wanted)
    assert same(found, wanted)
    assert not same(found, before) or path == "migrations.enabled"


@pytest.mark.parametrize("path", POD_VALUES)
def test_a_value_of_pods_reaches_the_pod(path: str, chart: Callable[[SpiceDBProps], Path]) -> None:
    value, component = POD_VALUES[path]
    found = Manifests(rendered(chart(BASE), nest(path, value)))
    kind = "Deployment" if component == "server" else "Job"
    pod, name = found.pod(kind, component), path.rpartition(".")[2]
    assert (found.container(kind, component) if name == "resources" else pod)[name] == value


def test_every_value_is_tried(chart: Callable[[SpiceDBProps], Path]) -> None:
    def leaves(schema: dict[str, Any], prefix: str = "") -> set[str]:
        inner = schema["properties"].items()
        return {
            path
            for name, each in inner
            for path in (
                leaves(each, f"{prefix}{name}.") if "properties" in each else {f"{prefix}{name}".removesuffix(".name")}
            )
            if name not in ("global",)
        }

    found = leaves(json.loads((chart(BASE) / "values.schema.json").read_text()))
    pairs = {path.rpartition(".")[0] for path in found if path.startswith("secrets.") and path.endswith(".key")}
    tried = {*VALUES, *POD_VALUES}
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
        ({"podAnnotations": {CHECKSUM: "mine"}}, CHECKSUM),
        ({"secrets": {"presharedKey": {"name": "Not A Name"}}}, "presharedKey"),
    ],
)
def test_a_wrong_value_stops_helm(values: dict[str, Any], says: str, chart: Callable[[SpiceDBProps], Path]) -> None:
    with pytest.raises(helm.HelmError, match=says):
        rendered(chart(BASE), values)


def test_the_memory_engine_takes_no_second_server(chart: Callable[[SpiceDBProps], Path]) -> None:
    folder = chart(of(datastore=Memory()))
    assert "migrations" not in yaml.safe_load((folder / "values.yaml").read_text())
    with pytest.raises(helm.HelmError, match="replicas"):
        rendered(folder, {"replicas": 2})


@pytest.mark.parametrize(
    ("value", "field", "amount"), [("minReplicas", "min_replicas", 3), ("maxReplicas", "max_replicas", 9)]
)
def test_an_autoscaler_takes_the_place_of_replicas(
    value: str, field: str, amount: int, chart: Callable[[SpiceDBProps], Path]
) -> None:
    autoscaling = Autoscaling(max_replicas=5)
    folder = chart(of(server=ServerProps(autoscaling=autoscaling)))
    wanted = of(server=ServerProps(autoscaling=attrs.evolve(autoscaling, **{field: amount})))
    assert same(rendered(folder, {"autoscaling": {value: amount}}), release_manifests(wanted))
    with pytest.raises(helm.HelmError, match="replicas"):
        rendered(folder, {"replicas": 2})


def test_values_that_all_charts_share_are_let_through(chart: Callable[[SpiceDBProps], Path]) -> None:
    assert rendered(chart(BASE), {"global": {"any": "thing"}})


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
        assert "docs/upgrade/migrations.md" in text


@pytest.mark.parametrize(
    ("props", "values", "says"),
    [
        (BASE, {"image": {"tag": "v1.57.0"}}, "the image is v1.57.0, but this chart was written for v1.56.0"),
        (BASE, {"migrations": {"targetPhase": "read"}}, "has `migrate --phase`"),
        (SPECIAL["phase"], {}, "Instead of --phase=read set"),
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


def test_the_notes_of_the_memory_engine_know_of_no_migration(chart: Callable[[SpiceDBProps], Path]) -> None:
    assert "migrat" not in notes(chart(of(datastore=Memory())))


def test_the_chart_says_what_artifact_hub_asks(chart: Callable[[SpiceDBProps], Path]) -> None:
    metadata = yaml.safe_load((chart(BASE) / "Chart.yaml").read_text())
    annotations = metadata["annotations"]
    assert annotations["artifacthub.io/category"] == "security"
    images = {each["image"] for each in yaml.safe_load(annotations["artifacthub.io/images"])}
    found = Manifests(release_manifests(BASE))
    assert images == {found.container("Deployment")["image"], found.container("Job", "cleanup")["image"]}
    assert metadata["kubeVersion"] == ">=1.30.0-0"


def test_a_chart_can_be_packaged(chart: Callable[[SpiceDBProps], Path], tmp_path: Path) -> None:
    package = helm.package(chart(BASE), destination=tmp_path)
    assert "spicedb-0.1.0.tgz" in str(package)
