"""Extracts the commands of a documentation page, and runs them unchanged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from .cluster import Namespace
from .command import ASK_DATABASES
from .databases import POSTGRES
from .props import NEW

_SKIPPED = re.compile(r"pipx? install|kubectl (create|delete) namespace")
"""Commands that the test setup replaces."""
_ASKS_DATABASE = rf"\bcdk8s-spicedb ({'|'.join(ASK_DATABASES)})\b"


@frozen
class Shell:
    """A shell in a folder. It replaces the namespace ``authz``, and the image of the database's client, with the test's
    own."""

    namespace: Namespace
    folder: Path
    variables: Mapping[str, str] = field(factory=dict)
    """More environment variables of the commands."""

    def run(self, command: str, *, fails: bool = False) -> str:
        """Runs a command and returns its output. The command must succeed, or fail if ``fails`` is set."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        line = command.replace("--namespace authz", f"--namespace {self.namespace.name}")
        result = subprocess.run(
            re.sub(_ASKS_DATABASE, rf"\g<0> --database-image={POSTGRES.image}", line),
            shell=True,
            cwd=self.folder,
            env={**os.environ, "PATH": path, **self.variables},
            capture_output=True,
            text=True,
        )
        output = result.stdout + result.stderr
        assert (result.returncode != 0) is fails, f"{command}: {output}"
        if command.startswith("cdk8s-spicedb init"):
            use_release(self.folder)
        return output


def use_release(folder: Path, version: str = NEW) -> None:
    """Sets the release in a new ``spicedb.yaml``. The cluster may have no image of the newest release."""
    file = folder / "spicedb.yaml"
    file.write_text(re.sub(r"^version: .*", f"version: {version}", file.read_text(), flags=re.MULTILINE))


def commands(text: str) -> list[str]:
    """The indented commands of a page, and the ``helm`` commands in its console blocks."""
    text = re.sub(r"^```(?!console)\w+\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r" \\\n +", " ", text)  # a command may continue on the next line
    lines = re.findall(r"^(?:    |\$ (?=helm))(\S.*)$", text, re.MULTILINE)
    return [line for line in lines if not _SKIPPED.match(line)]
