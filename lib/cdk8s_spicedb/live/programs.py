"""Runs Helm and kubectl: on the same cluster as this process, with a limit of time, and their output apart."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from attrs import frozen

from ..errors import SpiceDBError
from .apierror import SHAPE
from .cluster import Cluster
from .poll import Clock, Deadline, poll
from .text import redacted

_LOG = logging.getLogger(__name__)
QUERY_SECONDS = 60
"""Time for a program that only asks."""
_DROPPED = ("HELM_DEBUG", "HELM_DRIVER", "HELM_NAMESPACE", "KUBERNETES_MASTER")
"""Variables that send Helm or kubectl to other objects than the options say, or change what they print. So do all that
begin with ``HELM_KUBE``."""
_KUBERC = {"KUBERC": "off", "KUBECTL_KUBERC": "false"}
"""Without the defaults for options that somebody can set for kubectl in ``~/.kube/kuberc``."""
_WATCH_SECONDS, _STEP_SECONDS = 1.0, 0.1
_END_SECONDS = 20
_START_SECONDS = 20
_MOST_BYTES = 4 << 20


@frozen
class Ended:
    """How a program ended."""

    ok: bool
    stdout: str
    """What it wrote to standard output."""
    stderr: str = ""
    """What it wrote to standard error."""
    stopped: str | None = None
    """Why it was stopped. None: it ended by itself."""

    @property
    def output(self) -> str:
        """Everything that it wrote. First what it wrote to standard output."""
        return "\n".join(part.rstrip("\n") for part in (self.stdout, self.stderr) if part.strip())

    @property
    def error(self) -> str:
        """The line that says what is wrong."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith(("error", "err:"))]
        return self.stopped or (errors or lines or ["it failed without a message"])[-1].strip()

    def json(self) -> Any:
        """Its standard output as JSON. None if it is not JSON, or if the program failed."""
        if not self.ok:
            return None
        try:
            return json.loads(self.stdout)
        except SHAPE:
            return None


def helm(cluster: Cluster, *arguments: str) -> list[str]:
    """A command line of Helm for the cluster and its namespace."""
    return ["helm", *arguments, "--namespace", cluster.namespace, *_context(cluster, "--kube-context")]


def kubectl(cluster: Cluster, *arguments: str) -> list[str]:
    """A command line of kubectl for the cluster and its namespace. What follows ``--`` is for another program."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = ["--namespace", cluster.namespace, *_context(cluster, "--context")]
    return ["kubectl", *arguments[:end], *options, *arguments[end:]]


def _context(cluster: Cluster, option: str) -> list[str]:
    return [option, cluster.kubeconfig.name] if cluster.kubeconfig else []


def environment(cluster: Cluster) -> dict[str, str]:
    """The variables with which a program finds the same cluster as this process, whatever somebody changes."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HELM_KUBE") and key not in _DROPPED}
    own = {"KUBECONFIG": str(cluster.kubeconfig.write())} if cluster.kubeconfig else {}
    return {**kept, **_KUBERC, **own}


def run(
    command: Sequence[str],
    cluster: Cluster,
    *,
    seconds: float = QUERY_SECONDS,
    watch: Callable[[], str | None] = lambda: None,
) -> Ended:
    """Runs a program, at most for so many seconds. ``watch`` is called every second; if it returns a reason, or raises
    an error, the program is stopped.

    Raises `SpiceDBError` if the program is not installed.
    """
    return _run(command, environment(cluster), cluster.clock, seconds, watch)


def run_foreign(command: Sequence[str], given: Mapping[str, str], *, clock: Clock, seconds: float) -> Ended:
    """Runs a program of the user, with the user's own variables and more that are given. If it must be stopped, so are
    the programs that it has started.

    Raises `SpiceDBError` if the program is not installed.
    """
    return _run(command, {**os.environ, **given}, clock, seconds, group=True)


def _run(
    command: Sequence[str],
    env: Mapping[str, str],
    clock: Clock,
    seconds: float,
    watch: Callable[[], str | None] = lambda: None,
    *,
    group: bool = False,
) -> Ended:
    _log(command)
    # A pipe could fill up, and its end is lost with this process. The program must be able to finish without it.
    with _file() as stdout, _file() as stderr:
        process = _start(command, env, stdout, stderr, group=group)
        try:
            stopped = _wait(process, clock, seconds, watch)
            if stopped is not None:
                _end(process, group=group)
        except BaseException:
            _end(process, group=group)
            raise
        return Ended(process.returncode == 0 and stopped is None, _text(stdout), _text(stderr), stopped)


