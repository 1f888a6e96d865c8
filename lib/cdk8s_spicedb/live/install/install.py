"""Installs a SpiceDB: checks, applies, waits until all servers are ready, and tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from attrs import define, field, frozen

from ...delivery import Applier, Delivery
from ...errors import SpiceDBError
from ...labels import HELM_RELEASE
from ...manifests import release_manifests
from ...props import SpiceDBProps, secret_keys
from ..apierror import ClusterError
from ..check.check import CheckOptions, CheckReport, check_planned, namespace_finding
from ..check.finding import Finding, Level
from ..check.plan import Planned
from ..cluster import DEPLOYMENT, LEASE, NAMESPACE, Cluster, Kind
from ..instance import Observed
from ..observe import observe, require
from ..rehearsed import settings_of
from ..target import require_same_delivery
from ..upgrade.deliver import Deliverer, Notify, OtherProgramError, StepError, require_settled
from ..upgrade.lease import Lock, held, lease_name
from ..upgrade.outcome import (
    Activity,
    CheckFailedError,
    Outcome,
    Progress,
    Report,
    State,
    StoppedError,
    as_refusal,
    harmless,
)
from ..upgrade.prepare import deliverer_by
from ..upgrade.rollback import PATIENCE_SECONDS
from .remains import remains_of, summed, titles
from .unfinished import Unfinished, note_end, note_unfinished, read_unfinished

_APPLIERS = {Delivery.HELM: Applier.HELM, Delivery.KUBECTL: Applier.KUBECTL}


@frozen(kw_only=True)
class InstallOptions:
    """How an install runs."""

    check: CheckOptions | None = field(factory=CheckOptions)
    """What is checked before anything is installed. None: only that the namespace exists."""
    create_namespace: bool = False
    """Whether the namespace is created if it does not exist. That happens before the check."""


@frozen(kw_only=True)
class InstallPreflight:
    """An install, before it changes anything."""

    creates: Sequence[str]
    """The objects that it creates, by kind and name."""
    secrets: Sequence[str]
    """The Secrets that the release reads, which you have made."""
    check: CheckReport | None
    """What the check found. None: nothing was checked."""
    since: str | None = None
    """Time at which an install began that is not finished, and that this one continues. None: there is none."""


def install(
    cluster: Cluster,
    props: SpiceDBProps,
    *,
    options: InstallOptions | None = None,
    confirm: Callable[[InstallPreflight], bool] = lambda _: True,
    report: Report = lambda _: None,
) -> Outcome:
    """Installs the SpiceDB of the props with Helm or kubectl: checks, asks, applies, waits until all servers are ready,
    and runs the permission test if there is one.

    ``confirm`` gets what the install creates, and what the check found, before anything changes. If an install of this
    name is not finished, this continues it, also with corrected props. The state of the `Outcome` is ``DONE``,
    ``REFUSED`` (nothing was installed), ``STOPPED`` (something was installed, and does not work) or ``INTERRUPTED``.
    Its ``require_done`` raises `StoppedError`, `BusyError`, `CheckFailedError`, or another `SpiceDBError` if a SpiceDB
    of this name exists already, or if Argo CD delivers it.
    """
    patient = cluster.patient(max(cluster.patience_seconds, PATIENCE_SECONDS))
    chosen, tell = options or InstallOptions(), harmless(report)
    return _Install(cluster=patient, props=props, options=chosen, confirm=confirm, report=tell).run()


@define(kw_only=True)
class _Install:
    """An install, and where it stands."""

    cluster: Cluster
    props: SpiceDBProps
    options: InstallOptions
    confirm: Callable[[InstallPreflight], bool]
    report: Report
    changed: bool = False
    """Whether anything may have been installed."""
    lock: Lock = field(init=False)

    def run(self) -> Outcome:
        """Installs, and returns the outcome. After the first change, no outcome says that nothing was installed."""
        try:
            if self.props.delivery not in _APPLIERS:
                raise SpiceDBError(_BY_COMMIT)
            self._require_namespace()
            with held(self.cluster, self.props.name, self._tell(Activity.PREPARE)) as self.lock:
                self.cluster = self.lock.cluster
                return Outcome(state=self._run())
        except KeyboardInterrupt:
            return Outcome(state=State.INTERRUPTED)
        except StoppedError as error:
            return Outcome(state=State.STOPPED, error=error)
        except Exception as error:
            if self.changed:
                reason = str(error) if isinstance(error, SpiceDBError) else f"{type(error).__name__}: {error}"
                return Outcome(state=State.STOPPED, error=self._stopped(reason))
            return Outcome(state=State.REFUSED, error=as_refusal(error))

    def _require_namespace(self) -> None:
        """Raises `CheckFailedError` if there is no namespace, and none is to be created."""
        cluster = self.cluster
        finding = namespace_finding(cluster)
        if finding.level is not Level.FAILURE:
            return
        if not self.options.create_namespace or cluster.get(NAMESPACE, cluster.namespace) is not None:
            raise CheckFailedError(CheckReport(findings=(finding,), plan=None))
        kind = {"apiVersion": NAMESPACE.api_version, "kind": NAMESPACE.kind}
        cluster.create({**kind, "metadata": {"name": cluster.namespace}})
        self._tell(Activity.PREPARE)(f"created the namespace {cluster.namespace}")

    def _run(self) -> State:
        cluster, name, notify = self.cluster, self.props.name, self._tell(Activity.APPLY)
        seen, found = observe(cluster, name, helm=True), read_unfinished(cluster, name)
        self._require_absent(seen, found)
        begun = found or Unfinished(f"{cluster.clock.now():%Y-%m-%dT%H:%M:%SZ}", self.props.delivery)
        applier, wanted = _APPLIERS[self.props.delivery], _expected(cluster, self.props, seen)
        applies = deliverer_by(applier, cluster, wanted, notify, started=begun.started)
        applies.require_usable(cluster.get(LEASE, lease_name(name)))
        if not self.confirm(self._preflight(seen, found)):
            return State.REFUSED
        self.lock.require()
        self.changed = True
        note_unfinished(cluster, name, begun)
        try:
            self._apply(applies, begun)
        except StepError as error:
            raise self._stopped(error.reason, error.details) from None
        except OtherProgramError:
            # Nothing was applied.
            if found is None:
                note_end(cluster, name, "not begun")
                self.changed = False
            raise
        note_end(cluster, name, f"SpiceDB {self.props.version}, {cluster.clock.now():%Y-%m-%d %H:%M} UTC")
        self._tell(Activity.DONE)(f"SpiceDB {self.props.version} serves")
        return State.DONE

    def _require_absent(self, seen: Observed, found: Unfinished | None) -> None:
        """Raises `SpiceDBError` if a SpiceDB of this name is there, unless its install is not finished."""
        running = seen.running
        place = f"in the namespace {self.cluster.namespace}"
        if found is not None and found.delivery is not self.props.delivery:
            raise SpiceDBError(
                f"an install of {self.props.name} with delivery: {found.delivery.value} is not finished {place}, and "
                f"the file has delivery: {self.props.delivery.value}; finish it first, or remove it: "
                f"{self._command('uninstall')}"
            )
        if running is None:
            return
        if found is None:
            by = running.applier.of(running.applied_as)
            to_do = "to change it, use `cdk8s-spicedb upgrade`; to install another one"
            if not running.ours:
                to_do = "it was not made by cdk8s-spicedb; to install another SpiceDB"
            raise SpiceDBError(
                f"the Deployment {running.name} exists already {place} ({by}); {to_do}, set another name in the file"
            )
        require_same_delivery(self.props, running)

    def _preflight(self, seen: Observed, found: Unfinished | None) -> InstallPreflight:
        """Checks. Raises `CheckFailedError`."""
        report = None
        if self.options.check is not None:
            self._tell(Activity.PREPARE)("checking")
            report = check_planned(self.cluster, self.props, self.options.check, seen, _planned(self.props, found))
            if not report.ok:
                raise CheckFailedError(report)
        secrets = dict.fromkeys(str(key.name) for key in secret_keys(self.props))
        return InstallPreflight(
            creates=titles(release_manifests(self.props)),
            secrets=tuple(secrets),
            check=report,
            since=found.started if found else None,
        )

    def _apply(self, applies: Deliverer, begun: Unfinished) -> None:
        """Applies, waits and tests. Raises `StepError` if that fails."""
        props, notify = self.props, self._tell(Activity.APPLY)
        label = f"cdk8s-spicedb install {props.version}, since {begun.started}, settings {settings_of(props)[:7]}"
        notify(f"SpiceDB {props.version} with {_APPLIERS[props.delivery].title}")
        applies.recover()
        if not applies.is_applied(label):
            applies.apply(props, label, 1)
        settles = self._tell(Activity.SETTLE)
        settles("waiting until all servers are ready")
        require_settled(self.cluster, applies.running, settles)
        running = require(self.cluster, props.name).running
        if running is not None and running.version != props.version:
            raise StepError(
                f"version of the servers is {running.version}, and the file says {props.version}; if the Helm release "
                "has its own values, such as image.tag, remove them"
            )
        if props.test is not None:
            self._tell(Activity.TEST)("running the permission test")
            applies.test()

    def _stopped(self, reason: str, details: str = "") -> StoppedError:
        """The error that says what is left, and how to go on."""
        left = ""
        with suppress(ClusterError):  # Why it failed matters more.
            found = remains_of(self.cluster, self.props.name).objects
            left = f"Left in the namespace {self.cluster.namespace}: {summed(found)}. " if found else ""
        ways = (
            f"{left}Fix the cause, then run the same command again: it continues. To remove what is left instead, run: "
            f"{self._command('uninstall')}"
        )
        return StoppedError(reason, details, ways, what="the install failed: ")

    def _command(self, command: str) -> str:
        return f"cdk8s-spicedb {command} {self.props.name} {self.cluster.options()}"

    def _tell(self, activity: Activity) -> Notify:
        """What reports an activity."""

        def notify(text: str, seconds_left: int | None = None) -> None:
            self.report(Progress(step=0, steps=0, activity=activity, text=text, seconds_left=seconds_left))

        return notify


_BY_COMMIT = (
    "the file has delivery: argocd, so a commit installs this SpiceDB: write its files with `cdk8s-spicedb synth`, and "
    "commit them to the repository of an Argo CD Application"
)


def _planned(props: SpiceDBProps, found: Unfinished | None) -> Planned:
    """What the check has to know of an install."""
    text = f"install {props.version}: "
    text += f"continues an install that is not finished, since {found.started}" if found else "nothing runs yet"
    return Planned(findings=(Finding.ok("Plan", text),), installs=True, interrupted=found is not None)


def _expected(cluster: Cluster, props: SpiceDBProps, seen: Observed) -> Observed:
    """The servers as they will be when they are installed."""
    (rendered,) = (each for each in release_manifests(props) if Kind.of(each) == DEPLOYMENT)
    metadata = {**rendered["metadata"], "namespace": cluster.namespace}
    if props.delivery.is_chart:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), HELM_RELEASE: props.name}
    deployment = {**rendered, "metadata": metadata}
    return Observed(name=props.name, namespace=cluster.namespace, at=seen.at, second=seen.second, deployment=deployment)
