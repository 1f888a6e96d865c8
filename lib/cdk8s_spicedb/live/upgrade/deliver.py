"""How a step reaches the cluster: with Helm or with kubectl."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from attrs import field, frozen

from ...errors import SpiceDBError
from ...labels import JOB_NAME, POD_TEMPLATE_HASH, Component, selector_text
from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ..cluster import DEPLOYMENT, POD, REPLICA_SET, Cluster, ClusterError, items_of
from ..instance import Running, require_running, revision_of
from ..text import first_error, redacted
from ..workload import Broken, MigrationState, drain_seconds, find_migration, seconds_left, settled, wait_until_settled

Notify = Callable[[str], None]


class StepError(SpiceDBError):
    """A step failed. ``details`` has the output of the program that applied it. Passwords in URIs are hidden."""

    def __init__(self, reason: str, details: str = "") -> None:
        self.reason, self.details = redacted(reason), redacted(details)
        super().__init__(self.reason)


@frozen
class Deliverer(ABC):
    """Applies the steps of one release, and rolls them back."""

    cluster: Cluster
    running: Running
    """The servers, as they were before the upgrade."""
    notify: Notify = field(default=lambda _: None)
    """Gets the progress, in a few words."""

    @abstractmethod
    def revision(self) -> str:
        """The revision to which a rollback can return."""

    @abstractmethod
    def earlier(self) -> tuple[str, str | None] | None:
        """The revision before the current one that was deployed, and its SpiceDB release, if that is known. None if
        there is no such revision."""

    @abstractmethod
    def recover(self, process: str | None) -> None:
        """Makes the release usable after the process that changed it was killed."""

    @abstractmethod
    def apply(self, props: SpiceDBProps, label: str, number: int, on_start: Callable[[int], None]) -> None:
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

    def watcher(self) -> Callable[[], str | None]:
        """A function that reports progress, and returns why the migration or a new server can never run."""
        broken, generation = Broken(), self._generation()

        def watch() -> str | None:
            try:
                self.notify(progress(self.cluster, self.running))
                changed = self._generation() != generation
                return broken.reason([*self._migration_pods(), *(self._newest_servers() if changed else ())])
            except ClusterError as error:
                self.notify(str(error))
            return None

        return watch

    def explanation(self) -> str:
        """Why the newest migration failed, and why new servers end. Empty if they do not."""
        migration = find_migration(self.cluster, self.running.name)
        failed = migration.state is MigrationState.FAILED
        lines = [f"Job {migration.job}: {migration.reason}", *migration.log] if failed else []
        for pod in self._newest_servers():
            name, container = pod["metadata"]["name"], pod["spec"]["containers"][0]["name"]
            if any(status.get("restartCount") for status in items_of(pod, "status", "containerStatuses")):
                error = first_error(self.cluster.log(name, container, previous=True))
                lines += [f"pod {name}: {error}"] if error else []
        return "\n".join(lines)

    def _generation(self) -> int | None:
        deployment = self.cluster.get(DEPLOYMENT, self.running.name)
        return int(deployment["metadata"]["generation"]) if deployment else None

    def _migration_pods(self) -> list[Manifest]:
        return self.cluster.find(POD, labels=selector_text(self.running.name, Component.MIGRATION))

    def _newest_servers(self) -> list[Manifest]:
        """The servers on the newest pod template."""
        labels = selector_text(self.running.name, Component.SERVER)
        sets = self.cluster.find(REPLICA_SET, labels=labels)
        newest = max(sets, key=lambda each: int(revision_of(each)))
        template = newest["metadata"]["labels"][POD_TEMPLATE_HASH]
        return self.cluster.find(POD, labels=f"{labels},{POD_TEMPLATE_HASH}={template}")


def progress(cluster: Cluster, running: Running) -> str:
    """What happens at the moment, in a few words."""
    migration = find_migration(cluster, running.name)
    if migration.state is MigrationState.RUNNING:
        details, left = migration.reason or "".join(migration.log[-1:]), seconds_left(migration)
        limit = f", at most {left} s more" if left is not None else ""
        return f"the migration runs{limit}{f': {details}' if details else ''}"
    return settled(cluster, running) or "all running servers are ready"


def require_settled(cluster: Cluster, name: str, notify: Notify) -> None:
    """Waits until all servers are ready and no other one is left. Raises `StepError` if that takes too long."""
    running = require_running(cluster, name)
    reason = wait_until_settled(cluster, running, drain_seconds(running), notify)
    if reason is not None:
        raise StepError(f"the roll-out did not finish: {reason}")


def finished(job: Manifest) -> str | None:
    """``Complete`` or ``Failed``. None while the Job runs."""
    conditions = items_of(job, "status", "conditions")
    return next((c["type"] for c in conditions if c["type"] in ("Complete", "Failed") and c["status"] == "True"), None)


def job_log(cluster: Cluster, job: Manifest, lines: int) -> str:
    """The last lines of the log of a Job's newest pod."""
    pods = cluster.find(POD, labels=f"{JOB_NAME}={job['metadata']['name']}")
    if not pods:
        return ""
    pod = max(pods, key=lambda each: str(each["metadata"]["creationTimestamp"]))
    container = pod["spec"]["containers"][0]["name"]
    return cluster.log(pod["metadata"]["name"], container, tail=lines).strip()


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
