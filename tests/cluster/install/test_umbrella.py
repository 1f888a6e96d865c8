"""A product that ships its database in the same release: one chart with PostgreSQL, its Secret, and SpiceDB."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest
from attrs import frozen

from cdk8s_spicedb import PostgreSQL, SecretKey, write_helm_chart
from tests import fast_yaml
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, run
from tests.lab.databases import DATABASE, PASSWORD, POSTGRES, USER
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres

_NAME = "product-authz"
_VALUES = {
    "spicedb": {
        "fullnameOverride": _NAME,
        "migrations": {"hook": False},
        "secrets": {
            "datastoreUri": {"name": "product-authz"},
            "presharedKey": {"name": "product-authz"},
        },
    }
}


@frozen
class Product:
    """The chart of the product, and the Helm that installs it."""

    program: str
    folder: Path
    namespace: Namespace

    def write(self, version: str) -> None:
        """Writes the chart with a version of SpiceDB in it."""
        labels = {"app": POSTGRES.name}
        database = {"serviceName": POSTGRES.name, "replicas": 1, "selector": {"matchLabels": labels}}
        uri = (
            f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{POSTGRES.name}:{POSTGRES.port}/{DATABASE}?sslmode=disable"
        )
        port = {"selector": labels, "ports": [{"port": POSTGRES.port}]}
        objects = [
            {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "metadata": {"name": POSTGRES.name},
                "spec": {**database, "template": {"metadata": {"labels": labels}, "spec": POSTGRES.pod()}},
            },
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": POSTGRES.name}, "spec": port},
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "product-authz"},
                "stringData": {"datastore-uri": uri, "preshared-key": KEY},
            },
        ]
        templates = self.folder / "templates"
        templates.mkdir(parents=True, exist_ok=True)
        (templates / "database.yaml").write_text(fast_yaml.dump_all(objects))
        chart = {"apiVersion": "v2", "name": "product", "version": "1.0.0"}
        chart["dependencies"] = [{"name": "spicedb", "version": "0.1.0"}]  # type: ignore[assignment]
        (self.folder / "Chart.yaml").write_text(json.dumps(chart))
        (self.folder / "values.yaml").write_text(json.dumps(_VALUES))
        datastore = PostgreSQL(uri=SecretKey("spicedb", "datastore-uri"))
        write_helm_chart(self.folder / "charts" / "spicedb", on_postgres(version, datastore=datastore))

    def helm(self, *arguments: str) -> None:
        run(self.program, *arguments, "--namespace", self.namespace.name, "--wait", "--timeout=180s")

    def revision(self) -> str:
        """The revision of the database's schema."""
        query = "SELECT version_num FROM alembic_version"
        psql = ["psql", "--host=/run/postgresql", f"--username={USER}", "--tuples-only", "--no-align"]
        return self.namespace.kubectl("exec", f"{POSTGRES.name}-0", "--", *psql, f"--command={query}").strip()

    def jobs(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.namespace.list("jobs")]


@pytest.fixture(params=["helm", "helm3"])
def product(request: pytest.FixtureRequest, namespace: Namespace, tmp_path: Path) -> Product:
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not on PATH")
    return Product(request.param, tmp_path / "product", namespace)


def test_one_install_brings_the_database_and_an_upgrade_migrates_it(product: Product) -> None:
    product.write(OLD)
    product.helm("install", "product", str(product.folder))
    assert product.revision() == OLD_HEAD
    (first,) = product.jobs()
    assert first.startswith(f"{_NAME}-migration-")
    with relay(product.namespace, _NAME) as address:
        Client(address, KEY).write()
        with Load("an upgrade and a rollback", address, KEY) as load:
            product.write(NEW)
            product.helm("upgrade", "product", str(product.folder))
            assert product.revision() == NEW_HEAD
            (second,) = product.jobs()
            assert second != first, "Helm deleted the older Job, whose spec is immutable"
            product.helm("upgrade", "product", str(product.folder))
            assert product.jobs() == [second], "the same migration does not run again"
            product.helm("rollback", "product", "1")
        assert load.succeeded()
        assert Client(address, KEY).check_many() == {False}
    (deployment,) = product.namespace.list("deployments", instance=_NAME)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith(f":{OLD}")
    assert product.revision() == NEW_HEAD, "SpiceDB cannot migrate back"
    assert product.jobs() == [first]
    product.helm("uninstall", "product")
    assert product.jobs() == []
