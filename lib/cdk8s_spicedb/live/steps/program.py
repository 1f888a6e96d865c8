"""Runs Helm and kubectl, and watches the cluster meanwhile."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence

from attrs import frozen

from ...errors import SpiceDBError

_POLL_SECONDS = 1.0
_END_SECONDS = 20


@frozen
class Outcome:
    """How a program ended."""

    ok: bool
    output: str
    """What it wrote to standard output and standard error."""
    stopped: str | None = None
    """Why it was stopped. None: it ended by itself."""

    @property
    def error(self) -> str:
        """The line that says what is wrong."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith(("error", "err:"))]
        return self.stopped or (errors or lines or ["it failed without a message"])[-1].strip()


def run(
    command: Sequence[str],
    *,
    watch: Callable[[], str | None] = lambda: None,
    on_start: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Runs a program to its end. ``watch`` is called every second; if it returns a reason, the program is stopped.

    ``on_start`` gets the number of the process. Raises `SpiceDBError` if the program is not installed.
    """
    # A pipe could fill up, and its end is lost with this process. The program must be able to finish without it.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        except OSError as error:
            raise SpiceDBError(f"cannot run {command[0]}: {error.strerror}; install it, and add it to PATH") from None
        on_start(process.pid)
        stopped = _wait(process, watch)
        output.seek(0)
        return Outcome(process.returncode == 0 and stopped is None, output.read(), stopped)


def _wait(process: subprocess.Popen[bytes], watch: Callable[[], str | None]) -> str | None:
    last = time.monotonic()
    while True:
        try:
            process.wait(0.1)
            return None
        except subprocess.TimeoutExpired:
            if time.monotonic() - last < _POLL_SECONDS:
                continue
        last = time.monotonic()
        reason = watch()
        if reason is not None:
            _end(process)
            return reason


def _end(process: subprocess.Popen[bytes]) -> None:
    """Lets the program end in order, and kills it if it does not."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
