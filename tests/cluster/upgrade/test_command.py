"""``upgrade`` and ``rollback`` on a live release, while clients check permissions and write."""

from __future__ import annotations

from pathlib import Path

import yaml

from cdk8s_spicedb.versions import SCHEMA_MODES
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace
from tests.lab.command import Command
from tests.lab.databases import postgres_revision
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD

LAST = list(SCHEMA_MODES)[-1]
TEAM = "definition team {}"


def mode(namespace: Namespace) -> str:
    """The schema mode of the servers. Empty: SpiceDB's default."""
    deployment = namespace.get("deployment", "spicedb")
    assert deployment
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    return next((value.partition("=")[2] for value in arguments if "schema-mode" in value), "")


def test_one_command_goes_to_the_last_schema_mode_and_back(
    command: Command, namespace: Namespace, postgres: None
) -> None:
    command.install(OLD)
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        file = command.write(NEW, server=f"schemaMode: {LAST}")
        with Load("upgrade in four steps", address, KEY, writes=True) as load:
            result = command.upgrade()
        assert result.code == 0, result.error
        assert load.succeeded()
        assert (namespace.versions(), mode(namespace)) == ({NEW}, LAST)
        assert postgres_revision(namespace) == NEW_HEAD
        client = Client(address, KEY)
        client.write_schema(TEAM)
        refused = command.run("rollback", "--yes")
        assert refused.code == 1
        assert "--file" in refused.error
        for expected in list(SCHEMA_MODES)[2:0:-1]:
            with Load(f"back to {expected}", address, KEY, writes=True) as load:
                back = command.run("rollback", "--yes", "--file", str(file))
            assert back.code == 0, back.error
            assert load.succeeded()
            assert mode(namespace) == expected
            assert TEAM in Client(address, KEY).schema(), expected


def test_kubectl_release_upgrades_and_rolls_back(command: Command, namespace: Namespace, postgres: None) -> None:
    command.install(OLD, delivery="kubectl")
    with relay(namespace) as address:
        Client(address, KEY).write()
        command.write(NEW, delivery="kubectl")
        with Load("upgrade with kubectl", address, KEY, writes=True) as load:
            result = command.upgrade()
        assert result.code == 0, result.error
        assert load.succeeded()
        assert namespace.versions() == {NEW}
        assert postgres_revision(namespace) == NEW_HEAD
        with Load("rollback with kubectl", address, KEY, writes=True) as load:
            back = command.run("rollback", "--yes")
        assert back.code == 0, back.error
        assert load.succeeded()
        assert namespace.versions() == {OLD}


def test_a_migration_with_the_release_upgrades_and_rolls_back(
    command: Command, namespace: Namespace, postgres: None
) -> None:
    """Helm creates the older migration again in a rollback. It cannot work, so it must not be left."""
    command.install(OLD, migration="hook: false")
    with relay(namespace) as address:
        Client(address, KEY).write()
        file = command.write(NEW, migration="hook: false")
        with Load("upgrade whose migration is no hook", address, KEY, writes=True) as load:
            result = command.upgrade()
        assert result.code == 0, result.error
        assert load.succeeded()
        assert namespace.versions() == {NEW}
        assert postgres_revision(namespace) == NEW_HEAD
        same = command.run("diff", "--file", str(file))
        assert same.code == 0, same.error
        changed = [line for line in same.output.splitlines() if "Job " in line]
        assert not changed, "Helm gives the Job the name that the package computes"
        with Load("rollback whose migration is no hook", address, KEY, writes=True) as load:
            back = command.run("rollback", "--yes")
        assert back.code == 0, back.error
        assert load.succeeded()
        assert namespace.versions() == {OLD}
        assert namespace.list("jobs") == [], "the older migration is deleted"
    status = command.run("status", "--output", "json").json
    assert status["migration"]["state"] == "none"


def test_commits_go_step_by_step(command: Command, namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    """The commits are applied with kubectl here, as Flux does."""
    command.install(OLD, delivery="kubectl")
    file, folder = command.write(NEW, delivery="kubectl", server=f"schemaMode: {LAST}"), tmp_path / "step"
    write = ("upgrade", "--file", str(file), "--write", str(folder), "--no-check")
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("upgrade by commits", address, KEY, writes=True) as load:
            for number in range(1, 5):
                written = command.run(*write)
                assert written.code == 0, written.error
                assert f"step {number} of 4" in written.output
                if number == 1:
                    early = command.run(*write)
                    assert early.code == 1
                    assert "is not done" in early.error
                manifests = list(yaml.safe_load_all((folder / "spicedb.k8s.yaml").read_text()))
                namespace.kubectl("apply", "--filename=-", text=yaml.safe_dump_all(manifests))
                namespace.kubectl("rollout", "status", "deployment/spicedb", "--timeout=90s")
                namespace.wait_for_terminating_servers()
        assert load.succeeded()
        assert mode(namespace) == LAST
        assert "All steps are done" in command.run(*write).output
