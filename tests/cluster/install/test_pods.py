"""Settings of all pods: a proxy beside each of them."""

from __future__ import annotations

from typing import Any

from cdk8s_spicedb import PermissionTest, PodSettings, PostgreSQL, SchemaProps, SecretKey
from tests.lab.client import SCHEMA, Client, Load, relay
from tests.lab.cluster import RESTRICTED_CONTAINER, Namespace
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


def test_a_proxy_for_the_database_beside_every_pod(helm: Helm, namespace: Namespace, postgres: None) -> None:
    """Also beside the migration, which runs first, and Jobs end although the proxy keeps running."""
    settings: dict[str, Any] = {
        "datastore": _BEHIND_A_PROXY,
        "pods": PodSettings(init_containers=[_PROXY], pod_labels={"cost-center": "42"}),
        "schema": SchemaProps(text=SCHEMA),
        "test": PermissionTest(resource="document", permission="read", subject="user", checks=2),
    }
    installed = helm.install(on_postgres(OLD, **settings))
    assert installed.ok, installed.output
    assert postgres_revision(namespace) == OLD_HEAD
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("behind a proxy", address, KEY) as load:
            upgraded = helm.upgrade(on_postgres(NEW, **settings))
    assert upgraded.ok, upgraded.output
    assert load.succeeded()
    assert (postgres_revision(namespace), namespace.versions()) == (NEW_HEAD, {NEW})
    tested = helm.test()
    assert tested.ok, tested.output
    for server in namespace.servers():
        assert server["metadata"]["labels"]["cost-center"] == "42"
        assert [each["name"] for each in server["spec"]["initContainers"]] == ["proxy"]
