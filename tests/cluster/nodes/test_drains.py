"""Servers on several nodes: each on one of its own, and drained from one after the other."""

from __future__ import annotations

import json

from tests.lab.client import Client, Load, relay
from tests.lab.cluster import run, wait
from tests.lab.nodes import Nodes
from tests.lab.props import KEY, NEW, OLD

from .conftest import Place

_PATIENT = "preStopSleepSeconds: 10"
"""If several nodes share two processors, one of them can learn late that a server on another one stops."""


def test_servers_on_nodes_of_their_own(place: Place) -> None:
    """As many servers as nodes, kept apart: the Jobs still find a node, and no check is lost."""
    command, namespace, nodes = place.command, place.namespace, place.nodes
    apart = (
        f"replicas: {len(nodes.names)}\nmaxSurge: 0\nmaxUnavailable: 1\n{_PATIENT}\n"
        "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: "
        "kubernetes.io/hostname, labelSelector: {matchLabels: {app.kubernetes.io/component: server}}}]}}"
    )
    command.install(OLD, server=apart)
    assert all(map(place.on, nodes.names))
    with relay(namespace, node=nodes.safe) as address:
        Client(address, KEY).write()
        with Load("a server on each node", address, KEY) as load:
            command.install(NEW, server=apart)
        assert load.succeeded()
    assert namespace.versions(ready=True) == {NEW}
    namespace.wait_for_terminating_servers()
    _hangs(place)


def _hangs(place: Place) -> None:
    """A server that hangs gets no new connection."""
    (hanging,) = place.on(place.nodes.victim)
    label = "--selector=kubernetes.io/service-name=spicedb"

    def is_asked() -> bool:
        slices = json.loads(place.namespace.kubectl("get", "endpointslices", label, "--output=json"))["items"]
        endpoints = [endpoint for each in slices for endpoint in each["endpoints"] or ()]
        ready = [address for each in endpoints if each["conditions"]["ready"] for address in each["addresses"]]
        return hanging["status"]["podIP"] in ready

    assert is_asked()
    with place.nodes.hanging(place.namespace):
        wait("Kubernetes to notice", lambda: not is_asked(), 30)
    wait("the server to be back", is_asked, 30)


def test_new_nodes_and_restarts_lose_nothing(mortal: Nodes, place: Place) -> None:
    """Each node is drained and replaced, as for an upgrade of the cluster. Then a roll-out spreads the servers."""
    command, namespace = place.command, place.namespace
    command.install(NEW, server=f"replicas: 3\n{_PATIENT}\npodLabels: {{drained: {namespace.name}}}")
    with relay(namespace, node=mortal.safe) as address:
        Client(address, KEY).write()
        with Load("three new nodes", address, KEY) as load:
            for node in mortal.names:
                options = (f"--pod-selector=drained={namespace.name}", "--ignore-daemonsets", "--timeout=120s")
                run("kubectl", "drain", node, *options)
                assert not [pod for pod in namespace.servers() if pod["spec"].get("nodeName") == node]
                mortal.replace(node)
        assert load.succeeded()
        with Load("a restart", address, KEY) as load:
            namespace.kubectl("rollout", "restart", "deployment/spicedb")
            namespace.kubectl("rollout", "status", "deployment/spicedb", "--timeout=120s")
        assert load.succeeded()
    namespace.wait_for_terminating_servers()
    assert all(map(place.on, mortal.names)), "the servers are spread over the nodes again"
