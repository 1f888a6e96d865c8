"""What others do while an upgrade runs: other contexts, another Helm, wrong clocks, signals, and logs that attack."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cdk8s_spicedb.versions import SCHEMA_MODES
from tests.cluster.upgrade.test_command import mode
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, run, wait
from tests.lab.command import Command
from tests.lab.props import KEY, NEW, OLD

SECOND = list(SCHEMA_MODES)[1]
ATTACK = "\x1b]0;owned\x07\x1b]52;c;cm0gLXJmIH4=\x07\x1b[2J\x9b31m [link=http://evil]click[/link] :bomb:"


def _two_contexts(folder: Path) -> Path:
    """A kubeconfig whose current context is the cluster of the tests. The other one, ``prod``, is somebody else's."""
    content = json.loads(run("kubectl", "config", "view", "--raw", "--minify", "--flatten", "--output=json").stdout)
    content["clusters"].append({"name": "prod", "cluster": {"server": "https://127.0.0.1:1"}})
    user = content["contexts"][0]["context"]["user"]
    content["contexts"].append({"name": "prod", "context": {"cluster": "prod", "user": user}})
    file = folder / "kubeconfig"
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize("delivery", ["helm", "kubectl"])
def test_nobody_redirects_an_upgrade(
    command: Command,
    namespace: Namespace,
    postgres: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    delivery: str,
) -> None:
    """Neither the variables of Helm, nor another context that becomes the current one during the first step."""
    command.install(OLD, delivery=delivery)
    kubeconfig = _two_contexts(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("HELM_KUBECONTEXT", "prod")
    monkeypatch.setenv("HELM_NAMESPACE", "elsewhere")
    monkeypatch.setenv("HELM_DEBUG", "1")
    command.write(NEW, delivery=delivery, server=f"schemaMode: {SECOND}")
    with command.running("upgrade", *command.options()) as upgrade:
        assert upgrade.stdout is not None
        lines, switched = [], False
        for line in upgrade.stdout:
            lines.append(line)
            if "step 1 of 2: apply" in line:
                run("kubectl", "config", "use-context", "prod")
                switched = True
        upgrade.wait(timeout=120)
    monkeypatch.undo()
    assert switched
    assert upgrade.returncode == 0, "".join(lines)
    assert (namespace.versions(), mode(namespace)) == ({NEW}, SECOND)


def test_helm_of_a_colleague_keeps_its_lock(command: Command, namespace: Namespace, postgres: None) -> None:
    """Their Helm begins while ours asks its question, and works while ours is refused."""
    command.install(OLD)
    chart = str(command.file.parent / "install")
    command.write(NEW)
    # Its migration waits for an image that does not exist.
    slow = ("upgrade", "spicedb", chart, "--set", "image.tag=v0.0.0", "--wait", "--timeout=90s")
    with namespace.background(*slow, program="helm") as theirs:
        wait("their Helm", lambda: _pending(namespace))
        result = command.upgrade()
        assert result.code == 1, result.error
        assert "another Helm works on the release spicedb: its revision 2 is pending-upgrade" in result.error
        assert command.run("rollback", "--yes").code == 1
        assert _pending(namespace), "it still has its lock"
        theirs.terminate()
        theirs.wait(timeout=60)
    wait("the end of their Helm", lambda: not _pending(namespace))
    run("helm", "--namespace", namespace.name, "rollback", "spicedb", "1", "--wait")
    assert command.upgrade().code == 0
    assert namespace.versions() == {NEW}


def _pending(namespace: Namespace) -> bool:
    found = namespace.kubectl("get", "secrets", "--selector=owner=helm,name=spicedb", "--output=json")
    return any(each["metadata"]["labels"]["status"].startswith("pending-") for each in json.loads(found)["items"])


@contextmanager
def _other_process(namespace: Namespace, hours: float) -> Iterator[None]:
    """Holds and renews the lock, on a machine whose clock is wrong."""
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(1):
            now = datetime.now(timezone.utc) + timedelta(hours=hours)
            time = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            spec = {"holderIdentity": "bob@elsewhere:1:abc", "leaseDurationSeconds": 30, "renewTime": time}
            metadata = {"name": "spicedb-upgrade"}
            namespace.apply(
                {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            )

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        wait("the lock", lambda: namespace.get("lease", "spicedb-upgrade"))
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("hours", [-24, -1 / 60, 1 / 60])
def test_lock_holds_whatever_the_clocks_say(
    command: Command, namespace: Namespace, postgres: None, hours: float
) -> None:
    command.install(OLD)
    command.write(NEW)
    with _other_process(namespace, hours):
        result = command.upgrade()
    assert result.code == 1
    assert "bob@elsewhere:1 (user@host:process) upgrades or rolls back this release" in result.error
    assert namespace.versions() == {OLD}


POINTS = (
    "step 1 of 2: apply: v1.56.0",
    "step 1 of 2: apply: the migration runs",
    "step 1 of 2: apply: 1 of 2 new servers ready",
    "step 1 of 2: settle",
    "step 1 of 2: observe",
    "step 2 of 2: apply: v1.56.0",
    "step 2 of 2: apply: 1 of 2 new servers ready",
    "step 2 of 2: settle",
    "step 2 of 2: observe",
)


def test_signals_end_an_upgrade_in_order(command: Command, namespace: Namespace, postgres: None) -> None:
    """As a CI system that cancels a job. The lock is free at once, no Helm goes on, and the next run continues."""
    command.install(OLD)
    command.write(NEW, server=f"schemaMode: {SECOND}")
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("an upgrade that is ended nine times", address, KEY, writes=True) as load:
            for number, point in enumerate(POINTS):
                code, lines = _ended_at(command, point, (signal.SIGTERM, signal.SIGHUP)[number % 2])
                assert code == 130, lines
                assert "Interrupted. Run the same command again to continue." in lines
                assert namespace.get("lease", "spicedb-upgrade") is None
                assert not _pending(namespace), "Helm has ended too"
            result = command.upgrade()
        assert result.code == 0, result.error
        assert load.succeeded()
    assert (namespace.versions(), mode(namespace)) == ({NEW}, SECOND)
    assert namespace.list("jobs", instance="spicedb", component="schema") == []


def _ended_at(command: Command, point: str, number: int) -> tuple[int, str]:
    """Starts the upgrade, and sends a signal to it alone when it reports a point. Returns how it ended."""
    lines = []
    with command.running("upgrade", *command.options(observe=4)) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if point in line:
                os.kill(process.pid, number)
        return process.wait(timeout=60), "".join(lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_check_that_is_ended_leaves_nothing(
    command: Command, namespace: Namespace, postgres: None, number: int
) -> None:
    command.install(OLD)
    file = command.write(NEW)
    before = {pod["metadata"]["name"] for pod in namespace.list("pods")}

    def new_pods() -> list[str]:
        left = [pod["metadata"] for pod in namespace.list("pods") if "deletionTimestamp" not in pod["metadata"]]
        return [each["name"] for each in left if each["name"] not in before]

    with command.running("check", "--file", str(file), "--pull-images") as process:
        wait("its pods", new_pods)
        os.kill(process.pid, number)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert new_pods() == []


def test_log_of_a_pod_cannot_attack_the_terminal(command: Command, namespace: Namespace, postgres: None) -> None:
    """A migration that logs escape sequences and markup before it fails."""
    command.install(OLD)
    image = os.environ.get("LAB_BUSYBOX_IMAGE", "docker.io/library/busybox:1.37")
    job = namespace.get("job", "spicedb-migration")
    labels = {
        "app.kubernetes.io/name": "spicedb",
        "app.kubernetes.io/instance": "spicedb",
        "app.kubernetes.io/component": "migration",
    }
    if job is not None:
        namespace.kubectl("delete", "job", "spicedb-migration")
    script = "printf '%s\\n' \"$TEXT\"; printf '%s' \"$TEXT\" > /dev/termination-log; exit 1"
    env = [{"name": "TEXT", "value": ATTACK}]
    limited = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "migrate", "image": image, "command": ["sh", "-c", script], "env": env}
    spec = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{**container, "securityContext": limited}],
    }
    template = {"metadata": {"labels": labels}, "spec": spec}
    namespace.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "spicedb-migration", "labels": labels},
            "spec": {"backoffLimit": 0, "template": template},
        }
    )
    failed = lambda: (namespace.get("job", "spicedb-migration") or {}).get("status", {}).get("failed")  # noqa: E731
    wait("the Job to fail", failed)
    line = command.line("status", "spicedb")
    for command_line in (line, ["script", "--quiet", "--return", "--command", " ".join(line), "/dev/null"]):
        output = subprocess.run(command_line, capture_output=True, timeout=60).stdout
        assert b"click" in output, "the log is shown"
        assert b"\x1b]" not in output, "no title, no clipboard, no link"
        assert b"\x1b[2J" not in output
        assert "\x9b".encode() not in output
        assert b"[link=http://evil]click[/link] :bomb:" in output.replace(b"\r\n", b"")
