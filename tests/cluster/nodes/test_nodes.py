"""A node dies or is cut off while something happens on it."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from subprocess import Popen
from threading import Barrier, BrokenBarrierError

from tests.lab.client import Client, Load, relay
from tests.lab.cluster import is_ready, run, wait
from tests.lab.databases import postgres_locked, postgres_revision
from tests.lab.nodes import Nodes
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD
from tests.lab.relationships import load_postgres

from .conftest import Place

THREE = "replicas: 3"
Scenario = Callable[[Place, Callable[[], object]], None]
"""Something that the death of a node interrupts. It meets the others twice: before what takes only seconds begins, and
when the node dies."""


def prefers(node: str) -> str:
    """Placement of pods that start on a node if it is there."""
    return (
        "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, preference: "
        f"{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{node}]}}]}}}}]}}}}"
    )


def waits(node: str) -> str:
    """An init container that waits if it runs on a node."""
    return (
        "{name: waits, image: docker.io/library/busybox:1.37, "
        "env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}], "
        "securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}, "
        f'command: [sh, -c, "[ $NODE != {node} ] || sleep 600"]}}'
    )


def _does_what_it_says(process: Popen[str]) -> str:
    """Deletes the lost pod as soon as the progress says so. Returns what the program prints after that."""
    assert process.stdout is not None
    for line in process.stdout:
        if said := re.search(r"run `kubectl (delete pod \S+ --force --namespace \S+)`", line):
            run("kubectl", *said[1].split())
            break
    return process.communicate(timeout=300)[0]


def serving(place: Place, meet: Callable[[], object]) -> None:
    """Clients of a server that lives do not notice."""
    place.command.install(NEW, server=THREE)
    (alive,) = place.on(place.nodes.safe)
    assert place.on(place.nodes.victim)
    with relay(place.namespace, alive["status"]["podIP"], node=place.nodes.safe) as address:
        Client(address, KEY).write()
        with Load("a node without power", address, KEY) as load:
            meet()
            meet()
            wait("Kubernetes to notice", lambda: not any(map(is_ready, place.on(place.nodes.victim))), 90)
    assert load.succeeded()


def roll_out(place: Place, meet: Callable[[], object]) -> None:
    """The older server on the dead node stays as long as the node is away. Nobody waits for it."""
    command, namespace = place.command, place.namespace
    command.install(OLD, server=THREE)
    assert all(map(place.on, place.nodes.names)), "the servers are spread over the nodes"
    command.write(NEW, server=THREE)
    meet()
    with command.running("upgrade", *command.options()) as process:
        wait("the roll-out to begin", lambda: NEW in namespace.versions())
        meet()
        output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    assert namespace.versions(ready=True) == {NEW}
    shown = command.run("status", "spicedb", "--output", "json")
    assert shown.json["version"] == NEW
    assert shown.json["healthy"], shown.output
    assert OLD in {pod["version"] for pod in shown.json["pods"] if pod["lost"]}


def rollback(place: Place, meet: Callable[[], object]) -> None:
    """The same holds for the way back."""
    command, namespace = place.command, place.namespace
    command.install(OLD, server=THREE)
    command.install(NEW, server=THREE)
    meet()
    with command.running("rollback", "spicedb", "--yes") as process:
        wait("the roll-out to begin", lambda: OLD in namespace.versions())
        meet()
        output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    assert namespace.versions(ready=True) == {OLD}


def migration(place: Place, meet: Callable[[], object]) -> None:
    """Another pod migrates. Helm waits for the lost one, as the progress says."""
    command, namespace = place.command, place.namespace
    command.install(OLD)
    command.write(NEW, migration=prefers(place.nodes.victim))
    locked = ExitStack()
    locked.enter_context(postgres_locked(namespace, "alembic_version", 300))
    with locked, command.running("upgrade", *command.options()) as process:
        wait("the migration", lambda: place.runs_on(place.nodes.victim, "migration"))
        meet()
        meet()
        others = [name for name in place.nodes.names if name != place.nodes.victim]
        wait("another migration", lambda: any(place.runs_on(name, "migration") for name in others), 180)
        locked.close()
        wait("the migration", lambda: postgres_revision(namespace) == NEW_HEAD)
        output = _does_what_it_says(process)
    assert process.returncode == 0, output
    assert namespace.versions() == {NEW}


def clean_up(place: Place, meet: Callable[[], object]) -> None:
    """Another pod cleans up."""
    command, namespace, victim = place.command, place.namespace, place.nodes.victim
    command.install(OLD)
    command.write(NEW, more=f"cleanup: {{{prefers(victim)}, initContainers: [{waits(victim)}]}}")
    with command.running("upgrade", *command.options()) as process:
        wait("the clean-up", lambda: place.on(victim, "cleanup"))
        meet()
        meet()
        others = [name for name in place.nodes.names if name != victim]
        wait("another clean-up", lambda: any(place.on(name, "cleanup") for name in others), 180)
        wait("no migration", lambda: not namespace.list("jobs", component="migration"))
        output = _does_what_it_says(process)
    assert process.returncode == 0, output
    assert namespace.versions() == {NEW}


def question(place: Place, meet: Callable[[], object]) -> None:
    """The pod that asks the database gives no answer. Nothing has changed, and the same command works later."""
    command, namespace, victim = place.command, place.namespace, place.nodes.victim
    command.install(OLD)
    command.write(NEW, migration=f"{prefers(victim)}, initContainers: [{waits(victim)}]")
    checks = [option for option in command.options() if option != "--no-check"]
    meet()
    with command.running("upgrade", *checks, "--no-schema", "--no-pull-images") as process:
        wait("the pod", lambda: place.on(victim, "migration"))
        meet()
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 1, output
    assert "the pod of the check did not finish within 60 s" in output
    assert namespace.versions(ready=True) == {OLD}
    result = command.upgrade()
    assert result.code == 0, result.error
    assert namespace.versions(ready=True) == {NEW}


def backup(place: Place, meet: Callable[[], object]) -> None:
    """The only server is lost in the middle of a backup, which another one completes."""
    command, namespace, victim = place.command, place.namespace, place.nodes.victim
    command.install(NEW, server=f"replicas: 1\n{prefers(victim)}")
    with relay(namespace, node=place.nodes.safe) as address:
        Client(address, KEY).write()
    load_postgres(namespace, 50_000)
    meet()
    file = command.file.with_name("it.zedbackup")
    with command.running("backup", "spicedb", str(file)) as process:
        wait("the backup to begin", lambda: any(file.parent.glob("it.zedbackup.*")))
        process.send_signal(signal.SIGSTOP)
        assert place.runs_on(victim, "server")
        meet()
        process.send_signal(signal.SIGCONT)
        output = process.communicate(timeout=300)[0]
    if process.returncode:
        # 5 if the connection tells that the server is gone, and 1 if the port-forward ends first.
        assert process.returncode in (1, 5), output
        assert "run the same command again to continue" in output, output
        wait("a server elsewhere", lambda: any(map(is_ready, namespace.servers())), 180)
        again = command.run("backup", "spicedb", str(file))
        assert again.code == 0, again.error
    about = json.loads(file.with_name("it.zedbackup.json").read_text())
    assert about["relationships"] == 50_001


def test_what_a_dying_node_interrupts_ends_well(mortal: Nodes, new_place: Callable[[], Place]) -> None:
    """A node dies under all of this at once, because Kubernetes takes a minute to notice."""
    scenarios: tuple[Scenario, ...] = (serving, roll_out, rollback, migration, clean_up, question, backup)
    barrier = Barrier(len(scenarios) + 1)

    def play(scenario: Scenario) -> None:
        try:
            scenario(new_place(), barrier.wait)
        except BaseException:
            barrier.abort()  # The others must not wait for it.
            raise

    with ThreadPoolExecutor(len(scenarios)) as pool:
        running = [pool.submit(play, scenario) for scenario in scenarios]
        with ExitStack() as dead:
            with suppress(BrokenBarrierError):
                barrier.wait()
                barrier.wait()
                dead.enter_context(mortal.without(mortal.victim))
            # The error of the one that broke the barrier says more than those of the others.
            failures = [failure for each in running if (failure := each.exception())]
    for failure in sorted(failures, key=lambda each: isinstance(each, BrokenBarrierError)):
        raise failure


def test_a_node_that_was_cut_off_comes_back_with_its_old_pods(mortal: Nodes, place: Place) -> None:
    command, namespace, nodes = place.command, place.namespace, mortal
    toleration = "{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1}"
    server = f"{THREE}\ntolerations: [{toleration}]"
    command.install(OLD, server=server)
    command.write(NEW, server=server)
    with command.running("upgrade", *command.options()) as process:
        wait("the roll-out to begin", lambda: NEW in namespace.versions())
        with nodes.without(nodes.victim, cut=True):
            output = _does_what_it_says(process)  # The clean-up can start on the lost node and be awaited there.
            assert process.returncode == 0, output
            assert any("deletionTimestamp" in pod["metadata"] for pod in place.on(nodes.victim)), "an old pod is left"
    namespace.wait_for_terminating_servers()
    assert namespace.versions(ready=True) == {NEW}
    assert len(namespace.servers()) == 3
