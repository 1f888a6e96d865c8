"""The commands of the guides, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from cdk8s_spicedb import CleanupProps, Delivery, MigrationProps, write_helm_chart
from tests.programs import ROOT
from tests.synth import synth

from .cluster import Namespace
from .props import NEW, OLD, on_postgres

_GUIDE = ROOT / "docs" / "how-to" / "migrations.md"
_INSTALL = "helm upgrade --install spicedb chart --namespace authz --wait --timeout 90s"


def _here(command: str, namespace: Namespace) -> str:
    """A command of the guide, where its namespace and its database are those of a test."""
    command = command.replace("--namespace authz", f"--namespace {namespace.name}")
    return command.replace("deployment/postgres -- psql", "postgres -- psql --host /run/postgresql")


def test_commands_on_migrations_do_what_they_say(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def shell(command: str) -> str:
        done = subprocess.run(
            _here(command, namespace),
            shell=True,
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    migration, cleanup = MigrationProps(restart_policy="Never"), CleanupProps(enabled=False)
    for version in (OLD, NEW):
        write_helm_chart(tmp_path / "chart", on_postgres(version, migration=migration, cleanup=cleanup))
        shell(_INSTALL)
    applied = synth(on_postgres(delivery=Delivery.KUBECTL))
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "spicedb.yaml").write_text(yaml.safe_dump_all(applied.objects))
    commands = re.findall(r"^    ((?:kubectl|helm|cdk8s-spicedb) .*)$", _GUIDE.read_text(), re.MULTILINE)
    assert len(commands) > 12
    said = {command: shell(command) for command in commands}
    assert "populate-schema-tables" in next(text for command, text in said.items() if " psql " in command)
    assert namespace.get("job", "spicedb-migration") is None, "the guide deletes it, and a rollback makes none"
    assert f":{OLD}" in next(iter(namespace.servers()))["spec"]["containers"][0]["image"]
