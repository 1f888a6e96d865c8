"""Changes the schema mode with the commands of a written plan, and rolls back."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from cdk8s_spicedb import PostgreSQL, ServerProps, plan_upgrade, write_upgrade
from cdk8s_spicedb.versions import SCHEMA_MODES
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, run
from tests.lab.command import Command
from tests.lab.databases import postgres_revision
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, on_postgres

MODES = list(SCHEMA_MODES)
PLAN = plan_upgrade(PostgreSQL, OLD, NEW, schema_mode=MODES[-1])
TEAM = "definition team {}"


def _commands(readme: str) -> list[str]:
    """The commands of each step of a README, without those of the rollback."""
    sections = re.split(r"^## \d+\. .*$", readme, flags=re.MULTILINE)[1:]
    upgrades = [section.split("### Roll back")[0] for section in sections]
    return ["\n".join(re.findall(r"^    (.+)$", section, flags=re.MULTILINE)) for section in upgrades]


def _run(commands: str, folder: Path, namespace: Namespace) -> None:
    env = {"RELEASE": "release", "NAMESPACE": namespace.name}
    exports = "\n".join(f"export {name}={value}" for name, value in env.items())
    run("bash", "-euc", f"cd {folder}\n{exports}\n{commands}")


def _mode(namespace: Namespace) -> str:
    deployment = namespace.get("deployment", "spicedb")
    assert deployment
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    modes = [argument.partition("=")[2] for argument in arguments if "schema-mode" in argument]
    return modes[0] if modes else ""


def test_schema_mode_changes_and_rolls_back_with_the_readme_commands(
    helm: Helm, namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    assert helm.install(on_postgres(OLD)).ok
    folder = tmp_path / "steps"
    write_upgrade(folder, on_postgres(NEW), PLAN)
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        for mode, commands in zip(MODES, _commands((folder / "README.md").read_text()), strict=True):
            if mode == "read-new-write-both":
                client.write_schema()
            with Load(f"to {mode}", address, KEY) as load:
                _run(commands, folder, namespace)
            assert load.succeeded()
            assert _mode(namespace) == mode
            client = Client(address, KEY)
        assert postgres_revision(namespace) == NEW_HEAD
        client.write_schema(TEAM)
        revisions = {entry["chart"].rpartition("-")[2]: entry["revision"] for entry in helm.history()}
        for step, mode in ((3, MODES[2]), (2, MODES[1]), (1, MODES[0])):
            with Load(f"back to {mode}", address, KEY) as load:
                outcome = helm.rollback(revisions[f"{step}.0.0"])
            assert outcome.ok, outcome.output
            assert load.succeeded()
            assert _mode(namespace) == mode
            namespace.wait_for_terminating_servers()
            client = Client(address, KEY)
            assert TEAM in client.schema(), mode
            if mode == "read-new-write-both":
                client.write_schema(TEAM)
        with Load(f"back to {OLD}", address, KEY) as load:
            assert helm.rollback(1).ok
        assert load.succeeded()
        assert TEAM in Client(address, KEY).schema()


def test_unified_table_lacks_a_schema_that_was_not_written_to_both_tables(
    helm: Helm, namespace: Namespace, postgres: None
) -> None:
    """A plan tells users to write the schema again, because only a migration copies it, not a change of the mode."""
    server: Any = partial(ServerProps, replicas=1)
    assert helm.install(on_postgres(OLD, server=server())).ok
    with relay(namespace) as address:
        Client(address, KEY).write()
        assert helm.upgrade(on_postgres(server=server(schema_mode=MODES[0]))).ok
        namespace.wait_for_terminating_servers()
        Client(address, KEY).write_schema(TEAM)
        assert helm.upgrade(on_postgres(server=server(schema_mode=MODES[1]))).ok
        assert TEAM in Client(address, KEY).schema()
        assert helm.upgrade(on_postgres(server=server(schema_mode=MODES[2]))).ok
        namespace.wait_for_terminating_servers()
        assert TEAM not in Client(address, KEY).schema(), "if this fails, the plan no longer needs its warning"


def test_a_rollback_from_the_last_mode_needs_no_schema(command: Command, namespace: Namespace, postgres: None) -> None:
    """In that mode, SpiceDB says in other words that there is none."""
    command.install(NEW, server=f"schemaMode: {MODES[-2]}")
    command.write(NEW, server=f"schemaMode: {MODES[-1]}")
    assert command.upgrade().code == 0
    assert _mode(namespace) == MODES[-1]
    back = command.run("rollback", "spicedb", "--yes", "--file", str(command.file))
    assert (back.code, "there is no SpiceDB schema yet" in back.output) == (0, True)
    assert _mode(namespace) == MODES[-2]
