"""A product that ships its database in the same release: one chart with PostgreSQL, its Secret, and SpiceDB."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from attrs import frozen

from cdk8s_spicedb import PostgreSQL, SecretKey, write_helm_chart
from tests import fast_yaml
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, run
from tests.lab.databases import bundled_postgres, bundled_postgres_revision
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres

_NAME = "product-authz"
_VALUES = {
    "spicedb": {
        "fullnameOverride": _NAME,
        "migrations": {"hook": False},
        "secrets": {
            "datastoreUri": {"name": "{{ .Release.Name }}-authz"},
            "presharedKey": {"name": "{{ .Release.Name }}-authz"},
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
        templates = self.folder / "templates"
        templates.mkdir(parents=True, exist_ok=True)
        (templates / "database.yaml").write_text(fast_yaml.dump_all(bundled_postgres("product-authz", KEY)))
        dependencies = [{"name": "spicedb", "version": "0.1.0"}]
        chart = {"apiVersion": "v2", "name": "product", "version": "1.0.0", "dependencies": dependencies}
        (self.folder / "Chart.yaml").write_text(json.dumps(chart))
        (self.folder / "values.yaml").write_text(json.dumps(_VALUES))
        datastore = PostgreSQL(uri=SecretKey("spicedb", "datastore-uri"))
        write_helm_chart(self.folder / "charts" / "spicedb", on_postgres(version, datastore=datastore))

    def helm(self, *arguments: str) -> None:
        run(self.program, *arguments, "--namespace", self.namespace.name, "--wait", "--timeout=180s")

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
    assert bundled_postgres_revision(product.namespace) == OLD_HEAD
    (first,) = product.jobs()
    assert first.startswith(f"{_NAME}-migration-")
    with relay(product.namespace, _NAME) as address:
        Client(address, KEY).write()
        with Load("an upgrade and a rollback", address, KEY) as load:
            product.write(NEW)
            product.helm("upgrade", "product", str(product.folder))
            assert bundled_postgres_revision(product.namespace) == NEW_HEAD
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
    assert bundled_postgres_revision(product.namespace) == NEW_HEAD, "SpiceDB cannot migrate back"
    assert product.jobs() == [first]
    product.helm("uninstall", "product")
    assert product.jobs() == []
