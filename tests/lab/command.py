"""Runs ``cdk8s-spicedb`` as a program, as its users do, on the namespace of a test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from .cluster import Namespace
from .databases import MARIADB, POSTGRES

ASK_DATABASES = ("check", "install", "rollback", "upgrade")
"""Commands that start a client of the database. The cluster may have no other image of one than the server's."""
FILE = """
version: {version}
delivery: {delivery}
datastore: {{{datastore}, database: spicedb, user: spicedb, password: {{name: spicedb, key: password}}}}
presharedKey: {{name: spicedb, key: preshared-key}}
server:
  resources: {{requests: {{cpu: 50m, memory: 64Mi}}, limits: {{cpu: "2", memory: 512Mi}}}}
{server}
migration: {{{migration}}}
{more}
"""


DATASTORES = {
    "postgres": f"engine: postgres, host: {POSTGRES.name}, sslmode: disable",
    "mariadb": f"engine: mysql, host: {MARIADB.name}, tls: 'false'",
}
"""The beginning of the datastore in the file, by database."""


@frozen
class Result:
    """How a command ended."""

    code: int
    output: str
    error: str

    @property
    def json(self) -> Any:
        """The output as JSON."""
        return json.loads(self.output)


class Command:
    """The program, with a file for one SpiceDB on the PostgreSQL of the namespace."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self._namespace, self.file = namespace, folder / "spicedb.yaml"
        self.datastore = DATASTORES["postgres"]

    def write(
        self,
        version: str,
        *,
        delivery: str = "helm",
        server: str = "",
        migration: str = "restartPolicy: Never, backoffLimit: 1",
        more: str = "",
    ) -> Path:
        """Writes the file. ``server`` and ``more`` are YAML, without indentation, and ``migration`` has no braces."""
        server = "\n".join(f"  {line}" for line in server.splitlines())
        text = FILE.format(
            version=version,
            delivery=delivery,
            datastore=self.datastore,
            server=server,
            migration=migration,
            more=more,
        )
        self.file.write_text(text)
        return self.file

    def run(self, command: str, *arguments: str, seconds: float = 240) -> Result:
        """Runs a command to its end."""
        result = subprocess.run(self.line(command, *arguments), capture_output=True, text=True, timeout=seconds)
        print(result.stdout, result.stderr)
        return Result(result.returncode, result.stdout, result.stderr)

    @contextmanager
    def running(self, command: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Starts a command. Kills it at the end of the context if it still runs."""
        pipe = subprocess.PIPE
        line = self.line(command, *arguments)
        # In a group of its own, so that a test can kill Helm too.
        with subprocess.Popen(
            line, stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def upgrade(self, *arguments: str, observe: int = 2) -> Result:
        """Runs ``upgrade`` without a question, a check and a rehearsal."""
        return self.run("upgrade", *self.options(observe), *arguments)

    def options(self, observe: int = 2) -> Sequence[str]:
        """The options of `upgrade`."""
        return ("--file", str(self.file), "--yes", f"--observe={observe}s", "--no-check", "--no-rehearsal")

    def install(self, version: str, **settings: str) -> None:
        """Writes the file and installs it as its delivery does."""
        self.write(version, **settings)
        folder = self.file.parent / "install"
        assert subprocess.run([*_PROGRAM, "synth", "-f", str(self.file), "--folder", str(folder)]).returncode == 0
        if settings.get("delivery", "helm") == "helm":
            options = ("--namespace", self._namespace.name, "--wait", "--timeout", "90s")
            subprocess.run(["helm", "upgrade", "--install", "spicedb", str(folder), *options], check=True)
        else:
            self._namespace.kubectl("apply", f"--filename={folder}")
            self._namespace.kubectl("rollout", "status", "deployment/spicedb", "--timeout=90s")

    def line(self, command: str, *arguments: str) -> list[str]:
        """The command line of the program."""
        database = MARIADB if self.datastore == DATASTORES["mariadb"] else POSTGRES
        client = [f"--database-image={database.image}"] if command in ASK_DATABASES else []
        return [*_PROGRAM, command, "--namespace", self._namespace.name, *client, *arguments]


_PROGRAM = (sys.executable, "-m", "cdk8s_spicedb")
