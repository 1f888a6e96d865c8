"""A written chart: packaged, rendered, installed and configured with values."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from attrs import frozen

from cdk8s_spicedb import PostgreSQL, SecretKey, write_helm_chart
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, Object, run
from tests.lab.databases import DATABASE, PASSWORD, POSTGRES, USER, postgres_query, postgres_revision
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, on_postgres

_CONDITION = "permissions.enabled"
_KUBECTL = "permissions.migrations.cleanup.enabled=false"
"""The cluster of the tests has no mirror of kubectl's registry."""


@frozen
class Package:
    """A packaged chart and the Helm program that installs it."""

    program: str
    file: str
    namespace: Namespace

    def helm(self, *arguments: str, check: bool = True) -> str:
        result = run(self.program, *arguments, "--namespace", self.namespace.name, check=check)
        return result.stdout + result.stderr

    def upgrade(self, *values: str) -> str:
        options = [part for value in values for part in ("--set", value)]
        return self.helm("upgrade", "--install", "release", self.file, "--wait", "--timeout=90s", *options)


@pytest.fixture(params=["helm", "helm3"])
def package(request: pytest.FixtureRequest, namespace: Namespace, tmp_path: Path) -> Package:
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not on PATH")
    write_helm_chart(tmp_path / "chart", on_postgres(), version="1.2.3", name="authz")
    run(request.param, "lint", "--strict", str(tmp_path / "chart"))
    run(request.param, "package", str(tmp_path / "chart"), "--destination", str(tmp_path))
    return Package(request.param, str(tmp_path / "authz-1.2.3.tgz"), namespace)


def _install(package: Package, name: str, file: str, *values: str) -> None:
    options = [part for value in values for part in ("--set", value)]
    package.helm("upgrade", "--install", name, file, "--wait", "--timeout=120s", *options)


def test_two_releases_of_one_chart_share_a_namespace(package: Package, postgres: None, tmp_path: Path) -> None:
    """Each has a name and a database of its own."""
    namespace = package.namespace
    postgres_query(namespace, "CREATE DATABASE two")
    for name, database in {"one": DATABASE, "two": "two"}.items():
        uri = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{POSTGRES.name}:5432/{database}?sslmode=disable"
        namespace.secret(name, {"uri": uri})
    chart = str(tmp_path / "shared")
    write_helm_chart(chart, on_postgres(OLD, datastore=PostgreSQL(uri=SecretKey("one", "uri"))))
    own = {name: (f"fullnameOverride={name}", f"secrets.datastoreUri.name={name}") for name in ("one", "two")}
    for name, values in own.items():
        _install(package, name, chart, *values)
    write_helm_chart(chart, on_postgres(NEW, datastore=PostgreSQL(uri=SecretKey("one", "uri"))))
    with relay(namespace, "one") as first, relay(namespace, "two") as second:
        for address in (first, second):
            Client(address, KEY).write()
        with Load("one of two releases", first, KEY) as one, Load("the other", second, KEY) as two:
            for name, values in own.items():
                _install(package, name, chart, *values, "schemaMode=read-legacy-write-both")
        assert one.succeeded()
        assert two.succeeded()
        assert Client(first, KEY).check_many() == {False}, "servers find each other by the address of their release"
    for name in own:
        (deployment,) = namespace.list("deployments", instance=name)
        assert "--experimental-schema-mode=read-legacy-write-both" in arguments(deployment)
        assert deployment["metadata"]["labels"]["app.kubernetes.io/version"] == NEW
        assert f"kubectl logs job/{name}-migration " in package.helm("get", "notes", name)
        assert namespace.list("jobs", instance=name) == [], "each clean-up deletes its own migration"
    package.helm("uninstall", "one", "--wait")
    assert len(namespace.servers("two")) == 2


