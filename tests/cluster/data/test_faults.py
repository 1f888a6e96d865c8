"""Faults of backups and rehearsals: a clear end, nothing lost, and nothing left."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.upgrade.test_rehearse import rehearsals, rehearse
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, Object, wait
from tests.lab.command import Command
from tests.lab.databases import POSTGRES
from tests.lab.props import KEY, NEW, OLD

DATABASE = "rehearsal-database"
DENY: Object = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
}
QUOTA: Object = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "small"},
    "spec": {"hard": {"pods": "0"}},
}


@pytest.fixture
def installed(command: Command, namespace: Namespace, postgres: None) -> Namespace:
    """A SpiceDB with relationships, and a file that upgrades it."""
    command.install(OLD)
    with relay(namespace) as address:
        Client(address, KEY).write()
    command.write(NEW)
    return namespace


@pytest.fixture
def sandbox(new_namespace: Callable[[], Namespace]) -> Namespace:
    """Another namespace, to rehearse in."""
    return new_namespace()


def left(namespace: Namespace) -> str:
    """What a rehearsal has left in a namespace."""
    kinds = "deployments,services,serviceaccounts,secrets,configmaps,jobs,pods,leases,poddisruptionbudgets"
    return namespace.kubectl("get", kinds, "--selector=cdk8s-spicedb/rehearsal", "--output=name").strip()


def test_a_policy_that_denies_everything_does_not_stop_a_backup(
    installed: Namespace, command: Command, tmp_path: Path
) -> None:
    installed.apply(DENY)
    made = command.run("backup", "spicedb", str(tmp_path / "it"))
    assert made.code == 0, made.error


def test_a_wrong_key(installed: Namespace, command: Command, tmp_path: Path) -> None:
    key = base64.b64encode(b"wrong").decode()
    installed.kubectl("patch", "secret", "spicedb", "--patch", json.dumps({"data": {"preshared-key": key}}))
    made = command.run("backup", "spicedb", str(tmp_path / "it"))
    assert (made.code, "PERMISSION_DENIED" in made.error) == (5, True), made.error
    assert not [*tmp_path.glob("it*")]
    code, error = rehearse(command)
    assert (code in (1, 5), "PERMISSION_DENIED" in error) == (True, True), error
    assert rehearsals(installed) == []


def test_a_quota_that_allows_no_pods(installed: Namespace, sandbox: Namespace, command: Command) -> None:
    sandbox.apply(QUOTA)
    wait("the quota", lambda: "hard" in json.loads(sandbox.kubectl("get", "quota", "small", "-o", "json"))["status"])
    code, error = rehearse(command, f"--into={sandbox.name}")
    assert code == 1
    assert "exceeded quota: small" in error
    assert "allow it there, or name another namespace with --into" in error
    assert left(sandbox) == ""


def test_two_rehearsals_in_one_namespace(installed: Namespace, sandbox: Namespace, command: Command) -> None:
    arguments = (f"--file={command.file}", f"--database-image={POSTGRES.image}", f"--into={sandbox.name}")
    with command.running("rehearse", *arguments) as first:
        wait("the first", lambda: sandbox.get("job", "rehearsal-clock"))
        code, error = rehearse(command, f"--into={sandbox.name}")
        assert (code, "wait until that is done" in error) == (1, True), error
        assert first.wait(300) == 0
    wait("the pods to stop", lambda: left(sandbox) == "")


def test_the_database_of_a_rehearsal_restarts(installed: Namespace, sandbox: Namespace, command: Command) -> None:
    arguments = (f"--file={command.file}", f"--database-image={POSTGRES.image}", f"--into={sandbox.name}")
    with command.running("rehearse", *arguments, "--output=json") as process:
        wait("the step", lambda: NEW in sandbox.versions())
        sandbox.kubectl("exec", DATABASE, "--", "sh", "-c", "kill -QUIT 1", check=False)
        code = process.wait(400)
        assert process.stdout is not None
        output = process.stdout.read()
    # It may restart while nobody needs it.
    assert code in (0, 3), output
    assert code == 0 or '"problems": []' not in output
    wait("the pods to stop", lambda: left(sandbox) == "")
