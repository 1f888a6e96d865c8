"""Upgrades that are killed, interrupted or broken, while clients check permissions and write."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from cdk8s_spicedb.versions import SCHEMA_MODES
from tests.cluster.upgrade.test_command import mode
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, wait
from tests.lab.command import Command, Result
from tests.lab.databases import postgres_locked, postgres_revision
from tests.lab.helm import Helm
from tests.lab.link import link
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD

LAST = list(SCHEMA_MODES)[-1]
KILLED_AT = (
    "step 1 of 4: apply: v1.56.0",
    "step 1 of 4: apply: the migration runs",
    "step 1 of 4: apply: 1 of 2 new servers ready",
    "step 1 of 4: settle",
    "step 2 of 4: apply: 2 of 2 new servers ready",
    "step 2 of 4: observe",
    "step 3 of 4: schema: writing",
    "step 4 of 4: apply: the migration runs",
)
"""Points at which the upgrade is killed, in their order."""


def _kill_at(command: Command, point: str, *, children: bool) -> None:
    """Starts the upgrade, and kills it when it reports a point. Helm is killed too, or left to itself."""
    with command.running("upgrade", *command.options(observe=4)) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if point in line:
                break
        else:
            raise AssertionError(f"never at {point}: {''.join(lines)}")
        if children:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    print(f"killed at {point!r}")


def _lines(client: Client) -> list[str]:
    """The lines of the schema. Unified schema storage has another order of definitions."""
    return sorted(client.schema().splitlines())


def test_killed_upgrade_goes_on(command: Command, namespace: Namespace, postgres: None, helm: Helm) -> None:
    command.install(OLD)
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        schema = _lines(client)
        command.write(NEW, server=f"schemaMode: {LAST}")
        with Load("an upgrade that is killed eight times", address, KEY, writes=True) as load:
            for number, point in enumerate(KILLED_AT):
                _kill_at(command, point, children=bool(number % 2))
            result = command.upgrade()
        assert result.code == 0, result.error
        assert load.succeeded()
        assert _lines(Client(address, KEY)) == schema
    assert (namespace.versions(), mode(namespace)) == ({NEW}, LAST)
    assert postgres_revision(namespace) == NEW_HEAD
    history = helm.history("spicedb")
    deployed = [each["chart"] for each in history if each["status"] in ("deployed", "superseded")]
    assert deployed == ["spicedb-0.1.0", "spicedb-1.0.0", "spicedb-2.0.0", "spicedb-3.0.0", "spicedb-4.0.0"]


def test_second_upgrade_is_refused(command: Command, namespace: Namespace, postgres: None) -> None:
    command.install(OLD)
    command.write(NEW)
    with command.running("upgrade", *command.options()) as first:
        wait("the lock", lambda: namespace.get("lease", "spicedb-upgrade"))
        second = command.upgrade()
        assert second.code == 1
        assert f":{first.pid}" in second.error, "it says which process"
        assert "upgrades or rolls back this release" in second.error
        output, _ = first.communicate(timeout=90)
        assert first.returncode == 0, output
    assert namespace.get("lease", "spicedb-upgrade") is None


def _stops_and_goes_back(command: Command, namespace: Namespace, title: str, *arguments: str) -> Result:
    """Runs an upgrade that fails. No request fails, and the old servers serve as before."""
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load(title, address, KEY, writes=True) as load:
            result = command.upgrade(*arguments)
        assert load.succeeded()
    assert result.code == 3, result.error
    assert "The servers are back at v1.52.0" in result.error
    assert namespace.versions() == {OLD}
    return result


def test_server_that_never_turns_ready_is_rolled_back(command: Command, namespace: Namespace, postgres: None) -> None:
    command.install(OLD)
    command.write(NEW, server="extraArgs: [--dispatch-max-depth=x]")
    result = _stops_and_goes_back(command, namespace, "an upgrade with a wrong argument")
    assert 'invalid argument "x" for "--dispatch-max-depth"' in result.error
    command.write(NEW)
    assert command.upgrade().code == 0, "after the fix, the same command goes on"
    assert namespace.versions() == {NEW}


def test_permission_test_that_fails_is_rolled_back(command: Command, namespace: Namespace, postgres: None) -> None:
    command.install(OLD)
    command.write(NEW, more="test: {resource: nothing, permission: read, subject: user}")
    result = _stops_and_goes_back(command, namespace, "an upgrade with a failing permission test")
    assert "the permission test failed" in result.error


def test_failed_step_stops_if_you_ask_for_it(command: Command, namespace: Namespace, postgres: None) -> None:
    command.install(OLD)
    command.write(NEW, server="extraArgs: [--dispatch-max-depth=x]")
    result = command.upgrade("--on-failure", "stop")
    assert result.code == 4
    assert "helm rollback spicedb 1" in result.error
    assert namespace.versions() == {OLD, NEW}, "the new server stays, for you to look at"
    back = command.run("rollback", "--yes")
    assert back.code == 0, back.error
    assert namespace.versions() == {OLD}


def test_migration_that_takes_too_long_is_rolled_back(command: Command, namespace: Namespace, postgres: None) -> None:
    command.install(OLD)
    command.write(NEW)
    command.file.write_text(command.file.read_text().replace("backoffLimit: 1", "activeDeadlineSeconds: 15"))
    with postgres_locked(namespace, "alembic_version", 180):
        result = _stops_and_goes_back(command, namespace, "an upgrade behind a lock")
    assert "DeadlineExceeded" in result.error
    assert postgres_revision(namespace) != NEW_HEAD


@pytest.mark.parametrize(("during", "seconds"), [("the migration runs", 20), ("1 of 2 new servers ready", 60)])
def test_api_server_that_is_away(
    command: Command,
    namespace: Namespace,
    postgres: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    during: str,
    seconds: int,
) -> None:
    """Longer than the Lease of the upgrade lasts, which nobody else can take meanwhile."""
    command.install(OLD)
    command.write(NEW)
    with relay(namespace) as address, link(tmp_path) as proxy:
        Client(address, KEY).write()
        monkeypatch.setenv("KUBECONFIG", str(proxy.kubeconfig))
        with (
            Load("an upgrade without the API server", address, KEY, writes=True) as load,
            command.running("upgrade", *command.options()) as upgrade,
        ):
            lines = []
            assert upgrade.stdout is not None
            for line in upgrade.stdout:
                lines.append(line)
                if during in line:
                    proxy.interrupt(seconds)
                    break
            lines += list(upgrade.stdout)
            upgrade.wait(timeout=300)
        monkeypatch.undo()
        print("".join(lines))
        assert upgrade.returncode == 0
        assert load.succeeded()
    assert namespace.versions() == {NEW}


def test_question_needs_a_terminal(command: Command, namespace: Namespace, postgres: None) -> None:
    command.install(OLD)
    file = command.write(NEW)
    result = command.run("upgrade", "--file", str(file), "--no-check")
    assert result.code == 1
    assert "--yes" in result.error
    assert namespace.versions() == {OLD}
    assert namespace.get("configmap", "spicedb-upgrade") is None
