"""Settings of all pods: a proxy beside each of them, and servers on nodes of their own."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import PermissionTest, PodSettings, PostgreSQL, SchemaProps, SecretKey, ServerProps
from tests.lab.client import SCHEMA, Client, Load, relay
from tests.lab.cluster import RESTRICTED_CONTAINER, Namespace, run
from tests.lab.databases import DATABASE, POSTGRES, USER, postgres_revision
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres

_FORWARD = f"nc {POSTGRES.name} 5432"
_LISTEN = f"""
trap exit TERM
if command -v tcpsvd > /dev/null
then tcpsvd -b 64 -c 99 0 5432 {_FORWARD} &
else nc -{"l" * 99} -p 5432 -e {_FORWARD} &
fi
wait
"""
"""A program with the process id 1 ignores the signal to stop, unless it says otherwise."""
_PROXY = {
    "name": "proxy",
    "image": "docker.io/library/busybox:1.37",
    "command": ["sh", "-c", _LISTEN],
    "restartPolicy": "Always",
    "startupProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
    "securityContext": RESTRICTED_CONTAINER,
}
_BEHIND_A_PROXY = PostgreSQL(
    host="localhost",
    database=DATABASE,
    user=USER,
    password=SecretKey("spicedb", "password"),
    sslmode="disable",
)


def test_a_proxy_for_the_database_beside_every_pod(any_helm: Helm, namespace: Namespace, postgres: None) -> None:
    """Also beside the migration, which runs first, and Jobs end although the proxy keeps running."""
    settings: dict[str, Any] = {
        "datastore": _BEHIND_A_PROXY,
        "pods": PodSettings(init_containers=[_PROXY], pod_labels={"cost-center": "42"}),
        "schema": SchemaProps(text=SCHEMA),
        "test": PermissionTest(resource="document", permission="read", subject="user", checks=2),
    }
    installed = any_helm.install(on_postgres(OLD, **settings))
    assert installed.ok, installed.output
    assert postgres_revision(namespace) == OLD_HEAD
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("behind a proxy", address, KEY) as load:
            upgraded = any_helm.upgrade(on_postgres(NEW, **settings))
    assert upgraded.ok, upgraded.output
    assert load.succeeded()
    assert (postgres_revision(namespace), namespace.versions()) == (NEW_HEAD, {NEW})
    tested = any_helm.test()
    assert tested.ok, tested.output
    for server in namespace.servers():
        assert server["metadata"]["labels"]["cost-center"] == "42"
        assert [each["name"] for each in server["spec"]["initContainers"]] == ["proxy"]


def test_servers_on_nodes_of_their_own_are_upgraded(helm: Helm, namespace: Namespace, postgres: None) -> None:
    """As many servers as nodes, kept apart: the Jobs still find a node, and no check is lost."""
    nodes = run("kubectl", "get", "nodes", "--output=name").stdout.split()
    if len(nodes) < 2:
        pytest.skip("needs a cluster of two nodes or more, each with space for a server")
    component = "app.kubernetes.io/component"
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {component: "server"}}}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    server = ServerProps(replicas=len(nodes), affinity=apart, max_surge=0, max_unavailable=1)
    installed = helm.install(on_postgres(OLD, server=server))
    assert installed.ok, installed.output
    assert {each["spec"]["nodeName"] for each in namespace.servers()} == {name.partition("/")[2] for name in nodes}
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("a server on each node", address, KEY) as load:
            upgraded = helm.upgrade(on_postgres(NEW, server=server))
    assert upgraded.ok, upgraded.output
    assert load.succeeded()
    assert namespace.versions(ready=True) == {NEW}
