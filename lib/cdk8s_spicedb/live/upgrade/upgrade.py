"""Upgrades a live release, step by step: apply, wait, test, observe; and go back if that fails."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Literal

from attrs import evolve, frozen

from ...errors import SpiceDBError
from ...manifests import release_manifests
from ...plans.plan import UpgradeStep
from ...plans.words import old_servers, sentence, step_of
from ...props import SpiceDBProps
from ..cluster import Cluster, ClusterError
from ..instance import Running, is_terminating, require_running, server_pods
from ..workload import drain_seconds, wait_until_none
from .deliver import Deliverer, StepError, require_settled
from .lease import held
from .metrics import Sample, between, sample, worse
from .record import PATIENCE_SECONDS, Figures, Progress, Record, Report, Sound, write_record
from .rollback import leaves_last_mode, return_servers
from .schema import write_schema_again
from .target import deliverer_of, props_at, require_own, require_same_delivery, start_or_continue

_SAMPLE_SECONDS = 2
_DRAINS = "waiting for the older servers to stop"
_ENOUGH_REQUESTS = 200
_DETAIL_LINES = 25


@frozen(kw_only=True)
class UpgradeOptions:
    """How an upgrade runs."""

    observe_seconds: int = 30
    """Time for which the servers' metrics are observed after each step, in seconds. 0: not at all."""
    on_failure: Literal["rollback", "stop"] | None = None
    """What to do when a step fails. Defaults to a rollback of the step if the plan says that the servers of the step
    before become ready, and otherwise to a stop."""


class UpgradeStoppedError(SpiceDBError):
    """An upgrade stopped at a step."""

    def __init__(self, step: int, reason: str, details: str, outcome: str, *, rolled_back: bool) -> None:
        self.step, self.reason, self.details, self.rolled_back = step, reason, details, rolled_back
        lines = "\n".join(f"    {line}" for line in details.strip().splitlines()[-_DETAIL_LINES:])
        parts = [f"step {step} stopped: {reason}", lines, outcome]
        super().__init__("\n".join(part for part in parts if part))


def upgrade(
    cluster: Cluster,
    props: SpiceDBProps,
    *,
    options: UpgradeOptions | None = None,
    confirm: Callable[[Record, Running], bool] = lambda _, __: True,
    report: Report = lambda _: None,
) -> Record | None:
    """Upgrades the SpiceDB that runs to what the props say. Returns the record, or None if ``confirm`` said no.

    ``confirm`` gets the steps that are left, before anything changes. If an upgrade is under way, this goes on where it
    stands. Raises `UpgradeStoppedError` if a step fails, `BusyError` if another process works on the release, and
    `SpiceDBError` if there is nothing to upgrade.
    """
    cluster = cluster.patient(max(cluster.patience_seconds, PATIENCE_SECONDS))

    def prepare(text: str) -> None:
        report(Progress(step=0, steps=0, activity="prepare", text=text))

    with held(cluster, props.name, prepare) as still_held:
        running = require_running(cluster, props.name)
        first = _sample(cluster, running)
        applies = deliverer_of(cluster, running, prepare)
        require_same_delivery(props, running)
        require_own(cluster, running)
        record = start_or_continue(cluster, props, running, applies.revision)
        if not confirm(record, running):
            return None
        if record.before is None:
            record = evolve(record, before=_before(cluster, running, first))
        work = _Work(cluster=cluster, props=props, options=options or UpgradeOptions(), report=report)
        while record.next_step is not None:
            still_held()
            record = work.run(record, record.next_step)
        count = len(record.plan.steps)
        report(Progress(step=count, steps=count, activity="done", text=f"SpiceDB {props.version} serves"))
        return record


def _sample(cluster: Cluster, running: Running) -> Sample | ClusterError:
    try:
        return sample(cluster, running)
    except ClusterError as error:
        return error


def _before(cluster: Cluster, running: Running, first: Sample | ClusterError) -> Figures | None:
    """What clients saw lately or, if there were few requests, since the servers started."""
    last = _sample(cluster, running)
    if isinstance(first, ClusterError) or isinstance(last, ClusterError):
        return None
    lately = between(first, last)
    return lately if lately.requests >= _ENOUGH_REQUESTS else between({}, last)


