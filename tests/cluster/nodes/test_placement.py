"""Servers on several nodes: each on one of its own, and drained from one after the other."""

from __future__ import annotations

from cdk8s_spicedb import ServerProps
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, run
from tests.lab.helm import Helm
from tests.lab.nodes import Nodes
from tests.lab.props import KEY, NEW, OLD, on_postgres

from .conftest import Place


def test_servers_on_nodes_of_their_own_are_upgraded(
    helm: Helm, namespace: Namespace, postgres: None, nodes: Nodes
) -> None:
    """As many servers as nodes, kept apart: the Jobs still find a node, and no check is lost."""
    component = "app.kubernetes.io/component"
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {component: "server"}}}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    server = ServerProps(replicas=len(nodes.names), affinity=apart, max_surge=0, max_unavailable=1)
    installed = helm.install(on_postgres(OLD, server=server))
    assert installed.ok, installed.output
    assert {each["spec"]["nodeName"] for each in namespace.servers()} == {*nodes.names}
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("a server on each node", address, KEY) as load:
            upgraded = helm.upgrade(on_postgres(NEW, server=server))
    assert upgraded.ok, upgraded.output
    assert load.succeeded()
    assert namespace.versions(ready=True) == {NEW}


def test_new_nodes_and_restarts_lose_nothing(mortal: Nodes, place: Place) -> None:
    """Each node is drained and replaced, as for an upgrade of the cluster. Then a roll-out spreads the servers."""
    command, namespace = place.command, place.namespace
    command.install(NEW, server=f"replicas: 3\npodLabels: {{drained: {namespace.name}}}")
    with relay(namespace, node=mortal.safe) as address:
        Client(address, KEY).write()
        with Load("three new nodes", address, KEY) as load:
            for node in mortal.names:
                options = (f"--pod-selector=drained={namespace.name}", "--ignore-daemonsets", "--timeout=120s")
                run("kubectl", "drain", node, *options)
                assert not [pod for pod in namespace.servers() if pod["spec"]["nodeName"] == node]
                mortal.replace(node)
        assert load.succeeded()
        with Load("a restart", address, KEY) as load:
            namespace.kubectl("rollout", "restart", "deployment/spicedb")
            namespace.kubectl("rollout", "status", "deployment/spicedb", "--timeout=120s")
        assert load.succeeded()
    namespace.wait_for_terminating_servers()
    assert all(map(place.on, mortal.names)), "the servers are spread over the nodes again"