def test_chart_is_a_dependency_of_an_applications_chart(package: Package, postgres: None, tmp_path: Path) -> None:
    """With a condition, values below its name, and a registry for all charts."""
    application = tmp_path / "application"
    (application / "charts").mkdir(parents=True)
    metadata = {
        "apiVersion": "v2",
        "name": "application",
        "version": "1.0.0",
        "dependencies": [{"name": "authz", "version": "1.2.3", "alias": "permissions", "condition": _CONDITION}],
    }
    (application / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    shutil.copy(package.file, application / "charts")
    without = package.helm(
        "template", "release", str(application), "--kube-version=1.30.0", f"--set={_CONDITION}=false"
    )
    assert "kind:" not in without
    registry = ("--set", "global.imageRegistry=mirror.example.com", f"--set={_CONDITION}=true")
    mirrored = package.helm("template", "release", str(application), "--kube-version=1.30.0", *registry)
    assert mirrored.count("image: ") == mirrored.count('image: "mirror.example.com/') == 3
    values = (f"{_CONDITION}=true", "permissions.fullnameOverride=authz", "permissions.replicas=1")
    _install(package, "release", str(application), *values, "global.imageRegistry=ghcr.io", _KUBECTL)
    deployment = package.namespace.get("deployment", "authz")
    assert deployment
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"].startswith("ghcr.io/authzed/spicedb:")
    assert postgres_revision(package.namespace) == NEW_HEAD


def test_an_alias_is_the_name_unless_it_was_installed_with_another(package: Package, tmp_path: Path) -> None:
    """Before aliases became names, each had the name of the props. Another name would replace its servers."""
    application = tmp_path / "application"
    (application / "charts").mkdir(parents=True)
    dependencies = [{"name": "authz", "version": "1.2.3", "alias": alias} for alias in ("eu", "us")]
    metadata = {"apiVersion": "v2", "name": "application", "version": "1.0.0", "dependencies": dependencies}
    (application / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    shutil.copy(package.file, application / "charts")

    def names() -> set[str]:
        text = package.helm("template", "release", str(application), "--dry-run=server")
        manifests = yaml.safe_load_all(text.partition("---\n")[2])
        return {each["metadata"]["name"] for each in manifests if each and each["kind"] == "Deployment"}

    assert names() == {"eu", "us"}
    labels = {"helm.sh/chart": "us-1.0.0", "app.kubernetes.io/managed-by": "Helm"}
    of_helm = {"release-name": "release", "release-namespace": package.namespace.name}
    annotations = {f"meta.helm.sh/{key}": text for key, text in of_helm.items()}
    container = {"name": "spicedb", "image": "spicedb"}
    template = {"metadata": {"labels": {"app": "old"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "old"}}, "template": template}
    old = {"name": "spicedb", "labels": labels, "annotations": annotations}
    package.namespace.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": old, "spec": spec})
    assert names() == {"eu", "spicedb"}


def arguments(deployment: Object) -> Sequence[str]:
    arguments: Sequence[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    return arguments


def test_packaged_chart_is_rendered_installed_and_upgraded_with_values(package: Package, postgres: None) -> None:
    namespace = package.namespace
    assert "kind: Deployment" in package.helm("template", "release", package.file, "--kube-version=1.30.0")
    assert "STATUS: pending-install" in package.helm("install", "release", package.file, "--dry-run=server")
    assert namespace.get("deployment", "spicedb") is None, "a dry run applies nothing"

    package.upgrade("migrations.targetMigration=head")
    assert postgres_revision(namespace) == NEW_HEAD
    notes = package.helm("get", "notes", "release")
    for text in ("2 servers", f"spicedb.{namespace.name}:50051", "helm rollback release REVISION", "WARNING"):
        assert (text in notes) is (text != "WARNING")
    first = namespace.get("deployment", "spicedb")
    assert first

    package.upgrade("replicas=1", "logLevel=warn", "migrations.enabled=false", "podAnnotations.team=identity")
    second = namespace.get("deployment", "spicedb")
    assert second
    assert second["spec"]["replicas"] == 1
    assert "--log-level=warn" in arguments(second)
    assert second["spec"]["template"]["metadata"]["annotations"]["team"] == "identity"
    key = "checksum/migration-config"
    annotations = [deployment["spec"]["template"]["metadata"]["annotations"] for deployment in (first, second)]
    assert annotations[0][key] != annotations[1][key]
    assert "The migration is disabled" in package.helm("get", "notes", "release")


def test_invalid_values_apply_nothing(package: Package) -> None:
    options = ("--set", "replica=3", "--set", "migrations.targetPhase=writ")
    output = package.helm("install", "release", package.file, *options, check=False)
    assert "replica" in output
    assert "targetPhase" in output
    assert package.namespace.list("deployments,jobs", name="spicedb") == []


def test_target_phase_in_values_fails_with_the_reason(package: Package, postgres: None) -> None:
    values = (
        "hookLogs=true",
        "migrations.targetPhase=write",
        "migrations.restartPolicy=Never",
        "migrations.backoffLimit=0",
    )
    options = [part for value in values for part in ("--set", value)]
    output = package.helm("install", "release", package.file, "--wait", "--timeout=60s", *options, check=False)
    assert "unknown flag: --phase" in output
    assert package.namespace.get("deployment", "spicedb") is None
