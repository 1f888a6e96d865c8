"""Removes a SpiceDB from a cluster with the program that applied it. Its data stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from attrs import define, field, frozen

from ...delivery import Applier
from ...errors import SpiceDBError
from ...labels import HELM_RELEASE
from ...manifests.objects import Manifest
from ...props.datastores import Memory
from ..cluster import LEASE, SECRET, Cluster, Kind
from ..instance import HelmRelease, Observed, Running
from ..observe import observe
from ..poll import parallel, poll
from ..record import read_record
from ..released import Released, find_released, foreign_objects, helm_release_of, helm_releases
from ..unfinished import read_unfinished
from ..upgrade.deliver import Notify, StepError, silent
from ..upgrade.helm import HelmDeliverer
from ..upgrade.lease import Lock, held, lease_name
from ..upgrade.metrics import between
from ..upgrade.observation import try_sample
from ..upgrade.outcome import Activity, Outcome, Progress, Report, State, StoppedError, as_refusal, harmless, reason_of
from ..workload import drain_seconds
from .remains import Remains, remains_of, staying, summed, titles

_LATELY_SECONDS = 3
_LATE_SECONDS = 120
"""Everything must be gone this long after the servers' drain time."""


@frozen(kw_only=True)
class Removal:
    """An uninstall, before it changes anything."""

    name: str
    """Name of the SpiceDB."""
    namespace: str
    """Its namespace."""
    applier: Applier
    """Program that applied it, which deletes it."""
    applied_as: str | None
    """Name of the Helm release. None with kubectl, or if Helm has no release any more."""
    version: str | None
    """SpiceDB version of the servers. None if it is not known, or if there are no servers."""
    deletes: Sequence[str]
    """What is deleted, by kind and name."""
    stays: Sequence[str]
    """What stays, in words."""
    cautions: Sequence[str] = ()
    """What else to know, such as that clients still send requests."""


def uninstall(
    cluster: Cluster,
    name: str,
    *,
    confirm: Callable[[Removal], bool] = lambda _: True,
    report: Report = lambda _: None,
) -> Outcome:
    """Removes the SpiceDB of a name with the program that applied it, and waits until nothing of it is left. Its data,
    the Secrets that it reads, and its backups stay.

    ``confirm`` gets what is deleted and what stays, before anything changes. The state of the `Outcome` is ``DONE``,
    ``REFUSED`` (nothing was deleted), ``STOPPED`` (something is left) or ``INTERRUPTED``. Its ``require_done`` raises
    `BusyError` if an upgrade is under way, `StoppedError` if something is left, and another `SpiceDBError` if there is
    nothing to remove, or if this package must not.
    """
    return _Uninstall(cluster=cluster.for_changes(), name=name, confirm=confirm, report=harmless(report)).run()


@define(kw_only=True)
class _Uninstall:
    """An uninstall, and where it stands."""

    cluster: Cluster
    name: str
    confirm: Callable[[Removal], bool]
    report: Report
    changed: bool = False
    """Whether anything may have been deleted."""
    lock: Lock = field(init=False)

    def run(self) -> Outcome:
        """Removes, and returns the outcome. After the first change, the state is never ``REFUSED``."""
        try:
            _require_any(self.cluster, self.name)
            with held(self.cluster, self.name, self._tell(Activity.PREPARE)) as self.lock:
                self.cluster = self.lock.cluster
                return Outcome(state=self._run())
        except KeyboardInterrupt:
            return Outcome(state=State.INTERRUPTED)
        except Exception as error:
            if self.changed:
                return Outcome(state=State.STOPPED, error=_stopped(error))
            return Outcome(state=State.REFUSED, error=as_refusal(error))

    def _run(self) -> State:
        cluster, notify = self.cluster, self._tell(Activity.DELETE)
        found = _found(cluster, self.name, notify)
        if found.helm is not None:
            found.helm.require_usable(cluster.get(LEASE, lease_name(self.name)))
        if not self.confirm(_removal(cluster, found)):
            return State.REFUSED
        self.lock.require()
        self.changed = True
        self._delete(found.helm, drain_seconds(found.running) if found.running else 0)
        self._tell(Activity.DONE)(f"{self.name} is removed from the namespace {cluster.namespace}")
        return State.DONE

    def _delete(self, helm: HelmDeliverer | None, seconds: int) -> None:
        """Deletes the release and what is left of it, and waits until it is gone. Raises `StepError` if it is not."""
        cluster, notify = self.cluster, self._tell(Activity.DELETE)
        notify(f"deleting {self.name}")
        if helm is not None:
            helm.recover()
            helm.remove()
        for each in remains_of(cluster, self.name).objects:
            cluster.delete(Kind.of(each), each["metadata"]["name"])

        def look() -> Remains:
            found = remains_of(cluster, self.name)
            left = [*found.objects, *found.pods]
            if left:
                notify(f"waiting until it is gone: {summed(left)}")
            return found

        found = poll(
            look,
            until=lambda each: not each.objects and not each.pods,
            seconds=seconds + _LATE_SECONDS,
            clock=cluster.clock,
        )
        if found.objects or found.pods:
            raise StepError(
                f"it is not gone after {seconds + _LATE_SECONDS} s: {summed([*found.objects, *found.pods])}"
            )

    def _tell(self, activity: Activity) -> Notify:
        def notify(text: str, seconds_left: int | None = None) -> None:
            self.report(Progress(step=0, steps=0, activity=activity, text=text, seconds_left=seconds_left))

        return notify


