"""Parts of the connection in Secrets of other programs, the CA in a ConfigMap, and servers on other ports."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb import (
    ConfigMapKey,
    Datastore,
    ExternalService,
    NetworkPolicies,
    PermissionTest,
    SchemaProps,
    SecretKey,
    ServerProps,
)
from cdk8s_spicedb.live.check.database import check_database
from cdk8s_spicedb.live.check.finding import Level
from cdk8s_spicedb.live.cluster import Cluster
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace
from tests.lab.databases import DATABASE, MARIADB, PASSWORD, POSTGRES, USER, postgres_query
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, OLD, ON_MARIADB, ON_POSTGRES, on_postgres

PARTS: Any = {part: SecretKey("conn", part) for part in ("host", "port", "user", "database", "password")}


def conn(namespace: Namespace, host: str, port: int, **other: str) -> None:
    """The Secret as another program writes it."""
    parts = {"host": host, "port": str(port), "user": USER, "database": DATABASE, "password": PASSWORD, **other}
    namespace.secret("conn", parts)


def _installs_upgrades_and_is_checked(helm: Helm, namespace: Namespace, datastore: Datastore) -> None:
    first = helm.install(on_postgres(OLD, datastore=datastore))
    assert first.ok, first.output
    with relay(namespace) as address:
        Client(address, KEY).write()
        second = helm.upgrade(on_postgres(NEW, datastore=datastore))
        assert second.ok, second.output
        assert Client(address, KEY).check()
    cluster = Cluster.connect(namespace=namespace.name)
    image = {"postgres": POSTGRES.image, "mysql": MARIADB.image}[datastore.engine]
    with cluster.client:
        found = check_database(cluster, on_postgres(NEW, datastore=datastore), image=image)
    assert found.server_version
    assert [finding for finding in found.findings if finding.level is Level.FAILURE] == []


def test_postgresql_with_all_parts_from_a_secret(helm: Helm, namespace: Namespace, postgres: None) -> None:
    user, database, password = 'us$er@/x:y ?"', "au$t/h? z%41", "p$a@/%?#&:'w $(X)${HOME}\\"
    quoted = password.replace("'", "''")
    owner = user.replace('"', '""')
    postgres_query(namespace, f"CREATE ROLE \"{owner}\" LOGIN PASSWORD '{quoted}'")
    postgres_query(namespace, f'CREATE DATABASE "{database}" OWNER "{owner}"')
    conn(namespace, POSTGRES.name, POSTGRES.port, user=user, database=database, password=password)
    params = {"default_query_exec_mode": "exec", "application_name": "of the test"}
    datastore = attrs.evolve(ON_POSTGRES, **PARTS, params=params, read_replicas=[POSTGRES.name])
    _installs_upgrades_and_is_checked(helm, namespace, datastore)
    names = "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = 'of the test'"
    assert postgres_query(namespace, names) == user


def test_mysql_with_all_parts_from_a_secret(helm: Helm, namespace: Namespace, mariadb: None) -> None:
    conn(namespace, MARIADB.name, MARIADB.port)
    datastore = attrs.evolve(ON_MARIADB, **PARTS, params={"charset": "utf8mb4,utf8"}, read_replicas=[MARIADB.name])
    _installs_upgrades_and_is_checked(helm, namespace, datastore)


def test_a_ca_from_a_config_map(helm: Helm, namespace: Namespace, postgres: None) -> None:
    data = {"bundle.pem": "not a certificate"}
    namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca"}, "data": data})
    datastore = attrs.evolve(ON_POSTGRES, sslmode=None, ca=ConfigMapKey("ca", "bundle.pem"))
    outcome = helm.install(on_postgres(datastore=datastore), timeout=30)
    assert not outcome.ok
    assert "unable to add CA to cert pool" in outcome.output


@pytest.mark.parametrize("address", [None, "127.0.0.1"])
def test_servers_on_other_ports(helm: Helm, namespace: Namespace, postgres: None, address: Any) -> None:
    server = ServerProps(
        grpc_port=5001,
        http_port=5002,
        metrics_port=5003,
        http_enabled=True,
        metrics_address=address,
        service_ports={"grpc": 80},
        headless_service=True,
        external_service=ExternalService(type="NodePort"),
    )
    props = on_postgres(
        server=server,
        network_policies=NetworkPolicies(),
        schema=SchemaProps(text="definition user {}\ndefinition document {\n  relation read: user\n}"),
        test=PermissionTest(resource="document", permission="read", subject="user", checks=4),
    )
    outcome = helm.install(props)
    assert outcome.ok, outcome.output
    tested = helm.test()
    assert tested.ok, tested.output
    ports = namespace.kubectl("get", "endpointslices", "--output=jsonpath={.items[*].ports[*].port}").split()
    assert "5001" in ports
    assert "50051" not in ports
    assert ("5003" in ports) is (address is None)
