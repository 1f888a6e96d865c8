"""Helm releases, through Helm's own program."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ...errors import SpiceDBError
from ...helm import write_helm_chart
from ...labels import HELM_HOOK, UPGRADE, Component, selector_text
from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ..apierror import ClusterError, Conflict, Unreachable
from ..cluster import JOB, SECRET, Kind
from ..instance import HelmRelease
from ..observe import observe
from ..pods import job_state
from ..poll import Deadline, poll
from ..programs import QUERY_SECONDS, Ended, helm, run
from ..released import helm_release_of, helm_releases, is_hook
from ..workload import MigrationState, drain_seconds, migration_of, progress_of
from .deliver import Deliverer, OtherProgramError, StepError
from .deployment import stopped

_NAME = re.compile("[a-z0-9]([a-z0-9.-]{0,51}[a-z0-9])?")
"""What can be the name of a Helm release."""
_ATTEMPTS = 3
_OUTAGE = (
    *("dial tcp", "connection refused", "connection reset", "unreachable", "EOF", "TLS handshake", "i/o timeout"),
    # Of an object that Helm could not observe any more.
    "status: Unknown",
)
_OUTAGE_SECONDS = 300
_BUSY = "another operation"
"""What Helm says while another Helm works on the release."""
_UNKNOWN_PROCESS_SECONDS = 60
_LONGEST_SECONDS = 3600
"""How long to wait for a Helm that was left behind, as long as something changes."""
_PENDING_SECONDS = 2
_TEST_SECONDS = 360
_MARGIN_SECONDS = 60
"""How long after its own limit of time Helm may end."""
# A hook, because of other objects Helm asks whether they exist, which needs a right.
_LOOKUP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: lookup, annotations: {HOOK: test}}
data:
  uid: {{ dig "metadata" "uid" "" (lookup "VERSION" "KIND" .Release.Namespace .Values.name) | quote }}
""".replace("HOOK", HELM_HOOK)


