"""Programs that run while tests need them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

from tests.lab.cluster import wait

_running: list[Program] = []


@frozen
class Program:
    """A program that runs in the background, and its log."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def wait_for_port(self, port: int, seconds: float = 120) -> None:
        """Waits until the program listens on a local port. Fails at once if the program ends."""

        def listens() -> bool:
            assert self.process.poll() is None, self.end_of_log()
            return accepts_connections(port)

        wait(f"{self.name} to listen on port {port}", listens, seconds)

    def end_of_log(self, lines: int = 40) -> str:
        """The last lines of the log, and how the program ended if it did."""
        code = self.process.poll()
        state = "runs" if code is None else f"ended with {code}"
        return "\n".join([f"{self.name} {state}", *self.log.read_text(errors="replace").splitlines()[-lines:]])


def require_programs(*names: str) -> None:
    """Skips the test if a program is not on PATH."""
    missing = [name for name in names if not shutil.which(name)]
    if missing:
        pytest.skip(f"not on PATH: {', '.join(missing)}")


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def accepts_connections(port: int) -> bool:
    """Whether a program listens on a local port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@contextmanager
def running(
    *command: str, folder: Path, name: str | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """Runs a program from PATH until the context ends.

    Its log is a file in the folder. ``name`` names the program and its log. ``env`` adds variables.
    """
    name = name or command[0]
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C reaches only pytest, which stops the programs in their order.
            start_new_session=True,
        )
    program = Program(name, log, process)
    _running.append(program)
    try:
        yield program
    finally:
        _running.remove(program)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ends_of_logs() -> str:
    """The ends of the logs of all programs that run now, for the report of a failed test."""
    return "\n\n".join(program.end_of_log() for program in _running)
