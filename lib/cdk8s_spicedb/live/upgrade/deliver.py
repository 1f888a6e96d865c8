"""How a step reaches the cluster: with Helm or with kubectl."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from attrs import frozen

from ...errors import SpiceDBError
from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ..cluster import DEPLOYMENT, Cluster, ClusterError
from ..instance import Observed, Running
from ..observe import observe
from ..pods import Broken, container_of, restarts
from ..poll import Clock, Deadline
from ..text import first_error, redacted
from ..waiting import wait_until_settled
from ..workload import MigrationState, drain_seconds, migration_of, newest_servers, progress_of


class Notify(Protocol):
    """Gets what happens, in a few words, and the seconds that it takes at most."""

    def __call__(self, text: str, seconds_left: int | None = None) -> None: ...


def silent(text: str, seconds_left: int | None = None) -> None:
    """Tells nobody."""


class StepError(SpiceDBError):
    """A step failed. ``details`` has the output of the program that applied it. Passwords in URIs are hidden."""

    def __init__(self, reason: str, details: str = "") -> None:
        self.reason, self.details = redacted(reason), redacted(details)
        super().__init__(self.reason)


@frozen
class Deliverer(ABC):
    """Applies the steps of one release, and rolls them back."""

    cluster: Cluster
    seen: Observed
    """What ran before the step."""
    notify: Notify = silent
    """Gets the progress."""

    @property
    def running(self) -> Running:
        """The servers, as they were before the step."""
        assert self.seen.running is not None
        return self.seen.running

    @abstractmethod
    def revision(self) -> str:
        """The revision to which a rollback can return."""

    @abstractmethod
    def earlier(self) -> tuple[str, str | None] | None:
        """The newest revision before the current one that was deployed, and its version. None: there is none."""

    @abstractmethod
    def recover(self) -> None:
        """Makes the release usable after the process that changed it was killed."""

    @abstractmethod
    def apply(self, props: SpiceDBProps, label: str, number: int) -> None:
        """Applies a step, and waits until the servers are ready. Raises `StepError`."""

    def is_applied(self, label: str) -> bool:
        """Whether the step with this label was applied, and nothing after it. False if that is not known."""
        return False

    @abstractmethod
    def roll_back(self, revision: str) -> None:
        """Returns the servers to a revision, and waits until they are ready. Raises `StepError`."""

    @abstractmethod
    def test(self) -> None:
        """Runs the permission test of the release. Raises `StepError`."""

    @abstractmethod
    def roll_back_command(self, revision: str) -> str:
        """The command with which a person rolls back."""

    def looks(self) -> Callable[[], tuple[Observed, str | None]]:
        """A function that observes, reports the progress, and says why the migration, or a server of a change that
        comes after this call, can never run."""
        broken, before = Broken(), _generation(self.cluster.get(DEPLOYMENT, self.running.name))

        def look() -> tuple[Observed, str | None]:
            seen = observe(self.cluster, self.running.name, rollout=True)
            self.notify(*progress_of(seen))
            servers = newest_servers(seen) if _generation(seen.deployment) != before else ()
            return seen, broken.reason([*seen.migration_pods, *servers], seen.second)

        return look

    def watcher(self) -> Callable[[], str | None]:
        """Like `looks`, to call while a program runs: it returns only the text, and reports API errors."""
        look = self.looks()

        def watch() -> str | None:
            try:
                return look()[1]
            except ClusterError as error:
                self.notify(str(error))
            return None

        return watch

    def explanation(self) -> str:
        """Why the newest migration failed, and why new servers end. Empty if they do not, or if that may not be read:
        the failure itself must not be hidden."""
        lines: list[str] = []
        with suppress(ClusterError):
            migration = migration_of(observe(self.cluster, self.running.name))
            if migration.state is MigrationState.FAILED:
                lines += [f"Job {migration.job}: {migration.reason}", *migration.log]
            seen = observe(self.cluster, self.running.name, rollout=True)
            for pod in (each for each in newest_servers(seen) if restarts(each)):
                name = pod["metadata"]["name"]
                error = first_error(self.cluster.log(name, container_of(pod)["name"], previous=True))
                lines += [f"pod {name}: {error}"] if error else []
        return "\n".join(lines)


def _generation(deployment: Manifest | None) -> int | None:
    return deployment["metadata"]["generation"] if deployment else None


def require_settled(cluster: Cluster, running: Running, notify: Notify) -> None:
    """Waits until all servers are ready and no other one is left. Raises `StepError` if that takes too long."""
    reason = wait_until_settled(cluster, running, drain_seconds(running), notify)
    if reason is not None:
        raise StepError(f"the roll-out did not finish: {reason}")


_POLL_SECONDS, _STEP_SECONDS = 1.0, 0.1
_END_SECONDS = 20


@frozen
class Ended:
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


def run(command: Sequence[str], clock: Clock, *, watch: Callable[[], str | None] = lambda: None) -> Ended:
    """Runs a program to its end. ``watch`` is called every second; if it returns a reason, the program is stopped.

    Raises `SpiceDBError` if the program is not installed.
    """
    # A pipe could fill up, and its end is lost with this process. The program must be able to finish without it.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        except OSError as error:
            raise SpiceDBError(f"cannot run {command[0]}: {error.strerror}; install it, and add it to PATH") from None
        stopped = _wait(process, clock, watch)
        output.seek(0)
        return Ended(process.returncode == 0 and stopped is None, output.read(), stopped)


def _wait(process: subprocess.Popen[bytes], clock: Clock, watch: Callable[[], str | None]) -> str | None:
    """Waits until the program ends. Helm and kubectl have limits of their own."""
    tick = Deadline.after(clock, _POLL_SECONDS)
    while process.poll() is None:
        clock.sleep(_STEP_SECONDS)
        if tick.left or process.poll() is not None:
            continue
        tick = Deadline.after(clock, _POLL_SECONDS)
        reason = watch()
        if reason is not None:
            _end(process)
            return reason
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Lets the program end in order, and kills it if it does not."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
