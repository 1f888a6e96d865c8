"""Installs a SpiceDB: checks, applies, waits until all servers are ready, and tests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from attrs import define, field, frozen

from ...labels import HELM_RELEASE
from ...manifests import release_manifests
from ...props import SpiceDBProps
from ...text import some_of
from ..apierror import ClusterError
from ..check.check import CheckOptions
from ..cluster import DEPLOYMENT, LEASE, NAMESPACE, Cluster, Kind
from ..instance import Observed
from ..observe import require
from ..poll import timestamp
from ..rehearsed import settings_of
from ..released import helm_releases
from ..unfinished import Unfinished, note_end, note_unfinished
from ..upgrade.deliver import Deliverer, Notify, OtherProgramError, StepError, require_settled
from ..upgrade.lease import Lock, held, lease_name
from ..upgrade.outcome import (
    Activity,
    Outcome,
    Progress,
    Report,
    State,
    StoppedError,
    as_refusal,
    harmless,
    reason_of,
)
from ..upgrade.prepare import deliverer_by
from .preflight import APPLIERS, InstallPreflight, beginning, preflight, require_installable
from .remains import SHOWN, remains_of, titles


@frozen(kw_only=True)
class InstallOptions:
    """How an install runs."""

    check: CheckOptions | None = field(factory=CheckOptions)
    """What is checked before anything is installed. None: only that the namespace exists."""
    create_namespace: bool = False
    """Whether the namespace is created if it does not exist. That happens before the check."""


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
    chosen, tell = options or InstallOptions(), harmless(report)
    return _Install(cluster=cluster.for_changes(), props=props, options=chosen, confirm=confirm, report=tell).run()


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
        """Installs, and returns the outcome. After the first change, the state is never ``REFUSED``."""
        try:
            self._create_namespace()
            require_installable(self.cluster, self.props)
            with held(self.cluster, self.props.name, self._tell(Activity.PREPARE)) as self.lock:
                self.cluster = self.lock.cluster
                return Outcome(state=self._run())
        except KeyboardInterrupt:
            return Outcome(state=State.INTERRUPTED)
        except StoppedError as error:
            return Outcome(state=State.STOPPED, error=error)
        except Exception as error:
            if self.changed:
                return Outcome(state=State.STOPPED, error=self._stopped(reason_of(error)))
            return Outcome(state=State.REFUSED, error=as_refusal(error))

    def _create_namespace(self) -> None:
        """Creates the namespace if it is to be created."""
        cluster, wanted = self.cluster, self.options.create_namespace and self.props.delivery in APPLIERS
        if not wanted or cluster.get(NAMESPACE, cluster.namespace) is not None:
            return
        cluster.create({**NAMESPACE.type_meta, "metadata": {"name": cluster.namespace}})
        self._tell(Activity.PREPARE)(f"created the namespace {cluster.namespace}")

    def _run(self) -> State:
        cluster, props, name = self.cluster, self.props, self.props.name
        begins = beginning(cluster, props)
        found = begins.unfinished
        begun = found or Unfinished(timestamp(cluster.clock.now()), props.delivery)
        wanted, notify = _expected(cluster, props, begins.seen), self._tell(Activity.APPLY)
        applies = deliverer_by(APPLIERS[props.delivery], cluster, wanted, notify, started=begun.started)
        applies.require_usable(cluster.get(LEASE, lease_name(name)))
        if self.options.check is not None:
            self._tell(Activity.PREPARE)("checking")
        if not self.confirm(preflight(cluster, props, begins, self.options.check)):
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
        note_end(cluster, name, f"SpiceDB {props.version}, {cluster.clock.now():%Y-%m-%d %H:%M} UTC")
        self._tell(Activity.DONE)(f"SpiceDB {props.version} serves")
        return State.DONE

    def _apply(self, applies: Deliverer, begun: Unfinished) -> None:
        """Applies, waits and tests. Raises `StepError` if that fails."""
        props, notify = self.props, self._tell(Activity.APPLY)
        label = f"cdk8s-spicedb install {props.version}, since {begun.started}, settings {settings_of(props)[:7]}"
        notify(f"SpiceDB {props.version} with {APPLIERS[props.delivery].title}")
        applies.recover()
        if not applies.is_applied(label):
            applies.apply(props, label, 1)
        settles = self._tell(Activity.SETTLE)
        settles("waiting until all servers are ready")
        require_settled(self.cluster, applies.running, settles)
        running = require(self.cluster, props.name).running
        if running is not None and running.version != props.version:
            raise StepError(
                f"the servers run {running.version}, but the file says {props.version}; if the Helm release "
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
            helm = self.props.delivery.is_chart and helm_releases(self.cluster, self.props.name)
            names = [*([f"Helm release {self.props.name}"] if helm else ()), *titles(found)]
            left = f"Left in the namespace {self.cluster.namespace}: {some_of(names, SHOWN)}. " if names else ""
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


def _expected(cluster: Cluster, props: SpiceDBProps, seen: Observed) -> Observed:
    """The servers as they will be when they are installed."""
    (rendered,) = (each for each in release_manifests(props) if Kind.of(each) == DEPLOYMENT)
    metadata = {**rendered["metadata"], "namespace": cluster.namespace}
    if props.delivery.is_chart:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), HELM_RELEASE: props.name}
    deployment = {**rendered, "metadata": metadata}
    return Observed(name=props.name, namespace=cluster.namespace, at=seen.at, second=seen.second, deployment=deployment)
