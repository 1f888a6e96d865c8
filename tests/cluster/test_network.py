"""NetworkPolicies, where the cluster's network enforces them."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
import pytest

from cdk8s_spicedb import MigrationProps, NetworkPeer, NetworkPolicies, SpiceDBProps
from cdk8s_spicedb.labels import Component, selector_labels

from .client import Client, Load, relay
from .cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, wait
from .conftest import KEY
from .helm import Helm
from .props import NEW, OLD, on_postgres

_CLIENT = {"app": "relay-spicedb"}
_DENIED = {"app": "denied"}
_POLICIES = NetworkPolicies(
    clients=[NetworkPeer(pods=_CLIENT)],
    database=[NetworkPeer(pods={"app": "postgres"})],
)


def _reaches(namespace: Namespace, name: str, labels: Mapping[str, str], target: str) -> bool:
    """Whether a pod with these labels can connect; it waits until the network knows it."""
    container = {
        "name": "connect",
        "image": "docker.io/library/busybox:1.37",
        "command": ["sh", "-c", f"sleep 3; nc -w 3 {target} < /dev/null"],
        "securityContext": RESTRICTED_CONTAINER,
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {**RESTRICTED_POD, "runAsUser": 65532},
        "containers": [container],
    }
    metadata = {"name": name, "labels": dict(labels)}
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def phase() -> str | None:
        pod = namespace.get("pod", name)
        found: str = pod["status"]["phase"] if pod else "Pending"
        return found if found in ("Succeeded", "Failed") else None

    return wait(f"the end of {name}", phase) == "Succeeded"


@pytest.fixture(autouse=True)
def enforced(namespace: Namespace) -> None:
    nothing = {"podSelector": {"matchLabels": _DENIED}, "policyTypes": ["Egress"]}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    namespace.apply({**kind, "metadata": {"name": "nothing"}, "spec": nothing})
    if _reaches(namespace, "denied", _DENIED, "kubernetes.default 443"):
        pytest.skip("this cluster's network enforces no NetworkPolicies")


def _props(version: str = NEW) -> SpiceDBProps:
    return on_postgres(version, network_policies=_POLICIES, migration=MigrationProps(restart_policy="Never"))


def test_what_is_needed_is_let_through_and_nothing_else(helm: Helm, namespace: Namespace, postgres: None) -> None:
    installed = helm.install(_props(OLD))
    assert installed.ok, installed.output
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        assert client.check_many() == {False}
        with Load("an upgrade between policies", address, KEY) as load:
            upgraded = helm.upgrade(_props())
        assert upgraded.ok, upgraded.output
        assert load.unharmed()
        cleanup = selector_labels("spicedb", Component.CLEANUP)
        assert _reaches(namespace, "client", _CLIENT, "spicedb 50051")
        assert _reaches(namespace, "cleanup", cleanup, "kubernetes.default 443")
        assert not _reaches(namespace, "stranger", {}, "spicedb 50051")
        assert not _reaches(namespace, "reader-of-metrics", _CLIENT, "spicedb 9090")
        assert not _reaches(namespace, "dispatcher", _CLIENT, "spicedb 50053")
        assert not _reaches(namespace, "cleanup-of-data", cleanup, "postgres 5432")


def test_servers_need_the_way_to_each_other(helm: Helm, namespace: Namespace, postgres: None) -> None:
    assert helm.install(_props()).ok
    policy = namespace.get("networkpolicy", "spicedb")
    assert policy
    rules = policy["spec"]["ingress"]
    policy["spec"]["ingress"] = [rule for rule in rules if rule["ports"] != [{"protocol": "TCP", "port": 50053}]]
    namespace.apply(policy)
    namespace.kubectl("rollout", "restart", "deployment/spicedb")
    namespace.kubectl("rollout", "status", "deployment/spicedb")
    namespace.settled()
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        with pytest.raises(grpc.RpcError):
            client.check_many()
