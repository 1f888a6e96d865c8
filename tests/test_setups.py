"""Set-ups of real clusters: each needs no patch, and is the same with every delivery and in a chart."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from cdk8s_spicedb import Delivery, SpiceDBProps, write_helm_chart
from cdk8s_spicedb.cli import main
from cdk8s_spicedb.files.read import document, props_of
from cdk8s_spicedb.manifests import release_manifests
from tests import fast_yaml
from tests.charts import rendered, same, without_chart_labels
from tests.crds import is_custom, validate_custom
from tests.manifests.test_kubernetes import VERSIONS, validate
from tests.synth import Manifests

Check = Callable[[Manifests], None]
SETUPS = {path.parent.name: path.parent for path in sorted(Path(__file__).parent.glob("setups/*/spicedb.yaml"))}


def props_from(setup: Path, delivery: Delivery = Delivery.HELM) -> SpiceDBProps:
    """The props of a set-up. Only Helm has tests."""
    props = props_of(document((setup / "spicedb.yaml").read_text(), setup.name))
    return attrs.evolve(props, delivery=delivery, test=props.test if delivery is Delivery.HELM else None)


def chart_of(setup: Path, folder: Path) -> Path:
    """Writes the chart of a set-up: the one that people install, so with the other chart around it if there is one."""
    if not (setup / "Chart.yaml").exists():
        write_helm_chart(folder, props_from(setup))
        return folder
    shutil.copytree(setup, folder, ignore=shutil.ignore_patterns("spicedb.yaml"))
    write_helm_chart(folder / "charts" / "spicedb", props_from(setup))
    return folder


def pods(found: Manifests) -> dict[str, Any]:
    """The pod templates, by the component."""
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in found.templates}


def containers(found: Manifests) -> dict[str, Any]:
    """The first container of each kind of pod."""
    return {component: pod["spec"]["containers"][0] for component, pod in pods(found).items()}


def env(container: Any) -> dict[str, Any]:
    """The variables of a container: their texts, or name and key of the Secret."""
    keys = {each["name"]: each.get("valueFrom", {}).get("secretKeyRef") for each in container["env"]}
    texts = {each["name"]: each.get("value") for each in container["env"]}
    return {name: (key["name"], key["key"]) if key else texts[name] for name, key in keys.items()}


def files(pod: Any) -> set[tuple[str, str, str]]:
    """What the volumes of a pod contain: kind, name and key."""
    return {
        (kind, source[kind]["name"], item["key"])
        for volume in pod["spec"].get("volumes", ())
        for source in volume.get("projected", {}).get("sources", ())
        for kind in source
        for item in source[kind].get("items", ())
    }


def ports(found: Manifests, service: str) -> dict[str, tuple[int, Any]]:
    """The ports of a Service and of its pods, by name."""
    spec = found.named("Service", service)["spec"]
    return {port["name"]: (port["port"], port["targetPort"]) for port in spec["ports"]}


def users(found: Manifests) -> list[Any]:
    """The pods that use the database: servers and migration."""
    return [pods(found)["server"], pods(found)["migration"]]


def cloudnative_pg(found: Manifests, cluster: str = "authz-db") -> None:
    for pod in users(found):
        variables = env(pod["spec"]["containers"][0])
        assert variables["SPICEDB_DATASTORE_CONN_URI"] == (f"{cluster}-app", "uri")
        assert variables["PGSSLMODE"] == "verify-full"
        assert ("secret", f"{cluster}-ca", "ca.crt") in files(pod)
    server = containers(found)["server"]
    assert {
        "--datastore-conn-pool-read-min-open=16",
        "--datastore-conn-pool-read-max-open=16",
        "--datastore-conn-pool-write-min-open=8",
        "--datastore-conn-pool-write-max-open=8",
    } <= set(server["args"])
    variables = env(server)
    keys = [variables[name[2:-1]] for name in variables["SPICEDB_GRPC_PRESHARED_KEY"].split(",")]
    assert keys == [("spicedb-keys", "next"), ("spicedb-keys", "current")]
    assert {("secret", "spicedb-grpc", "tls.crt"), ("secret", "spicedb-dispatch", "ca.crt")} <= files(
        pods(found)["server"]
    )
    assert found.one("Deployment")["spec"]["replicas"] == 3


def service_mesh(found: Manifests, sidecar: str = "sidecar.istio.io/inject") -> None:
    server = containers(found)["server"]
    assert not [text for text in server["args"] if "dispatch" in text]
    assert not found.all("Role", "server")
    assert "--http-addr=:8080" in server["args"]
    assert ports(found, "spicedb")["http"] == (8080, "http")
    assert {port["name"]: port["containerPort"] for port in server["ports"]}["http"] == 8080
    assert server["startupProbe"]["failureThreshold"] == 60
    assert server["readinessProbe"]["failureThreshold"] == 6
    annotations = {component: pod["metadata"]["annotations"] for component, pod in pods(found).items()}
    assert sidecar in annotations.pop("server")
    assert {each["sidecar.istio.io/inject"] for each in annotations.values()} == {"false"}
    assert {pod["metadata"]["labels"]["cost-center"] for pod in pods(found).values()} == {"42"}


def mysql(found: Manifests, secret: str = "mysql-credentials", keys: str = "host port username password") -> None:
    names = ("DATASTORE_HOST", "DATASTORE_PORT", "DATASTORE_USER", "DATASTORE_PASSWORD")
    for pod in users(found):
        variables = env(pod["spec"]["containers"][0])
        assert [variables[name] for name in names] == [(secret, key) for key in keys.split()]
        assert [each["name"] for each in pod["spec"]["initContainers"]] == ["wait-for-mysql"]
    assert "--metrics-addr=127.0.0.1:9090" in containers(found)["server"]["args"]
    assert not [service for service in found.all("Service") if "metrics" in ports(found, service["metadata"]["name"])]


def openshift(found: Manifests, certificate: str = "spicedb-serving-cert") -> None:
    annotations = found.named("Service", "spicedb")["metadata"].get("annotations", {})
    made = annotations.get("service.beta.openshift.io/serving-cert-secret-name")
    assert made == (certificate if certificate == "spicedb-serving-cert" else None)
    assert {("secret", certificate, "tls.crt"), ("secret", certificate, "tls.key")} <= files(pods(found)["server"])
    for pod in users(found):
        assert ("configMap", "config-service-cabundle", "service-ca.crt") in files(pod)
    assert ("configMap", "openshift-service-ca.crt", "service-ca.crt") in files(pods(found)["schema"])
    chosen = {"runAsUser", "runAsGroup", "fsGroup"}
    assert not [pod for pod in pods(found).values() if chosen & set(pod["spec"]["securityContext"])]


def ingress(found: Manifests, name: str = "spicedb", secret: str = "spicedb") -> None:
    assert ports(found, name)["grpc"] == (80, "grpc")
    (rule,) = found.one("Ingress")["spec"]["rules"]
    assert rule["host"] == "authz.example.com"
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": name, "port": {"name": "grpc"}}
    for pod in users(found):
        assert env(pod["spec"]["containers"][0])["SPICEDB_DATASTORE_CONN_URI"][0] == secret


def ingress_in_a_chart(found: Manifests) -> None:
    ingress(found, "authz", "release-database")
    assert {pod["spec"]["imagePullSecrets"][0]["name"] for pod in pods(found).values()} == {"regcred"}
    assert {each["image"].split("/")[0] for each in containers(found).values()} == {"registry.example.com"}
    assert {each["metadata"]["labels"]["app.kubernetes.io/part-of"] for each in found.objects} == {"release"}


def schema(found: Manifests, name: str = "authz-schema", key: str = "documents.zed") -> None:
    assert not found.all("ConfigMap"), "the release has none of its own"
    volumes = {volume["name"]: volume for volume in pods(found)["schema"]["spec"]["volumes"]}
    source = volumes["schema"]["configMap"]
    assert (source["name"], [item["key"] for item in source["items"]]) == (name, [key])


def product(found: Manifests, secret: str = "product") -> None:
    job = found.one("Job", "migration")
    assert not {"PreSync", "pre-install,pre-upgrade"} & set(job["metadata"].get("annotations", {}).values())
    for pod in users(found):
        variables = env(pod["spec"]["containers"][0])
        assert {variables["PGHOST"], variables["PGPASSWORD"]} == {(secret, "host"), (secret, "password")}


def product_in_a_chart(found: Manifests) -> None:
    product(found, "release-database")
    assert {each["metadata"]["name"].startswith("release-authz") for each in found.objects} == {True}
    assert found.one("Job", "migration")["spec"]["activeDeadlineSeconds"] == 900
    assert {env(each)["PRODUCT"] for each in containers(found).values()} == {"release in authz"}
    assert {pod["metadata"]["labels"]["app.kubernetes.io/part-of"] for pod in pods(found).values()} == {"release"}


def crunchy(found: Manifests, user: str = "authz-pguser-spicedb") -> None:
    for pod in users(found):
        variables = env(pod["spec"]["containers"][0])
        assert [variables[name][1] for name in ("PGHOST", "PGPORT", "PGDATABASE")] == ["host", "port", "dbname"]
        assert [variables[name] for name in ("PGUSER", "PGPASSWORD")] == [(user, "user"), (user, "password")]
        assert ("secret", "authz-cluster-cert", "ca.crt") in files(pod)
    for pod in pods(found).values():
        metadata = pod["metadata"]
        assert {metadata[kind]["sidecar.istio.io/inject"] for kind in ("labels", "annotations")} == {"false"}


FILE: dict[str, Check] = {
    "cloudnative-pg": cloudnative_pg,
    "service-mesh": service_mesh,
    "mysql": mysql,
    "openshift": openshift,
    "ingress": ingress,
    "schema": schema,
    "product": product,
    "crunchy": crunchy,
}
"""What the file of each set-up means."""
VALUES: dict[str, Check] = {
    "cloudnative-pg": partial(cloudnative_pg, cluster="release-db"),
    "service-mesh": partial(service_mesh, sidecar="linkerd.io/inject"),
    "mysql": partial(mysql, secret="other", keys="endpoint port user password"),
    "openshift": partial(openshift, certificate="corporate-tls"),
    "ingress": ingress_in_a_chart,
    "schema": partial(schema, name="release-schema", key="schema.zed"),
    "product": product_in_a_chart,
    "crunchy": partial(crunchy, user="authz-pguser-servers"),
}
"""What its values mean."""


def test_every_set_up_is_checked() -> None:
    assert set(SETUPS) == set(FILE) == set(VALUES)


def require_valid(found: Manifests) -> None:
    """Fails if Kubernetes would not accept an object."""
    for each in found.objects:
        if is_custom(each):
            validate_custom(each)
            continue
        for version in VERSIONS:
            validate(each, version)


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize("name", SETUPS)
def test_a_file_needs_no_patch(name: str, delivery: Delivery) -> None:
    props = props_from(SETUPS[name], delivery)
    assert not props.patches
    found = Manifests(release_manifests(props))
    require_valid(found)
    FILE[name](found)


def test_synth_names_what_must_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", "--file", str(SETUPS["schema"] / "spicedb.yaml"), "--folder", str(tmp_path / "dist")]) == 0
    assert "spicedb (preshared-key, datastore-uri), ConfigMap authz-schema (documents.zed)." in capsys.readouterr().out


@pytest.mark.parametrize("name", SETUPS)
def test_a_chart_without_values_is_the_same(name: str, tmp_path: Path) -> None:
    write_helm_chart(tmp_path / "chart", props_from(SETUPS[name]))
    found = without_chart_labels(rendered(tmp_path / "chart"))
    assert same(found, release_manifests(props_from(SETUPS[name])))


@pytest.mark.parametrize("name", SETUPS)
def test_values_mean_what_they_say(name: str, tmp_path: Path) -> None:
    setup = SETUPS[name]
    chart = chart_of(setup, tmp_path / "chart")
    found = Manifests(rendered(chart, fast_yaml.load((setup / "values.yaml").read_text())))
    require_valid(found)
    VALUES[name](found)
