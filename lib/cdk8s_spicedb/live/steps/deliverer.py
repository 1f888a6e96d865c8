"""How a step reaches the cluster: with Helm or with kubectl."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from attrs import field, frozen

from ...delivery import Delivery
from ...errors import SpiceDBError
from ...labels import Component, selector_text
from ...manifests.manifest import Manifest
from ...props import SpiceDBProps
from ..cluster import DEPLOYMENT, POD, REPLICA_SET, Cluster, ClusterError, items_of
from ..logs import first_error
from ..redact import redacted
from ..release.migration import MigrationState, find_migration, seconds_left
from ..release.running import Applier, Running, require_running, revision_of
from ..release.settle import Broken, drain_seconds, settled, wait_until_settled

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
        template = newest["metadata"]["labels"]["pod-template-hash"]
        return self.cluster.find(POD, labels=f"{labels},pod-template-hash={template}")


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
    pods = cluster.find(POD, labels=f"batch.kubernetes.io/job-name={job['metadata']['name']}")
    if not pods:
        return ""
    pod = max(pods, key=lambda each: str(each["metadata"]["creationTimestamp"]))
    container = pod["spec"]["containers"][0]["name"]
    return cluster.log(pod["metadata"]["name"], container, tail=lines).strip()


_APPLIERS = {Delivery.HELM: Applier.HELM, Delivery.KUBECTL: Applier.KUBECTL}


def deliverer_of(cluster: Cluster, running: Running, notify: Notify = lambda _: None) -> Deliverer:
    """The deliverer of a release that runs. Raises `SpiceDBError` if a commit applies the release."""
    from .helm import HelmDeliverer
    from .kubectl import KubectlDeliverer

    kinds = {Applier.HELM: HelmDeliverer, Applier.KUBECTL: KubectlDeliverer}
    if running.applier not in kinds:
        raise SpiceDBError(
            f"{running.applier.value} applies this release, so a commit changes it: write the files of the next step "
            "with `cdk8s-spicedb upgrade --write FOLDER` and commit them, or revert the commit to go back"
        )
    return kinds[running.applier](cluster, running, notify)


def require_same_delivery(props: SpiceDBProps, running: Running) -> None:
    """Raises `SpiceDBError` if the file has another delivery than the release."""
    if _APPLIERS.get(props.delivery) is not running.applier:
        raise SpiceDBError(
            f"the file has delivery: {props.delivery.value}, but the release was applied with {running.applier.value}; "
            f"set delivery: {running.applier.value}"
        )