@frozen(kw_only=True)
class _Work:
    """The work on each step."""

    cluster: Cluster
    props: SpiceDBProps
    options: UpgradeOptions
    report: Report

    @property
    def _name(self) -> str:
        return self.props.name

    def run(self, record: Record, number: int) -> Record:
        """Does one step, from where it stands, and returns the record after it."""
        step, props = record.step(number), props_at(self.props, record.plan, record.step(number))

        def notify(activity: str) -> Callable[[str], None]:
            steps = len(record.plan.steps)
            return lambda text: self.report(Progress(step=number, steps=steps, activity=activity, text=text))

        running = require_running(self.cluster, self._name)
        applies = deliverer_of(self.cluster, running, notify("apply"))
        label = _label(record, number, props)
        if record.running == number:
            applies.recover(record.process)
        try:
            record = self._rewrite_schema(record, number, props, notify("schema"))
            record = self._write(record.begin(number))
            notify("apply")(f"{step.version}{f' in {step.schema_mode}' if step.schema_mode else ''}: {step.why}")
            if not applies.is_applied(label):
                self._wait_for_draining(notify("apply"))
                applies.apply(props, label, number, lambda pid: self._started(record, pid))
            self._check(record, props, applies, notify)
        except StepError as error:
            self._fail(record, step, error, applies, notify("roll back"))
        except ClusterError as error:
            outcome = (
                "It is not known how much of the step was applied. Run the same command again to continue from there."
            )
            raise UpgradeStoppedError(number, str(error), "", outcome, rolled_back=False) from None
        return self._write(record.finish(applies.revision()))

    def _write(self, record: Record) -> Record:
        write_record(self.cluster, self._name, record)
        return record

    def _started(self, record: Record, pid: int) -> None:
        self._write(evolve(record, process=f"{socket.gethostname()}:{pid}"))

    def _rewrite_schema(
        self, record: Record, number: int, props: SpiceDBProps, notify: Callable[[str], None]
    ) -> Record:
        if not record.rewrites_schema(number):
            return record
        write_schema_again(self.cluster, props, notify)
        return self._write(evolve(record, schema_written=number))

    def _check(
        self, record: Record, props: SpiceDBProps, applies: Deliverer, notify: Callable[[str], Callable[[str], None]]
    ) -> None:
        """Waits, tests and observes. Raises `StepError` if the servers do not work as before."""
        notify("settle")(_DRAINS)
        require_settled(self.cluster, self._name, notify("settle"))
        if props.test is not None:
            notify("test")("running the permission test")
            applies.test()
        if self.options.observe_seconds:
            self._observe(record.before, notify("observe"))

    def _wait_for_draining(self, notify: Callable[[str], None]) -> None:
        """Servers that drain still have connections to the database, and new ones need more."""
        running = require_running(self.cluster, self._name)

        def draining() -> tuple[str | None, bool]:
            return _DRAINS if any(map(is_terminating, server_pods(self.cluster, running))) else None, False

        wait_until_none(draining, drain_seconds(running), notify)

    def _observe(self, before: Figures | None, notify: Callable[[str], None]) -> None:
        running = require_running(self.cluster, self._name)
        first, end = _sample(self.cluster, running), time.monotonic() + self.options.observe_seconds
        if isinstance(first, ClusterError):
            notify(f"the servers' metrics cannot be read, so they are not observed: {first}")
            return
        figures = between(first, first)
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(_SAMPLE_SECONDS, left))
            last = _sample(self.cluster, running)
            if isinstance(last, ClusterError):
                continue
            figures = between(first, last)
            notify(f"{_figures(figures, before)}; {max(end - time.monotonic(), 0):.0f} s left")
            errors = evolve(figures, p99_seconds=None)
            if figures.requests >= _ENOUGH_REQUESTS and worse(before, errors):
                break
        reason = worse(before, figures)
        if reason is not None:
            raise StepError(f"the servers are worse than before: {reason}")

    def _fail(
        self, record: Record, step: UpgradeStep, error: StepError, applies: Deliverer, notify: Callable[[str], None]
    ) -> None:
        """Rolls the step back, or stops. Raises `UpgradeStoppedError` in every case."""
        number, sound = record.sound[-1].step + 1, record.sound[-1]
        act = self.options.on_failure or ("rollback" if step.rolls_back else "stop")
        if act == "stop":
            self._write(record.stop(error.reason, running=record.running))
            outcome = "\n".join(_stopped(step, sound, applies))
            raise UpgradeStoppedError(number, error.reason, error.details, outcome, rolled_back=False) from None
        notify(f"{error.reason}; rolling back to {sound.version}")
        try:
            return_servers(self.cluster, applies, sound, notify)
            if leaves_last_mode(step.schema_mode, sound.schema_mode):
                # The old tables lack what was written in that mode.
                write_schema_again(self.cluster, self.props, notify)
        except StepError as second:
            self._write(record.stop(error.reason, running=record.running))
            command = applies.roll_back_command(sound.revision)
            outcome = f"The rollback failed too: {second.reason}\n{second.details}\nTo try again, run: {command}"
            raise UpgradeStoppedError(number, error.reason, error.details, outcome, rolled_back=False) from None
        stopped = record.stop(error.reason, running=None).with_revision(applies.revision())
        self._write(evolve(stopped, schema_written=None))
        outcome = (
            f"The servers are back at {sound.version}"
            f"{f' in {sound.schema_mode}' if sound.schema_mode else ''}, and ready. The datastore schema stays as it "
            "is. Fix the cause, then run the same command again."
        )
        raise UpgradeStoppedError(number, error.reason, error.details, outcome, rolled_back=True) from None


def _stopped(step: UpgradeStep, sound: Sound, applies: Deliverer) -> Iterator[str]:
    yield "Nothing was rolled back. Fix the cause, then run the same command again."
    command = applies.roll_back_command(sound.revision)
    if step.rolls_back:
        yield f"To go back to {sound.version} instead, run: {command}"
    elif step.rolls_back is None:
        yield f"{sentence(old_servers(step, sound.version))} To try, run: {command}"
    else:
        yield (
            f"If the migration has run, {old_servers(step, sound.version)}: to go back, restore the backup of the "
            f"datastore, then run: {command}"
        )


def _label(record: Record, number: int, props: SpiceDBProps) -> str:
    """The description of a step in Helm's history. It differs between upgrades, and between files."""
    plan, text = record.plan, json.dumps(release_manifests(props), sort_keys=True, default=str)
    settings = hashlib.sha256(text.encode()).hexdigest()[:7]
    place = step_of(number, len(plan.steps))
    return f"cdk8s-spicedb {plan.current} to {plan.target}, {place}, since {record.started}, settings {settings}"


def _figures(now: Figures, before: Figures | None) -> str:
    text = f"{now.requests} requests, {now.error_ratio:.2%} failed"
    if now.p99_seconds is None:
        return text
    earlier = f" ({before.p99_seconds * 1000:.0f} ms before)" if before and before.p99_seconds else ""
    return f"{text}, 99th percentile {now.p99_seconds * 1000:.0f} ms{earlier}"
