"""The commands of a page, and a shell that runs them as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from attrs import frozen

from .cluster import Namespace

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


def commands(text: str) -> list[str]:
    """The indented commands of a text, and those in its consoles that begin with helm."""
    text = re.sub(r"^```(?!console)\w+\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r" \\\n +", " ", text)  # a command may go on in the next line
    lines = re.findall(r"^(?:    |\$ (?=helm))(\S.*)$", text, re.MULTILINE)
    return [line for line in lines if not _ELSEWHERE.match(line)]
