"""A node dies while something happens on it."""

from __future__ import annotations

from contextlib import ExitStack

from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, Object, is_ready, wait
from tests.lab.command import Command
from tests.lab.databases import postgres_locked, postgres_revision
from tests.lab.nodes import Nodes
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD

_THREE = "replicas: 3"


def _on(node: str, namespace: Namespace) -> list[Object]:
    """The servers on a node."""
    return [pod for pod in namespace.servers() if pod["spec"].get("nodeName") == node]


def test_an_upgrade_whose_node_dies_is_done(
    command: Command, namespace: Namespace, nodes: Nodes, safe_postgres: None
) -> None:
    """The older server on the dead node stays as long as the node is away. Nobody waits for it."""
    command.install(OLD, server=_THREE)
    assert all(_on(name, namespace) for name in nodes.names), "the servers are spread over the nodes"
    command.write(NEW, server=_THREE)
    with command.running("upgrade", *command.options()) as process:
        wait("the roll-out to begin", lambda: NEW in namespace.versions())
        with nodes.without_the_victim():
            output = process.communicate(timeout=300)[0]
            print(output)
            assert process.returncode == 0, output
            assert namespace.versions(ready=True) == {NEW}
            shown = command.run("status", "spicedb", "--output", "json")
            assert shown.json["version"] == NEW
            assert shown.json["healthy"], shown.output
            assert OLD in {pod["version"] for pod in shown.json["pods"] if pod["lost"]}


def test_a_migration_whose_node_dies_starts_on_another(
    command: Command, namespace: Namespace, nodes: Nodes, safe_postgres: None
) -> None:
    command.install(OLD)
    prefers = (
        "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, preference: "
        f"{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{nodes.victim}]}}]}}}}]}}}}"
    )
    command.write(NEW, migration=prefers)

    def where() -> set[str]:
        pods = namespace.list("pods", component="migration")
        return {pod["spec"]["nodeName"] for pod in pods if pod["status"]["phase"] == "Running"}

    locked = ExitStack()
    locked.enter_context(postgres_locked(namespace, "alembic_version", 300))
    with locked, command.running("upgrade", *command.options()) as process:
        wait("the migration", lambda: nodes.victim in where())
        with nodes.without_the_victim():
            wait("another migration", lambda: where() - {nodes.victim}, 180)
            locked.close()
            wait("the migration", lambda: postgres_revision(namespace) == NEW_HEAD)
            # The Job is complete when the pod on the dead node is gone, and Helm waits for that.
            for pod in namespace.list("pods", component="migration"):
                if pod["spec"]["nodeName"] == nodes.victim:
                    namespace.kubectl("delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0")
            output = process.communicate(timeout=300)[0]
            print(output)
            assert process.returncode == 0, output
    assert postgres_revision(namespace) == NEW_HEAD
    assert namespace.versions() == {NEW}


def test_servers_that_do_not_dispatch_lose_no_check(
    command: Command, namespace: Namespace, nodes: Nodes, safe_postgres: None
) -> None:
    """Clients of a server that lives do not notice."""
    command.install(NEW, server=f"{_THREE}\ndispatchEnabled: false")
    (alive,) = _on(nodes.safe, namespace)
    with relay(namespace, alive["status"]["podIP"], node=nodes.safe) as address:
        Client(address, KEY).write()
        with Load("a node without power", address, KEY) as load, nodes.without_the_victim():
            wait("Kubernetes to notice", lambda: not any(map(is_ready, _on(nodes.victim, namespace))), 90)
    assert load.succeeded()
