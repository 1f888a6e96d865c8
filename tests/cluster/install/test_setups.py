"""The set-ups of real clusters run, with what these clusters have: Secrets of operators, certificates, a database."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import attrs
import pytest
import trustme
from attrs import frozen

from cdk8s_spicedb import Delivery, write_helm_chart
from cdk8s_spicedb.files.folder import write_manifests
from tests import fast_yaml
from tests.lab.certificates import certificate
from tests.lab.client import SCHEMA, Client, relay
from tests.lab.cluster import Namespace, run
from tests.lab.databases import DATABASE, MARIADB, PASSWORD, POSTGRES, USER
from tests.lab.props import KEY
from tests.test_setups import SETUPS, props_from

_HOST = "spicedb.authz.svc"
"""The name in the certificates of the set-ups."""


@frozen
class Surroundings:
    """What a cluster has before the release."""

    namespace: Namespace
    authority: trustme.CA

    def postgres(self, *, tls: bool = False) -> None:
        if not tls:
            POSTGRES.start(self.namespace)
            return
        certificate(self.namespace, "postgres-tls", self.authority, self.authority.issue_cert(POSTGRES.name))
        options = ("ssl=on", "ssl_cert_file=/certificates/tls.crt", "ssl_key_file=/certificates/tls.key")
        arguments = ("postgres", *(f"-c{option}" for option in options))
        attrs.evolve(POSTGRES, arguments=arguments, certificates="postgres-tls").start(self.namespace)

    def user(self, name: str, *, options: str = "", **keys: str) -> None:
        """The Secret of a user, as an operator writes it, and the one of the servers."""
        uri = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{POSTGRES.name}:5432/{DATABASE}{options}"
        parts = {"host": POSTGRES.name, "port": "5432", "dbname": DATABASE, "user": USER, "password": PASSWORD}
        self.namespace.secret(name, {**parts, "uri": uri, "datastore-uri": uri, "preshared-key": KEY, **keys})

    def config_map(self, name: str, key: str, text: str) -> None:
        self.namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: text}})

    @property
    def ca(self) -> str:
        return self.authority.cert_pem.bytes().decode()


def _cloudnative_pg(around: Surroundings) -> None:
    around.postgres(tls=True)
    around.user("authz-db-app")
    around.namespace.secret("authz-db-ca", {"ca.crt": around.ca})
    around.namespace.secret("spicedb-keys", {"next": KEY, "current": "the key before"})
    names = {"grpc": _HOST, "dispatch": f"spicedb-dispatch-tls.{around.namespace.name}"}
    for name, host in names.items():
        certificate(around.namespace, f"spicedb-{name}", around.authority, around.authority.issue_cert(host))


def _plain(around: Surroundings) -> None:
    around.postgres()
    around.user("spicedb", options="?sslmode=disable")


def _mysql(around: Surroundings) -> None:
    parts = {"host": MARIADB.name, "port": "3306", "username": USER, "password": PASSWORD}
    around.namespace.secret("mysql-credentials", parts)
    MARIADB.start(around.namespace)


def _openshift(around: Surroundings) -> None:
    around.postgres(tls=True)
    around.user("spicedb")
    certificate(around.namespace, "spicedb-serving-cert", around.authority, around.authority.issue_cert(_HOST))
    for name in ("config-service-cabundle", "openshift-service-ca.crt"):
        around.config_map(name, "service-ca.crt", around.ca)


def _schema(around: Surroundings) -> None:
    _plain(around)
    around.config_map("authz-schema", "documents.zed", SCHEMA)


def _crunchy(around: Surroundings) -> None:
    around.postgres(tls=True)
    around.user("authz-pguser-spicedb")
    around.namespace.secret("authz-cluster-cert", {"ca.crt": around.ca})


AROUND: dict[str, Callable[[Surroundings], None]] = {
    "cloudnative-pg": _cloudnative_pg,
    "service-mesh": _plain,
    "mysql": _mysql,
    "openshift": _openshift,
    "ingress": _plain,
    "schema": _schema,
    "crunchy": _crunchy,
}


def test_every_set_up_runs_here() -> None:
    # test_umbrella.py installs a product with its database.
    assert {*AROUND, "product"} == set(SETUPS)


@pytest.mark.parametrize("name", AROUND)
def test_a_set_up_installs_and_serves(name: str, namespace: Namespace, tmp_path: Path) -> None:
    around = Surroundings(namespace, trustme.CA())
    AROUND[name](around)
    props = props_from(SETUPS[name])
    write_helm_chart(tmp_path / "chart", props)
    command = ("--namespace", namespace.name, "--wait", "--timeout=150s")
    # On OpenShift, the cluster chooses the users of pods. Elsewhere, the package does.
    run("helm", "install", "release", str(tmp_path / "chart"), "--set=openshift=false", *command)
    has_tls = props.server.grpc_tls is not None
    ca = around.ca.encode() if has_tls else None
    with relay(namespace, port=props.server.service_ports.get("grpc", 50051)) as address:
        client = Client(address, KEY, ca=ca, hostname=_HOST)
        if props.schema and props.schema.config_map:
            assert "definition document" in client.schema()
        client.write()
        assert client.check()
        if name == "cloudnative-pg":
            assert Client(address, "the key before", ca=ca, hostname=_HOST).check()
    if props.test:
        run("helm", "test", "release", "--namespace", namespace.name, "--timeout=120s")
    ready = len(namespace.servers())
    assert ready == (props.server.replicas or 2)


def test_overlays_of_kustomize_change_the_manifests(namespace: Namespace, tmp_path: Path) -> None:
    setup = shutil.copytree(SETUPS["openshift"], tmp_path / "setup")
    write_manifests(setup / "base" / "manifests", props_from(setup, Delivery.KUBECTL))
    overlay = setup / "overlays" / "prod" / "kustomization.yaml"
    overlay.write_text(overlay.read_text().replace("namespace: authz", f"namespace: {namespace.name}"))
    text = run("kubectl", "kustomize", str(overlay.parent)).stdout
    found = list(fast_yaml.load_all(text))
    assert {each["metadata"]["namespace"] for each in found} == {namespace.name}
    assert {each["metadata"]["labels"]["team"] for each in found} == {"identity"}
    (deployment,) = (each for each in found if each["kind"] == "Deployment")
    assert deployment["spec"]["revisionHistoryLimit"] == 3
    namespace.kubectl("apply", "--server-side", "--dry-run=server", "--filename=-", text=text)
