"""What an upgrade begins with: what runs, the steps that are left, the check, and what the next step changes."""

from __future__ import annotations

from attrs import evolve, frozen

from ...errors import SpiceDBError
from ...plans.plan import UpgradePlan
from ...props import SpiceDBProps
from ..check.check import CheckOptions, CheckReport, check_planned
from ..check.plan import planned_as
from ..cluster import Cluster
from ..diff import diff
from ..instance import Applier, Observed, Running
from ..observe import require
from ..record import Record
from ..target import props_at, require_own, require_same_delivery, start_or_continue
from .deliver import Deliverer, Notify, silent
from .deployment import require_not_stopped
from .helm import HelmDeliverer
from .kubectl import KubectlDeliverer

_DELIVERERS: dict[Applier, type[Deliverer]] = {Applier.HELM: HelmDeliverer, Applier.KUBECTL: KubectlDeliverer}


def deliverer_of(cluster: Cluster, seen: Observed, notify: Notify = silent, record: Record | None = None) -> Deliverer:
    """The deliverer of an instance that runs. ``record`` is that of the upgrade that it works for. Raises
    `SpiceDBError` if a commit or the operator applies its release."""
    assert seen.running is not None
    applier = seen.running.applier
    if applier.applies_commits:
        raise SpiceDBError(
            f"{applier.title} applies this release, so a commit changes it: write the files of the next step "
            "with `cdk8s-spicedb upgrade --write FOLDER` and commit them; to go back, commit the older version, with "
            "its migration turned off"
        )
    if applier not in _DELIVERERS:
        raise SpiceDBError(
            f"{applier.title} applies this release; move to this package first, as the documentation describes"
        )
    started, pending = (record.started, record.pending) if record else ("", None)
    return deliverer_by(applier, cluster, seen, notify, started=started, pending=pending)


def deliverer_by(
    applier: Applier,
    cluster: Cluster,
    seen: Observed,
    notify: Notify = silent,
    *,
    started: str = "",
    pending: str | None = None,
) -> Deliverer:
    """The deliverer that works with Helm or with kubectl."""
    return _DELIVERERS[applier](cluster, seen, notify, started=started, pending=pending)


@frozen(kw_only=True)
class Prepared:
    """An upgrade that has been planned, and has changed nothing."""

    cluster: Cluster
    props: SpiceDBProps
    seen: Observed
    """What runs."""
    record: Record
    """The steps, and where they stand."""

    @property
    def running(self) -> Running:
        """The servers that run."""
        assert self.seen.running is not None
        return self.seen.running

    @property
    def next_props(self) -> SpiceDBProps:
        """The props of the next step."""
        return props_at(self.props, self.record.plan, self.record.step(self.record.next_step or 1))

    def check(self, options: CheckOptions) -> CheckReport:
        """Checks whether the steps that are left can run."""
        return check_planned(self.cluster, self.props, options, self.seen, planned_as(self.record, self.running))

    def meaning(self) -> tuple[str, ...]:
        """What the next step means, in sentences."""
        return tuple(diff(self.cluster, self.next_props, plan=self._next_plan()).meaning)

    def _next_plan(self) -> UpgradePlan:
        """The plan of the next step alone."""
        record, step = self.record, self.record.step(self.record.next_step or 1)
        current = record.sound[-1].version or record.plan.current
        return evolve(record.plan, current=current, target=step.version, steps=(step,), warnings=())


def prepare(cluster: Cluster, props: SpiceDBProps, notify: Notify = silent) -> Prepared:
    """Plans an upgrade, or finds the one that is under way. Raises `SpiceDBError` if there is nothing to upgrade, or if
    this package must not."""
    seen = require(cluster, props.name, helm=True)
    assert seen.running is not None
    require_not_stopped(cluster, props.name)
    applies = deliverer_of(cluster, seen, notify)
    require_same_delivery(props, seen.running)
    require_own(cluster, seen.running)
    record = start_or_continue(cluster, props, seen.running, applies.revision)
    return Prepared(cluster=cluster, props=props, seen=seen, record=record)
