"""Helm releases in the test's namespace."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from cdk8s_spicedb import SpiceDBProps
from tests.charts import write_chart
from tests.synth import synth

from .cluster import Namespace, Object, run


@frozen
class Outcome:
    """Outcome of a Helm command."""

    ok: bool
    output: str
    seconds: float


class Helm:
    """One Helm program and one namespace."""

    def __init__(self, program: str, namespace: Namespace, folder: Path) -> None:
        self.program, self._namespace, self._folder = program, namespace, folder

    def install(self, *props: SpiceDBProps, release: str = "release", timeout: int = 90) -> Outcome:
        """Installs one or more SpiceDBs as one release, and waits until they are ready."""
        return self._run("install", release, self.chart(*props), f"--timeout={timeout}s", "--wait")

    def upgrade(
        self, *props: SpiceDBProps, extra: Sequence[Object] = (), release: str = "release", timeout: int = 90
    ) -> Outcome:
        """Upgrades the release, and waits until it is ready."""
        return self._run("upgrade", release, self.chart(*props, extra=extra), f"--timeout={timeout}s", "--wait")

    @contextmanager
    def upgrading(
        self,
        *props: SpiceDBProps,
        extra: Sequence[Object] = (),
        release: str = "release",
        arguments: Sequence[str] = ("--timeout=90s",),
    ) -> Iterator[subprocess.Popen[str]]:
        """Starts an upgrade. Kills it at the end of the context if it still runs."""
        command = ("upgrade", release, self.chart(*props, extra=extra), "--wait", *arguments)
        with self._namespace.background(*command, program=self.program) as process:
            yield process

    def rollback(self, revision: int, release: str = "release", timeout: int = 60) -> Outcome:
        """Rolls the release back to a revision, and waits until it is ready."""
        return self._run("rollback", release, str(revision), f"--timeout={timeout}s", "--wait")

    def test(self, release: str = "release") -> Outcome:
        """Runs the tests of the release (``helm test``)."""
        return self._run("test", release, "--timeout=120s")

    def uninstall(self, release: str = "release") -> Outcome:
        """Uninstalls the release, and waits until its objects are deleted."""
        return self._run("uninstall", release, "--wait", "--timeout=90s")

    def history(self, release: str = "release") -> list[dict[str, Any]]:
        """The revisions of the release, oldest first."""
        found: list[dict[str, Any]] = json.loads(self._run("history", release, "--output=json").output)
        return found

    def _run(self, *arguments: str) -> Outcome:
        start = time.monotonic()
        result: subprocess.CompletedProcess[str] = run(
            self.program, "--namespace", self._namespace.name, *arguments, check=False
        )
        return Outcome(result.returncode == 0, result.stdout + result.stderr, time.monotonic() - start)

    def chart(self, *props: SpiceDBProps, extra: Sequence[Object] = ()) -> str:
        """Writes a chart of SpiceDBs and extra objects, and returns its folder."""
        return str(write_chart(self._folder / uuid.uuid4().hex, [*synth(*props).objects, *extra]))