@frozen(kw_only=True)
class _Found:
    """What an uninstall finds."""

    name: str
    running: Running | None
    """The servers. None: there are none."""
    remains: Remains
    """The objects of the SpiceDB."""
    release: str | None
    """Name of the Helm release. None: Helm did not apply it."""
    revisions: Sequence[HelmRelease] = ()
    """The revisions that Helm keeps of it."""
    helm: HelmDeliverer | None = None
    """What deletes the release. None: there is none (any more)."""


def plan_uninstall(cluster: Cluster, name: str) -> Removal:
    """What an uninstall would delete, and what would stay. It changes nothing. Raises `SpiceDBError` if
    `uninstall` would refuse, but does not look for an upgrade that is under way."""
    _require_any(cluster, name)
    return _removal(cluster, _found(cluster, name))


def _require_any(cluster: Cluster, name: str) -> None:
    """Raises `SpiceDBError` if there is nothing to remove, before the lock is written to the namespace. A lock that
    a killed uninstall left also counts."""
    remains = remains_of(cluster, name)
    locked = cluster.get(LEASE, lease_name(name)) is not None
    if not remains.objects and not remains.unknown and not locked and not helm_releases(cluster, name):
        raise SpiceDBError(
            f"there is no SpiceDB {name} in the namespace {cluster.namespace}; check the name, --namespace and "
            "--context. `cdk8s-spicedb status --all-namespaces` lists every SpiceDB"
        )


def _found(cluster: Cluster, name: str, notify: Notify = silent) -> _Found:
    """What is there. Raises `SpiceDBError` if this package must not, or you may not, delete it."""
    seen, remains = observe(cluster, name), remains_of(cluster, name)
    running, release = seen.running, _release(cluster, name, seen, remains)
    if running is not None:
        _require_removable(running)
    revisions, helm = helm_releases(cluster, release) if release else [], None
    if release is not None and revisions:
        known = seen if running else _placeholder(cluster, name, release, seen)
        helm = HelmDeliverer(cluster, known, notify, started=_started(cluster, name))
        _require_own(find_released(cluster, helm.running, release), name, release)
    found = _Found(name=name, running=running, remains=remains, release=release, revisions=tuple(revisions), helm=helm)
    _require_rights(cluster, found)
    return found


def _removal(cluster: Cluster, found: _Found) -> Removal:
    """What is deleted, and what stays."""
    running, remains = found.running, found.remains
    return Removal(
        name=found.name,
        namespace=cluster.namespace,
        applier=Applier.HELM if found.release else Applier.KUBECTL,
        applied_as=found.release,
        version=running.version if running else None,
        deletes=(*([f"Helm release {found.release}"] if found.revisions else ()), *titles(remains.objects)),
        stays=tuple(staying(cluster, running, remains)),
        cautions=tuple(_cautions(cluster, running, remains)),
    )


