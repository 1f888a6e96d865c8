"""Helm releases, through Helm's own program."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from ...errors import SpiceDBError
from ...helm import write_helm_chart
from ...props import SpiceDBProps
from ..cluster import (
    SECRET,
    ClusterError,
    Unreachable,
)
from ..instance import HelmRelease
from ..observe import observe
from ..poll import Deadline, poll
from ..released import helm_releases
from ..workload import MigrationState, drain_seconds, migration_of, progress_of
from .deliver import Deliverer, Ended, StepError, run

_ATTEMPTS = 3
_OUTAGE = ("dial tcp", "connection refused", "connection reset", "unreachable", "EOF", "TLS handshake", "i/o timeout")
_OUTAGE_SECONDS = 300
_UNKNOWN_PROCESS_SECONDS = 60
_LONGEST_SECONDS = 3600
"""How long to wait for a Helm that was left behind, as long as something changes."""
_PENDING_SECONDS = 2


class HelmDeliverer(Deliverer):
    """Runs ``helm upgrade`` and ``helm rollback``."""

    @property
    def release(self) -> str:
        """The name of the Helm release."""
        return self.running.applied_as or self.running.name

    def revisions(self) -> list[HelmRelease]:
        """The revisions of the release, oldest first."""
        return helm_releases(self.cluster, self.release)

    def revision(self) -> str:
        deployed = [revision for revision in self.revisions() if revision.status == "deployed"]
        if not deployed:
            raise SpiceDBError(f"the Helm release {self.release} has no deployed revision; see `helm history`")
        return str(deployed[-1].revision)

    def earlier(self) -> tuple[str, str | None] | None:
        older = [str(each.revision) for each in self.revisions() if each.status == "superseded"]
        return (older[-1], self.version_of(older[-1])) if older else None

    def recover(self) -> None:
        """See `Deliverer.recover`. Helm refuses to work on a release while one of its revisions is pending."""
        if self._pending() is not None:
            self._wait_for_unknown_process()
            self._unlock()

    def _unlock(self) -> None:
        revision = self._pending()
        if revision is not None:
            # What the next upgrade compares with is then the revision that was deployed last.
            self.notify(f"Helm was killed; removing its unfinished revision {revision.revision}")
            self.cluster.delete(SECRET, revision.secret)

    def _pending(self) -> HelmRelease | None:
        revisions = self.revisions()
        return revisions[-1] if revisions and revisions[-1].status.startswith("pending-") else None

    def _wait_for_unknown_process(self) -> None:
        """A Helm that was left behind may still run. It has ended if no migration runs and nothing changes for a
        while. Raises `StepError` if it never ends."""
        last, since = "", Deadline.after(self.cluster.clock, _UNKNOWN_PROCESS_SECONDS)

        def is_over() -> bool:
            nonlocal last, since
            seen = observe(self.cluster, self.running.name, rollout=True)
            state, _ = progress_of(seen)
            if state != last or migration_of(seen).state is MigrationState.RUNNING:
                last, since = state, Deadline.after(self.cluster.clock, _UNKNOWN_PROCESS_SECONDS)
            self.notify("Helm may still be running; waiting to see whether anything changes")
            return not since.left or self._pending() is None

        clock = self.cluster.clock
        if not poll(is_over, until=bool, seconds=_LONGEST_SECONDS, clock=clock, every=_PENDING_SECONDS):
            raise StepError(f"another Helm has worked on the release for more than {_LONGEST_SECONDS // 60} min")

    def apply(self, props: SpiceDBProps, label: str, number: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            chart = Path(folder) / "chart"
            write_helm_chart(chart, props, version=f"{number}.0.0")
            command = ["upgrade", self.release, str(chart), "--description", label, *self._values()]
            self._run([*command, *_wait(self._timeout(props))], label)

    def _timeout(self, props: SpiceDBProps) -> int:
        """Seconds after which Helm gives up: the time of the migration, or that of all servers one after the other."""
        each = drain_seconds(self.running) + 120
        return max(props.migration.active_deadline_seconds + 60, each * max(props.max_replicas, 1))

    def _values(self) -> list[str]:
        """Keeps values that somebody set at install time, above the new chart's defaults."""
        outcome = self._helm(["get", "values", self.release, "--output", "json"])
        values = json.loads(outcome.output) if outcome.ok else None
        if not values:
            return []
        self.notify(f"the release keeps its own values: {', '.join(sorted(values))}")
        return ["--reset-then-reuse-values"]

    def _run(self, command: list[str], label: str) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            outcome = self._helm(command, watched=True)
            if outcome.ok or self.is_applied(label):
                return
            if attempt == _ATTEMPTS or not self._lost_connection(outcome):
                # Of a Helm that was stopped, the output says only that.
                output = "" if outcome.stopped else outcome.output
                raise StepError(f"helm {command[0]}: {outcome.error}", f"{output}\n{self.explanation()}")
            self.notify("Helm lost the connection to the API server; running it again")
            self._unlock()

    def _lost_connection(self, outcome: Ended) -> bool:
        """Whether the API server was away. Waits until it is back."""
        try:
            self.cluster.patient(0).find_metadata(SECRET, labels="owner=helm,name=none")
            away = False
        except Unreachable:
            away = True
        except ClusterError:
            away = False
        if away:
            self.cluster.patient(_OUTAGE_SECONDS).find_metadata(SECRET, labels="owner=helm,name=none")
        return away or any(sign in outcome.error for sign in _OUTAGE)

    def is_applied(self, label: str) -> bool:
        """See `Deliverer.is_applied`: whether the newest revision is deployed, and has this description."""
        revisions = self.revisions()
        if not revisions or revisions[-1].status != "deployed":
            return False
        outcome = self._helm(["history", self.release, "--max", "1", "--output", "json"])
        return outcome.ok and bool(json.loads(outcome.output)[-1]["description"] == label)

    def version_of(self, revision: str) -> str | None:
        """The SpiceDB version of a revision (``appVersion`` of its chart)."""
        outcome = self._helm(["history", self.release, "--output", "json"])
        found = (
            {str(each["revision"]): each["app_version"] for each in json.loads(outcome.output)} if outcome.ok else {}
        )
        return found.get(revision) or None

    def roll_back(self, revision: str) -> None:
        timeout = (drain_seconds(self.running) + 120) * max(self.running.replicas, 1)
        self._unlock()
        outcome = self._helm(["rollback", self.release, revision, *_wait(timeout)], watched=True)
        if not outcome.ok:
            raise StepError(f"helm rollback: {outcome.error}", outcome.output)

    def test(self) -> None:
        outcome = self._helm(["test", self.release, "--logs", "--timeout", "6m"])
        if not outcome.ok:
            raise StepError(f"the permission test failed: {outcome.error}", outcome.output)

    def roll_back_command(self, revision: str) -> str:
        return f"helm rollback {self.release} {revision} --namespace {self.cluster.namespace} --wait"

    def _helm(self, arguments: list[str], *, watched: bool = False) -> Ended:
        context = ["--kube-context", self.cluster.context] if self.cluster.context else []
        command = ["helm", *arguments, "--namespace", self.cluster.namespace, *context]
        return run(command, self.cluster.clock, watch=self.watcher() if watched else lambda: None)


def _wait(seconds: int) -> list[str]:
    return ["--wait", "--timeout", f"{seconds}s"]
