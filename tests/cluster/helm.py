"""Releases, through a Helm program."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from attrs import frozen

from cdk8s_spicedb import SpiceDBProps
from tests.charts import write_chart
from tests.synth import synth

from .cluster import Namespace, run


@frozen
class Outcome:
    """How a call of Helm ended."""

    ok: bool
    output: str
    seconds: float


class Helm:
    """One Helm program, installing charts into one namespace."""

    def __init__(self, program: str, namespace: Namespace, folder: Path) -> None:
        self.program, self._namespace, self._folder = program, namespace, folder

    def install(self, *props: SpiceDBProps, release: str = "release", timeout: int = 90) -> Outcome:
        """Installs SpiceDBs as one release and waits until they are up."""
        return self._run("install", release, self._chart(*props), f"--timeout={timeout}s", "--wait")

    def upgrade(self, *props: SpiceDBProps, release: str = "release", timeout: int = 90) -> Outcome:
        """Upgrades the release and waits until it is up."""
        return self._run("upgrade", release, self._chart(*props), f"--timeout={timeout}s", "--wait")

    def rollback(self, revision: int, release: str = "release", timeout: int = 60) -> Outcome:
        """Goes back to a revision of the release and waits until it is up."""
        return self._run("rollback", release, str(revision), f"--timeout={timeout}s", "--wait")

    def uninstall(self, release: str = "release") -> Outcome:
        """Uninstalls the release and waits until its objects are gone."""
        return self._run("uninstall", release, "--wait", "--timeout=90s")

    def _run(self, *arguments: str) -> Outcome:
        start = time.monotonic()
        done: subprocess.CompletedProcess[str] = run(
            self.program, "--namespace", self._namespace.name, *arguments, check=False
        )
        return Outcome(done.returncode == 0, done.stdout + done.stderr, time.monotonic() - start)

    def _chart(self, *props: SpiceDBProps) -> str:
        return str(write_chart(self._folder / "chart", synth(*props).objects))
