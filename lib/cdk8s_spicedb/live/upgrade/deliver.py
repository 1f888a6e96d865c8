"""How a step reaches the cluster: with Helm or with kubectl."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Protocol

from attrs import frozen

from ...errors import SpiceDBError
from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ..apierror import ClusterError
from ..cluster import DEPLOYMENT, Cluster, Kind
from ..instance import Observed, Running
from ..observe import observe
from ..pods import Broken, container_of, restarts
from ..poll import poll
from ..text import first_error, redacted
from ..waiting import wait_until_settled
from ..workload import MigrationState, drain_seconds, migration_of, newest_servers, progress_of, unsettled
from .deployment import is_held, resume


class Notify(Protocol):
    """Gets what happens, in a few words, and the seconds that it takes at most."""

    def __call__(self, text: str, seconds_left: int | None = None) -> None: ...


def silent(text: str, seconds_left: int | None = None) -> None:
    """Tells nobody."""


class OtherProgramError(SpiceDBError):
    """Somebody else's Helm works on the release, and this one has not begun."""


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
    started: str = ""
    """Time at which the upgrade began (ISO 8601), by which its own changes are known."""
    pending: str | None = None
    """Revision that an interrupted rollback of the upgrade was making. None: there is no such rollback."""

    @property
    def running(self) -> Running:
        """The servers, as they were before the step."""
        assert self.seen.running is not None
        return self.seen.running

    @abstractmethod
    def found_uid(self, kind: Kind, name: str) -> str | None:
        """The UID of an object as the program sees it. None: the program does not see it."""

    def require_usable(self, known: Manifest | None = None) -> None:
        """Raises `SpiceDBError` if the program sees another cluster than this process, or if somebody else's works on
        the release. ``known`` is an object in the cluster, and defaults to the Deployment."""
        known = known or self.seen.deployment
        assert known is not None
        kind, name = Kind.of(known), known["metadata"]["name"]
        if self.found_uid(kind, name) != known["metadata"].get("uid"):
            unseen = "does not see the Deployment" if kind == DEPLOYMENT else f"does not see the {kind.kind}"
            raise SpiceDBError(
                f"Helm or kubectl {unseen} {name} in {self.cluster.place}, namespace {self.cluster.namespace}, so it "
                "may use another cluster; check which programs are on PATH"
            )

    @abstractmethod
    def revision(self) -> str:
        """The revision to which a rollback can return."""

    def newest(self) -> str:
        """The newest revision, whatever became of it. Empty if there is none."""
        return self.revision()

    def next_revision(self) -> str:
        """The revision that a rollback makes."""
        return str(int(self.newest() or 0) + 1)

    def is_rolled_back(self) -> bool:
        """Whether the rollback that was interrupted has come to its end."""
        return self.pending is not None and self.newest() == self.pending

    @abstractmethod
    def revisions_kept(self) -> Collection[str]:
        """The revisions to which a rollback can return, as the cluster keeps them."""

    @abstractmethod
    def earlier(self) -> tuple[str, str | None] | None:
        """The newest revision before the current one that was deployed, and its version. None: there is none."""

    @abstractmethod
    def recover(self) -> None:
        """Makes the release usable after the process that changed it was killed."""

    @abstractmethod
    def apply(self, props: SpiceDBProps, label: str, number: int) -> None:
        """Applies a step, and waits until the servers are ready, unless they are held. Raises `StepError`."""

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

    def is_held(self) -> bool:
        """Whether the servers stay as they are, whatever is applied."""
        return is_held(self.cluster, self.running.name)

    def roll_out(self, props: SpiceDBProps) -> None:
        """Ends the hold, and waits until the servers are those that were applied. Raises `StepError`."""
        look = self.looks()
        resume(self.cluster, self.running.name)
        self.wait_for_servers(props, look)

    def wait_for_servers(self, props: SpiceDBProps, look: Callable[[], tuple[Observed, str | None]]) -> None:
        """Waits until the roll-out is done. ``look`` is what `looks` returned before the roll-out began. Raises
        `StepError` if a server can never run, or if it takes too long."""
        seconds = (drain_seconds(self.running) + 120) * max(props.max_replicas, 1)
        seen, broken = poll(
            look, until=lambda each: each[1] or not unsettled(each[0]), seconds=seconds, clock=self.cluster.clock
        )
        waits = unsettled(seen)
        if waits is not None:
            raise StepError(broken or f"the servers did not become ready: {waits}", self.explanation())

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
