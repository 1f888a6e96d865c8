"""NetworkPolicies, on clusters that enforce them."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
import pytest

from cdk8s_spicedb import MigrationProps, NetworkPeer, NetworkPolicies, ServerProps, SpiceDBProps
from cdk8s_spicedb.labels import Component, selector_labels
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, wait
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, OLD, on_postgres

_CLIENT = {"app": "relay-spicedb"}
_DENIED = {"app": "denied"}
_POLICIES = NetworkPolicies(
    clients=[NetworkPeer(pods=_CLIENT)],
    database=[NetworkPeer(pods={"app": "postgres"})],
)


def _can_connect(namespace: Namespace, name: str, labels: Mapping[str, str], target: str) -> bool:
    """Whether a pod with these labels can connect. It waits until the policies apply to the pod."""
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
        current: str = pod["status"]["phase"] if pod else "Pending"
        return current if current in ("Succeeded", "Failed") else None

    return wait(f"pod {name} to finish", phase) == "Succeeded"


@pytest.fixture(autouse=True)
def enforced(namespace: Namespace) -> None:
    deny_egress = {"podSelector": {"matchLabels": _DENIED}, "policyTypes": ["Egress"]}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    namespace.apply({**kind, "metadata": {"name": "nothing"}, "spec": deny_egress})
    if _can_connect(namespace, "denied", _DENIED, "kubernetes.default 443"):
        pytest.skip("this cluster does not enforce NetworkPolicies")


def _props(version: str = NEW) -> SpiceDBProps:
    server, migration = ServerProps(dispatch_enabled=True), MigrationProps(restart_policy="Never")
    return on_postgres(version, network_policies=_POLICIES, server=server, migration=migration)


def test_policies_allow_only_the_required_connections(helm: Helm, namespace: Namespace, own_postgres: None) -> None:
    installed = helm.install(_props(OLD))
    assert installed.ok, installed.output
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        assert client.check_many() == {False}
        with Load("an upgrade with NetworkPolicies", address, KEY) as load:
            upgraded = helm.upgrade(_props())
        assert upgraded.ok, upgraded.output
        assert load.succeeded()
        cleanup = selector_labels("spicedb", Component.CLEANUP)
        assert _can_connect(namespace, "client", _CLIENT, "spicedb 50051")
        assert _can_connect(namespace, "cleanup", cleanup, "kubernetes.default 443")
        assert not _can_connect(namespace, "stranger", {}, "spicedb 50051")
        assert not _can_connect(namespace, "reader-of-metrics", _CLIENT, "spicedb 9090")
        assert not _can_connect(namespace, "dispatcher", _CLIENT, "spicedb 50053")
        assert not _can_connect(namespace, "cleanup-of-data", cleanup, "postgres 5432")


def test_servers_fail_without_connections_to_each_other(helm: Helm, namespace: Namespace, own_postgres: None) -> None:
    assert helm.install(_props()).ok
    policy = namespace.get("networkpolicy", "spicedb")
    assert policy
    rules = policy["spec"]["ingress"]
    policy["spec"]["ingress"] = [rule for rule in rules if rule["ports"] != [{"protocol": "TCP", "port": 50053}]]
    namespace.apply(policy)
    namespace.kubectl("rollout", "restart", "deployment/spicedb")
    namespace.kubectl("rollout", "status", "deployment/spicedb")
    namespace.wait_for_terminating_servers()
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        with pytest.raises(grpc.RpcError):
            client.check_many()
