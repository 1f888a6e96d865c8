"""The commands of the tutorial and of the guides, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from attrs import frozen

from cdk8s_spicedb import CleanupProps, Delivery, MigrationProps, write_helm_chart
from tests.programs import ROOT
from tests.synth import synth

from .cluster import Namespace
from .databases import postgres_revision
from .props import NEW, NEW_HEAD, OLD, on_postgres

_TUTORIAL = ROOT / "docs" / "tutorial" / "first.md"
_GUIDE = ROOT / "docs" / "how-to" / "migrations.md"
_ELSEWHERE = re.compile(r"pip install|kubectl (create|delete) namespace")
"""What a test has already, or does itself."""


@frozen
class Shell:
    """A shell in a folder, whose ``authz`` is the namespace of the test."""

    namespace: Namespace
    folder: Path

    def run(self, command: str, *, fails: bool = False) -> str:
        """What a command prints; it is an error unless it ends as it should."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            command.replace("--namespace authz", f"--namespace {self.namespace.name}"),
            shell=True,
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        output = done.stdout + done.stderr
        assert (done.returncode != 0) is fails, f"{command}: {output}"
        return output


def _commands(page: Path) -> list[str]:
    """The indented commands of a page, and those in its consoles that begin with helm."""
    text = re.sub(r"^```(?!console)\w+\n.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^(?:    |\$ (?=helm))(\S.*)$", text, re.MULTILINE)
    return [line for line in lines if not _ELSEWHERE.match(line)]


def test_the_tutorial_goes_as_it_says(namespace: Namespace, tmp_path: Path) -> None:
    namespace.kubectl("delete", "secret", "spicedb")
    shell = Shell(namespace, tmp_path)
    (manifests,) = re.findall(r"^```yaml\n(.*?)^```", _TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    assert manifests == (ROOT / "examples" / "postgres.yaml").read_text()
    (tmp_path / "postgres.yaml").write_text(manifests)
    commands = _commands(_TUTORIAL)
    broken = next(index for index, command in enumerate(commands) if "changed" in command)
    failing = next(index for index in range(broken, len(commands)) if commands[index].startswith("helm upgrade"))
    for index, command in enumerate(commands):
        output = shell.run(command, fails=index == failing)
        if index == failing:
            assert "password authentication failed" in output
        if command.startswith("helm rollback"):
            assert f":{OLD}" in namespace.servers()[0]["spec"]["containers"][0]["image"]
    assert [command.split()[0] for command in commands].count("helm") == 8
    assert namespace.servers() == []


def test_commands_on_migrations_do_what_they_say(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    shell = Shell(namespace, tmp_path)
    migration, cleanup = MigrationProps(restart_policy="Never"), CleanupProps(enabled=False)
    for version in (OLD, NEW):
        write_helm_chart(tmp_path / "chart", on_postgres(version, migration=migration, cleanup=cleanup))
        shell.run("helm upgrade --install spicedb chart --namespace authz --wait --timeout 90s")
    applied = synth(on_postgres(delivery=Delivery.KUBECTL))
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "spicedb.yaml").write_text(yaml.safe_dump_all(applied.objects))
    commands = [command.replace("deployment/postgres", "postgres") for command in _commands(_GUIDE)]
    assert len(commands) > 12
    said = {command: shell.run(command) for command in commands}
    assert NEW_HEAD in next(text for command, text in said.items() if " psql " in command)
    assert postgres_revision(namespace) == NEW_HEAD
    assert namespace.get("job", "spicedb-migration") is None, "the guide deletes it, and a rollback makes none"
    assert f":{OLD}" in namespace.servers()[0]["spec"]["containers"][0]["image"]