def _cautions(cluster: Cluster, running: Running | None, remains: Remains) -> Iterator[str]:
    yield from (f"Could not be listed, so they may stay: {each}" for each in remains.unknown)
    if running is None:
        return
    if running.engine == Memory.engine:
        yield "All relationships are lost: the servers keep them only in memory."
    first = try_sample(cluster, running)
    if isinstance(first, SpiceDBError):
        return
    cluster.clock.sleep(_LATELY_SECONDS)
    last = try_sample(cluster, running)
    requests = 0 if isinstance(last, SpiceDBError) else between(first, last).requests
    if requests:
        yield f"Clients still use it: {requests} requests within {_LATELY_SECONDS} s."


def _require_rights(cluster: Cluster, found: _Found) -> None:
    """Raises `SpiceDBError` if an object may not be deleted."""
    wanted = [(Kind.of(each), str(each["metadata"]["name"])) for each in found.remains.objects]
    wanted += [(SECRET, each.secret) for each in found.revisions]
    allowed = parallel(lambda each: cluster.may("delete", each[0], name=each[1]), wanted)
    refused = [f"{kind.kind} {name}" for (kind, name), may in zip(wanted, allowed, strict=True) if not may]
    if refused:
        raise SpiceDBError(f"you have no right to delete {', '.join(refused)}; nothing was deleted")


def _stopped(error: Exception) -> StoppedError:
    details = error.details if isinstance(error, StepError) else ""
    ways = "Something may be left. Fix the cause, then run the same command again: it deletes the rest."
    return StoppedError(reason_of(error), details, ways, what="the uninstall failed: ")


def _release(cluster: Cluster, name: str, seen: Observed, remains: Remains) -> str | None:
    """The name of the Helm release. None: Helm did not apply it."""
    if seen.running is not None:
        return seen.running.applied_as if seen.running.applier is Applier.HELM else None
    named = next(filter(None, map(helm_release_of, remains.objects)), None)
    return named or (name if helm_releases(cluster, name) else None)


def _started(cluster: Cluster, name: str) -> str:
    """Start time of the install or upgrade that may have left a Helm revision unfinished. Empty: there is none."""
    unfinished = read_unfinished(cluster, name)
    if unfinished is not None:
        return unfinished.started
    record = read_record(cluster, name)
    return record.started if record else ""


def _require_removable(running: Running) -> None:
    """Raises `SpiceDBError` if another program applied the SpiceDB, which would create it again."""
    applier = running.applier
    if applier.applies_commits:
        raise SpiceDBError(
            f"{applier.of(running.applied_as)} applies this release, and would create it again; delete "
            f"{_WHERE[applier]} {running.applied_as}, or remove its files from the repository"
        )
    if not running.ours or applier not in (Applier.HELM, Applier.KUBECTL):
        by = applier.of(running.applied_as)
        raise SpiceDBError(
            f"the Deployment {running.name} was not made by cdk8s-spicedb ({by}); delete it with the tool that made it"
        )


def _require_own(released: Released, name: str, release: str) -> None:
    """Raises `SpiceDBError` if the Helm release has other objects than those of this SpiceDB."""
    if released.objects is None:
        raise SpiceDBError(f"cannot tell what else Helm would delete: {released.reason}")
    others = foreign_objects(released, name)
    if others:
        raise SpiceDBError(
            f"the Helm release {release} also has {', '.join(others)}, which `helm uninstall` would delete; remove "
            "SpiceDB from the chart or app that makes this release"
        )


_WHERE = {Applier.ARGOCD: "the Application", Applier.FLUX: "the HelmRelease or Kustomization"}


def _placeholder(cluster: Cluster, name: str, release: str, seen: Observed) -> Observed:
    """A stand-in for servers that do not exist (any more), with the name of the Helm release."""
    metadata = {"name": name, "namespace": cluster.namespace, "annotations": {HELM_RELEASE: release}}
    template: Manifest = {"metadata": {}, "spec": {"containers": [{"name": "spicedb", "image": "spicedb"}]}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"template": template}}
    return Observed(name=name, namespace=cluster.namespace, at=seen.at, second=seen.second, deployment=deployment)
