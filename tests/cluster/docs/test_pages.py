"""Runs the commands of the tutorial and the guides unchanged."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from cdk8s_spicedb import CleanupProps, MigrationProps, plan_upgrade, write_helm_chart, write_upgrade
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace
from tests.lab.databases import postgres_revision
from tests.lab.props import KEY, NEW, NEW_HEAD, NEWEST, OLD, on_postgres
from tests.lab.shell import Shell, commands
from tests.pages import blocks, section
from tests.programs import ROOT

from .test_examples import connect

_TUTORIAL = ROOT / "docs" / "get-started" / "first.md"
_GUIDE = ROOT / "docs" / "upgrade" / "migrations.md"
_ROLLBACK = ROOT / "docs" / "upgrade" / "rollback.md"
_TROUBLE = ROOT / "docs" / "operate" / "troubleshoot.md"
_UPGRADE = ROOT / "docs" / "upgrade" / "unified.md"


@pytest.fixture
def zed() -> None:
    """Skips the test where no ``zed`` is on ``PATH``."""
    if not shutil.which("zed"):
        pytest.skip("zed is not on PATH")


def test_tutorial_commands_work(namespace: Namespace, zed: None, tmp_path: Path) -> None:
    namespace.kubectl("delete", "secret", "spicedb")
    shell = Shell(namespace, tmp_path)
    for name, text in zip(("postgres", "spicedb", "client"), blocks("yaml", _TUTORIAL), strict=True):
        (tmp_path / f"{name}.yaml").write_text(text)
    steps = commands(_TUTORIAL.read_text())
    broken = next(index for index, command in enumerate(steps) if "changed" in command)
    upgrade = next(command for command in steps if command.startswith("cdk8s-spicedb upgrade"))
    steps.insert(broken + 1, upgrade)
    counts = []
    for index, command in enumerate(steps):
        if "client.yaml" in command:
            _check_with_zed(namespace, tmp_path)
        output = shell.run(command, fails=index == broken + 1)
        if index != broken + 1:
            assert _lines(_shown(command)) <= _lines(output.replace(namespace.name, "authz")), command
        else:
            assert "rejects the user or the password" in output
        if command.startswith("cdk8s-spicedb rollback"):
            assert f":{OLD}" in namespace.servers()[0]["spec"]["containers"][0]["image"]
        if "uniq" in command:
            counts.append(output.split())
    assert [command.split()[1] for command in steps if command.startswith("cdk8s-spicedb")].count("upgrade") == 2
    assert [words[1:] for words in counts] == [["ok"], ["ok"]], "no check of the client failed"
    assert int(counts[1][0]) > int(counts[0][0]) > 10
    assert namespace.servers() == []


def _shown(command: str) -> str:
    """The output that the tutorial shows for a command, if any."""
    text = re.sub(r" \\\n +", " ", _TUTORIAL.read_text())
    found = re.search(rf"^    {re.escape(command)}\n\n(?:[^ `#\n].*\n)+\n```text\n((?:.*\n)*?)```$", text, re.MULTILINE)
    return found[1] if found else ""


def _lines(output: str) -> set[str]:
    """Lines without what differs between runs, and without progress, of which some may be too short to be seen."""
    text = re.sub(r"context \S+ \(\S+\)", "CONTEXT", output)
    text = re.sub(r"\d+[sm]?\b", "N", re.sub(r"-[a-z0-9]{8,10}-[a-z0-9]{5}\b", "-HASH", text))
    lines = {" ".join(line.partition("…")[0].split()) for line in text.splitlines()}
    return {line[:60] for line in lines if line and ": apply:" not in line}


def _check_with_zed(namespace: Namespace, folder: Path) -> None:
    """Runs the commands of the tutorial with zed, through the Service and not through a port-forward."""
    (block,) = (block for block in blocks("console", _TUTORIAL) if "export ZED" in block)
    (schema,) = blocks("zed", _TUTORIAL)
    (folder / "schema.zed").write_text(schema)
    steps = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
    assert len([step for step in steps if step.startswith("zed")]) == 3
    with relay(namespace) as address:
        script = "\n".join(["set -e", *steps]).replace("localhost:50051", address)
        output = Shell(namespace, folder).run(script)
    assert output.splitlines()[-1] == block.splitlines()[-1] == "true"


def test_migration_guide_commands_work(namespace: Namespace, own_postgres: None, tmp_path: Path) -> None:
    """The commands that find the reason of a failure, those of the guide, and those of a rollback."""
    shell = Shell(namespace, tmp_path)
    connect(namespace)
    migration, cleanup = MigrationProps(restart_policy="Never"), CleanupProps(enabled=False)
    for version in (OLD, NEW):
        write_helm_chart(tmp_path / "chart", on_postgres(version, migration=migration, cleanup=cleanup))
        shell.run("helm upgrade --install spicedb chart --namespace authz --wait --timeout 90s")
    sections = (
        section(_TROUBLE, "### Find the reason"),
        _GUIDE.read_text(),
        section(_ROLLBACK, "### With Helm alone"),
    )
    steps = [
        command.replace("deployment/postgres", "postgres") for section in sections for command in commands(section)
    ]
    assert len(steps) > 12
    outputs = {command: shell.run(command) for command in steps}
    assert NEW_HEAD in next(text for command, text in outputs.items() if " psql " in command)
    assert postgres_revision(namespace) == NEW_HEAD
    assert f":{OLD}" in namespace.servers()[0]["spec"]["containers"][0]["image"]
    for command, text in outputs.items():
        if " secret " in command:
            assert "datastore-uri" in text
            assert "postgresql:" not in text, "the output contains the keys but no values"


def test_migrate_by_hand_commands_work(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    shell = Shell(namespace, tmp_path)
    write_helm_chart(tmp_path / "chart", on_postgres(OLD))
    shell.run("helm install spicedb chart --namespace authz --wait --timeout 90s")
    write_helm_chart(tmp_path / "chart", on_postgres(NEW))
    steps = commands(section(_GUIDE, "## Migrate by hand"))
    assert steps[-1].startswith("helm upgrade")
    outputs = [shell.run(step) for step in steps[:-1]]
    assert postgres_revision(namespace) == NEW_HEAD
    assert f'"to":"{NEW_HEAD}"' in "".join(outputs), "the log of the Job"
    assert "migrating postgres datastore" not in shell.run(steps[-1]), "the release does not migrate"
    assert f":{NEW}" in namespace.servers()[0]["spec"]["containers"][0]["image"]


def test_phased_upgrade_commands_work(zed: None, namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    shell = Shell(namespace, tmp_path)
    write_helm_chart(tmp_path / "chart", on_postgres(OLD))
    shell.run("helm install spicedb chart --namespace authz --wait --timeout 90s")
    props = on_postgres(NEWEST)
    write_upgrade(
        tmp_path / "upgrade", props, plan_upgrade(props.datastore, OLD, NEWEST, schema_mode="read-new-write-new")
    )
    steps = commands(_UPGRADE.read_text())
    assert [step.startswith("helm upgrade") for step in steps].count(True) == 4
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        with Load("an upgrade in phases", address, KEY) as load:
            variables = {"ZED_ENDPOINT": address, "ZED_INSECURE": "true", "ZED_TOKEN": KEY}
            for step in steps:
                Shell(namespace, tmp_path, variables).run(step)
        assert load.succeeded()
    (arguments,) = {tuple(pod["spec"]["containers"][0]["args"]) for pod in namespace.servers()}
    assert "--experimental-schema-mode=read-new-write-new" in arguments