@frozen
class Program:
    """A program that runs."""

    printed: re.Match[str]
    """What it has printed."""
    _process: subprocess.Popen[bytes]
    _stdout: IO[str]

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def output(self, most: int) -> str:
        """What it has written to standard output: at most the last so many bytes."""
        return _text(self._stdout, most)


_GUARD = """
exec 3<&0
"$@" <&3 3<&- &
program=$!
{ cat <&3 >/dev/null; kill "$program"; } 2>/dev/null &
wait "$program"
"""
"""Runs a program until its standard input is closed, which happens even if this process is killed."""


@contextmanager
def running(command: Sequence[str], cluster: Cluster, *, until: re.Pattern[str]) -> Iterator[Program]:
    """Runs a program until the context ends, or this process does. Yields as soon as it has printed what matches.

    Raises `SpiceDBError` if the program ends before, or if it is not installed.
    """
    _require_installed(command[0])
    _log(command)
    guarded = ["sh", "-c", _GUARD, "guard", *command]
    with _file() as stdout, _file() as stderr:
        process = _start(guarded, environment(cluster), stdout, stderr, stdin=subprocess.PIPE)
        assert process.stdin is not None
        try:
            found = poll(
                lambda: until.search(_text(stdout)),
                until=lambda each: each is not None or process.poll() is not None,
                seconds=_START_SECONDS,
                clock=cluster.clock,
                every=_STEP_SECONDS,
            )
            if found is None:
                raise SpiceDBError(f"{command[0]} failed: {Ended(False, _text(stdout), _text(stderr)).error}")
            yield Program(found, process, stdout)
        finally:
            process.stdin.close()
            _end_of(process)


def _log(command: Sequence[str]) -> None:
    """Logs which program is started. The arguments of a program of the user may be secret."""
    own = command[0] in ("helm", "kubectl")
    _LOG.debug("starts %s", redacted(shlex.join(command)) if own else Path(command[0]).name)


def _file() -> IO[str]:
    try:
        return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
    except OSError as error:
        raise SpiceDBError(f"cannot write a temporary file: {error}; set TMPDIR to a folder with free space") from None


def _require_installed(program: str) -> None:
    if shutil.which(program) is None:
        raise _cannot_run(program, os.strerror(errno.ENOENT))


def _cannot_run(program: str, reason: str | None) -> SpiceDBError:
    return SpiceDBError(f"cannot run {program}: {reason}; install it, and add it to PATH")


def _start(
    command: Sequence[str],
    env: Mapping[str, str],
    stdout: IO[str],
    stderr: IO[str],
    stdin: int = subprocess.DEVNULL,
    *,
    group: bool = False,
) -> subprocess.Popen[bytes]:
    """Starts a program. With ``group``, it is in a group of processes of its own."""
    try:
        return subprocess.Popen(command, env=env, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=group)
    except OSError as error:
        raise _cannot_run(command[0], error.strerror) from None


def _text(file: IO[str], most: int = _MOST_BYTES) -> str:
    """The text of a file, without its beginning if it is very long."""
    size = os.fstat(file.fileno()).st_size
    # The program shares the position in the file, so it must not move while the program writes.
    return os.pread(file.fileno(), most, max(size - most, 0)).decode(errors="replace")


def _wait(
    process: subprocess.Popen[bytes], clock: Clock, seconds: float, watch: Callable[[], str | None]
) -> str | None:
    """Waits until the program ends. Returns why it must be stopped."""
    deadline, tick = Deadline.after(clock, seconds), Deadline.after(clock, _WATCH_SECONDS)
    while process.poll() is None:
        clock.sleep(_STEP_SECONDS)
        if not deadline.left:
            return f"it has not ended within {seconds:.0f} s"
        if tick.left or process.poll() is not None:
            continue
        tick = Deadline.after(clock, _WATCH_SECONDS)
        reason = watch()
        if reason is not None:
            return reason
    return None


def _end(process: subprocess.Popen[bytes], *, group: bool = False) -> None:
    """Lets the program end in order, and kills it if it does not. With ``group``, also what it has started."""
    if process.poll() is None:
        # What a shell runs in the background ignores SIGINT.
        _signal(process, signal.SIGTERM if group else signal.SIGINT, group)
        _end_of(process, group=group)


def _end_of(process: subprocess.Popen[bytes], *, group: bool = False) -> None:
    """Waits for the end of a program, and kills it if it does not end."""
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL, group)
        process.wait()
    if group:
        with suppress(ProcessLookupError):  # What the program has started may ignore the first signal.
            _signal(process, signal.SIGKILL, group)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals, group: bool) -> None:
    if group:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