class HelmDeliverer(Deliverer):
    """Runs ``helm upgrade`` and ``helm rollback``."""

    @property
    def release(self) -> str:
        """The name of the Helm release. Raises `SpiceDBError` if Helm would read it as something else."""
        name = self.running.applied_as or self.running.name
        if not _NAME.fullmatch(name):
            raise SpiceDBError(f"the Deployment {self.running.name} names {name!r}, which is no Helm release")
        return name

    def require_usable(self, known: Manifest | None = None) -> None:
        super().require_usable(known)
        self._pending()

    def found_uid(self, kind: Kind, name: str) -> str | None:
        """See `Deliverer.found_uid`. Helm renders a template that looks the object up."""
        template = _LOOKUP.replace("VERSION", kind.api_version).replace("KIND", kind.kind)
        with _folder() as folder:
            Path(folder, "templates").mkdir()
            Path(folder, "Chart.yaml").write_text("{apiVersion: v2, name: lookup, version: 0.0.0}\n", encoding="utf-8")
            Path(folder, "templates", "uid.yaml").write_text(template, encoding="utf-8")
            value = f"name={name}"
            ended = self._helm("template", self.release, folder, "--dry-run=server", "--set-string", value)
        if not ended.ok:
            raise SpiceDBError(f"helm template: {StepError(ended.error).reason}")
        found = next((line.partition(":")[2] for line in ended.stdout.splitlines() if line.startswith("  uid:")), "")
        return found.strip().strip('"') or None

    def revisions(self) -> list[HelmRelease]:
        """The revisions of the release, oldest first."""
        return helm_releases(self.cluster, self.release)

    def revision(self) -> str:
        deployed = [revision for revision in self.revisions() if revision.status == "deployed"]
        if not deployed:
            raise SpiceDBError(
                f"the Helm release {self.release} has no deployed revision; if its install failed, run "
                "`cdk8s-spicedb install` again; see `helm history`"
            )
        return str(deployed[-1].revision)

    def revisions_kept(self) -> Collection[str]:
        return [str(each.revision) for each in self.revisions()]

    def newest(self) -> str:
        return next((str(each.revision) for each in self.revisions()[-1:]), "")

    def next_revision(self) -> str:
        self._unlock()  # The number of a revision that is removed is free again.
        return super().next_revision()

    def is_rolled_back(self) -> bool:
        return super().is_rolled_back() and self.revisions()[-1].status == "deployed"

    def earlier(self) -> tuple[str, str | None] | None:
        older = [str(each.revision) for each in self.revisions() if each.status == "superseded"]
        return (older[-1], self.version_of(older[-1])) if older else None

    # ------------------------------------------------------------ Helm's own lock

    def recover(self) -> None:
        """See `Deliverer.recover`. Helm refuses to work on a release while one of its revisions is pending."""
        if self._pending() is not None:
            self._wait_for_unknown_process()
            self._unlock()

    def _pending(self) -> HelmRelease | None:
        """The revision that this upgrade left unfinished. Raises `OtherProgramError` if it is somebody else's."""
        revisions = self.revisions()
        newest = revisions[-1] if revisions else None
        if newest is None or not newest.status.startswith("pending-"):
            return None
        # Helm cannot label a rollback.
        rolls_back = (newest.status, str(newest.revision)) == ("pending-rollback", self.pending)
        if not rolls_back and not self._is_ours(newest, self._mark("")):
            raise OtherProgramError(
                f"another Helm works on the release {self.release}: its revision {newest.revision} is "
                f"{newest.status}; wait until it ends. If that Helm was killed, delete the Secret {newest.secret}"
            )
        return newest

    def _is_ours(self, revision: HelmRelease, mark: str) -> bool:
        """Whether this upgrade, or one of its steps, made a revision."""
        label = str((self._secret(revision)["metadata"].get("labels") or {}).get(UPGRADE, ""))
        return label.startswith(mark) and label.rpartition(".")[2] == str(revision.revision)

    def _secret(self, revision: HelmRelease) -> Manifest:
        """The Secret of a revision, without its data. Empty if it is gone."""
        of_revision = f"owner=helm,name={self.release},version={revision.revision}"
        return next(iter(self.cluster.find_metadata(SECRET, labels=of_revision)), {"metadata": {}})

    def _unlock(self) -> None:
        revision = self._pending()
        if revision is not None:
            # What the next upgrade compares with is then the revision that was deployed last.
            self.notify(f"Helm was killed; removing its unfinished revision {revision.revision}")
            try:
                self.cluster.delete(SECRET, revision.secret, only=self._secret(revision))
            except Conflict:
                raise StepError(f"Helm still works on its revision {revision.revision}") from None

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

    # ------------------------------------------------------------ steps

    def apply(self, props: SpiceDBProps, label: str, number: int) -> None:
        with _folder() as folder:
            chart = Path(folder) / "chart"
            write_helm_chart(chart, props, version=f"{number}.0.0")
            command = ["upgrade", self.release, str(chart), "--description", label, *self._options()]
            self._run(command, label, self._timeout(props))

    def _timeout(self, props: SpiceDBProps) -> int:
        """Seconds after which Helm gives up: the time of the migration, or that of all servers one after the other.
        Servers that wait for the migration take both."""
        migration, each = props.migration.active_deadline_seconds + 60, drain_seconds(self.running) + 120
        servers = each * max(props.max_replicas, 1)
        return max(migration, servers) if props.migrates_first else migration + servers

    def _options(self) -> list[str]:
        """Installs the release if it has no deployed revision. Keeps values that somebody set at install time: they
        override the new chart's defaults."""
        revisions = self.revisions()
        found = [] if any(each.status == "deployed" for each in revisions) else ["--install"]
        values = self._json("get", "values", self.release) if revisions else None
        if values:
            self.notify(f"the release keeps its own values: {', '.join(sorted(map(str, values)))}")
            found.append("--reset-then-reuse-values")
        return found

    def _run(self, command: list[str], label: str, seconds: int) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            mark = f"{UPGRADE}={self._mark(label)}{self.next_revision()}"
            outcome = self._helm(*command, "--labels", mark, *self._wait(seconds), seconds=seconds, watched=True)
            if outcome.ok or self.is_applied(label):
                return
            if attempt == 1:
                self._require_no_other(outcome)
            if attempt == _ATTEMPTS or not self._lost_connection(outcome):
                # Of a Helm that was stopped, the output says only that.
                output = "" if outcome.stopped else outcome.output
                raise StepError(f"helm {command[0]}: {outcome.error}", f"{output}\n{self.explanation()}")
            self.notify("Helm lost the connection to the API server; running it again")

    def _mark(self, label: str) -> str:
        """The label of the revisions of this upgrade, or of one of its steps, before the number of the revision.

        Helm copies the labels of a release to its next revision, so the number is part of the label.
        """
        step = f"{hashlib.sha256(label.encode()).hexdigest()[:8]}." if label else ""
        return f"{self.started.replace(':', '')}.{step}"

    def _require_no_other(self, outcome: Ended) -> None:
        """Raises `OtherProgramError` if Helm refused to begin because another one works on the release."""
        if _BUSY in outcome.error:
            raise OtherProgramError(
                f"another Helm works on the release {self.release}; wait until it ends, then run the same command again"
            )

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
        # What Helm says itself, and not the logs of hooks that it prints.
        said = [outcome.error, *(line for line in outcome.output.splitlines() if line.lstrip().startswith("level="))]
        return away or any(sign in line for sign in _OUTAGE for line in said)

    def is_applied(self, label: str) -> bool:
        """See `Deliverer.is_applied`: whether the newest revision is deployed, and is of this step."""
        newest = self.revisions()[-1:]
        return any(each.status == "deployed" and self._is_ours(each, self._mark(label)) for each in newest)

    def version_of(self, revision: str) -> str | None:
        """The SpiceDB version of a revision (``appVersion`` of its chart). None if Helm does not say it."""
        ended = self._helm("history", self.release, "--output", "json")
        for each in ended.json() or ():
            if isinstance(each, dict) and str(each.get("revision")) == revision:
                return str(each.get("app_version") or "") or None
        return None

    def roll_back(self, revision: str) -> None:
        if not revision.isdecimal():
            raise StepError(f"{revision!r} is no revision of a Helm release; see `helm history {self.release}`")
        seconds = (drain_seconds(self.running) + 120) * max(self.running.replicas, 1)
        self._unlock()
        command = ["rollback", self.release, revision, *self._wait(seconds)]
        if stopped(self.cluster, self.running.name) and self._applies_on_the_server(revision):
            # The number of servers is a field of this package until Helm takes it over.
            command.append("--force-conflicts")
        outcome = self._helm(*command, seconds=seconds, watched=True)
        if not outcome.ok:
            self._require_no_other(outcome)
            raise StepError(f"helm rollback: {outcome.error}", outcome.output)
        self._stop_older_migration()

    def _stop_older_migration(self) -> None:
        """Deletes a migration that Helm ran again because it is a Job of the older revision and no hook. It cannot work
        on the newer schema."""
        for job in self.cluster.find(JOB, labels=selector_text(self.running.name, Component.MIGRATION)):
            if helm_release_of(job) and not is_hook(job) and not job_state(job).succeeded:
                self.cluster.delete(JOB, job["metadata"]["name"], only=job)

    def test(self) -> None:
        timeout = f"{_TEST_SECONDS}s"
        outcome = self._helm("test", self.release, "--logs", "--timeout", timeout, seconds=_TEST_SECONDS)
        if not outcome.ok:
            raise StepError(f"the permission test failed: {outcome.error}", outcome.output)

    def remove(self) -> None:
        """Deletes the release, and waits until its objects are gone. Hooks stay. Raises `StepError`."""
        if not self.revisions():
            return
        seconds = (drain_seconds(self.running) + 120) * max(self.running.replicas, 1)
        outcome = self._helm("uninstall", self.release, "--wait", "--timeout", f"{seconds}s", seconds=seconds)
        if not outcome.ok:
            raise StepError(f"helm uninstall: {outcome.error}", outcome.output)

    def roll_back_command(self, revision: str) -> str:
        return f"helm rollback {self.release} {revision} {self.cluster.options('--kube-context')} --wait"

    def _wait(self, seconds: int) -> list[str]:
        wait = "--wait"
        if self.is_held() and self._is_newer_than_3():
            # Helm 3 counts servers that are paused as ready. Helm 4 does so only if it waits as Helm 3 did.
            wait = "--wait=legacy"
        return [wait, "--timeout", f"{seconds}s"]

    def _is_newer_than_3(self) -> bool:
        return not self._helm("version", "--template={{.Version}}").stdout.startswith("v3.")

    def _applies_on_the_server(self, revision: str) -> bool:
        """Whether Helm applies a revision by server-side apply. Helm 3 cannot."""
        if not self._is_newer_than_3():
            return False
        return bool(self._json("get", "metadata", self.release, "--revision", revision).get("applyMethod") == "ssa")

    def _json(self, *arguments: str) -> Any:
        ended = self._helm(*arguments, "--output", "json")
        if not ended.ok:
            raise StepError(f"helm {arguments[0]}: {ended.error}", ended.output)
        found = ended.json()
        if found is None and ended.stdout.strip() != "null":
            raise StepError(f"helm {arguments[0]} has not written JSON", ended.output)
        return found

    def _helm(self, *arguments: str, seconds: float | None = None, watched: bool = False) -> Ended:
        limit = QUERY_SECONDS if seconds is None else seconds + _MARGIN_SECONDS
        watch = self.watcher() if watched else lambda: None
        return run(helm(self.cluster, *arguments), self.cluster, seconds=limit, watch=watch)


def _folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory()
    except OSError as error:
        raise StepError(f"cannot write a temporary chart: {error}; set TMPDIR to a folder with free space") from None
