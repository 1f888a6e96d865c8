"""Upgrades a live release, step by step: apply, wait, test, observe; and go back if that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal

from attrs import define, evolve, field, frozen

from ...errors import SpiceDBError
from ...plans.plan import UpgradeStep
from ...plans.words import step_of
from ...props import SpiceDBProps
from ..check.check import CheckOptions
from ..cluster import Cluster
from ..instance import Observed, Running
from ..observe import require
from ..pods import drains
from ..record import Record, RecordFile, not_in_place
from ..rehearsed import settings_of
from ..target import other_settings, props_at
from ..waiting import wait_until
from ..workload import drain_seconds
from .backup import BackUp, backed_up
from .deliver import Deliverer, Notify, OtherProgramError, StepError, require_settled
from .deployment import holding
from .lease import BusyError, Lock, held
from .observation import figures_before, observe_servers, try_sample
from .outcome import (
    UNKNOWN,
    Activity,
    Outcome,
    Progress,
    Report,
    State,
    UpgradeStoppedError,
    as_refusal,
    harmless,
    unknown,
)
from .preflight import Preflight, preflight
from .prepare import deliverer_of, prepare
from .rollback import leaves_last_mode, return_servers
from .schema import write_schema_again
from .ways import ways

if TYPE_CHECKING:
    from .answers import Answers

_DRAINS = "waiting for the older servers to stop"
_UNAPPLIED = "Nothing of this step was applied. Fix the cause, then run the same command again."
_PAUSED = "The Deployment is paused, so all servers are as before. This command and `rollback` both resume it."


@frozen(kw_only=True)
class UpgradeOptions:
    """How an upgrade runs."""

    observe_seconds: int = 30
    """Time for which the servers' metrics are observed after each step, in seconds. 0: not at all."""
    on_failure: Literal["rollback", "stop"] | None = None
    """What to do when a step fails. Defaults to a rollback of the step if the plan says that the servers of the step
    before become ready, and otherwise to a stop."""
    check: CheckOptions | None = field(factory=CheckOptions)
    """What is checked before the first step. None: nothing."""
    back_up: BackUp | None = None
    """Backs up the SpiceDB of a name, and returns where the backup is, in words. Runs before each step after which the
    older servers do not become ready, or may not. Only runs if the props have no ``upgrade_backup``, which takes
    precedence. None: nothing else is backed up."""
    questions: int = 0
    """Number of questions that one new server answers in each step, before any client reaches a new server. If an
    answer differs from that of the older servers at the same revision, the step fails. Needs the extra ``data``.
    Defaults to 0: nothing is asked."""
    most_steps: int | None = None
    """Maximum number of steps. The next call goes on. None: all that are left."""


def upgrade(
    cluster: Cluster,
    props: SpiceDBProps,
    *,
    options: UpgradeOptions | None = None,
    confirm: Callable[[Preflight], bool] = lambda _: True,
    report: Report = lambda _: None,
) -> Outcome:
    """Upgrades the SpiceDB that runs to what the props say: plans, checks, asks, and does each step.

    ``confirm`` gets the steps that are left, what the check found and what the next step means, before anything
    changes. If an upgrade is under way, this goes on where it stands. An `Outcome` says what became of the upgrade; its
    ``require_done`` raises `UpgradeStoppedError` if a step failed, `BusyError` if another process works on the release,
    `CheckFailedError` if the check failed, and another `SpiceDBError` if there is nothing to upgrade.
    """
    chosen, tell = options or UpgradeOptions(), harmless(report)
    return _Upgrade(cluster=cluster.for_changes(), props=props, options=chosen, confirm=confirm, report=tell).run()


@define(kw_only=True)
class _Upgrade:
    """An upgrade, and where it stands."""

    cluster: Cluster
    props: SpiceDBProps
    options: UpgradeOptions
    confirm: Callable[[Preflight], bool]
    report: Report
    record: Record | None = None
    step: int | None = None
    """Number of the step that is at work."""
    changed: bool = False
    """Whether anything may have changed."""
    lock: Lock = field(init=False)
    """The lock of the release."""
    file: RecordFile = field(init=False)
    """The record in the cluster."""

    def run(self) -> Outcome:
        """Upgrades, and returns the outcome. After the first change, no outcome says that nothing was changed."""
        try:
            with held(self.cluster, self.props.name, self._tell(Activity.PREPARE)) as self.lock:
                self.cluster = self.lock.cluster
                state = self._run()
            return Outcome(state=state, record=self.record)
        except KeyboardInterrupt:
            return Outcome(state=State.INTERRUPTED, record=self.record)
        except UpgradeStoppedError as error:
            state = State.ROLLED_BACK if error.rolled_back else State.STOPPED
            return Outcome(state=state, record=self.record, error=error)
        except Exception as error:
            if self.changed:
                return Outcome(state=State.STOPPED, record=self.record, error=unknown(self.step or 0, error))
            return Outcome(state=State.REFUSED, record=self.record, error=as_refusal(error))

    def _run(self) -> State:
        tell = self._tell(Activity.PREPARE)
        self.file = RecordFile(self.cluster, self.props.name)
        self.file.read()
        prepared = prepare(self.cluster, self.props, tell)
        deliverer_of(self.cluster, prepared.seen, tell, prepared.record).require_usable()
        first, self.record = try_sample(self.cluster, prepared.running), prepared.record
        if not self.confirm(preflight(self.cluster, self.props, prepared, self.options.check, tell)):
            return State.REFUSED
        if self.record.before is None:
            self.record = evolve(self.record, before=figures_before(self.cluster, prepared.running, first))
        done = 0
        while (number := self.record.next_step) is not None:
            if done == self.options.most_steps:
                return State.PAUSED
            self.lock.require()
            self.step = number
            self._run_step(self.record, number)
            done += 1
        self._tell(Activity.DONE)(f"SpiceDB {self.props.version} serves")
        return State.DONE

    def _tell(self, activity: Activity) -> Notify:
        """What reports an activity of the present step."""
        steps = len(self.record.plan.steps) if self.record else 0
        number = steps if activity is Activity.DONE else self.step or 0

        def notify(text: str, seconds_left: int | None = None) -> None:
            self.report(
                Progress(
                    step=number,
                    steps=steps if number else 0,
                    activity=activity,
                    text=text,
                    seconds_left=seconds_left,
                )
            )

        return notify

    def _run_step(self, record: Record, number: int) -> None:
        """Does one step, from where it stands. Raises `UpgradeStoppedError` if it fails."""
        step, props = record.step(number), props_at(self.props, record.plan, record.step(number))
        seen = require(self.cluster, self.props.name)
        applies = deliverer_of(self.cluster, seen, self._tell(Activity.APPLY), record)
        before, changed = record, self.changed or record.rewrites_schema(number) or record.running == number
        if record.running == number:
            self.changed = True
            applies.recover()
            if applies.is_rolled_back():
                record = record.with_revision(applies.newest())
        record = self._back_up(record, number)
        answers = self._ask(record)
        try:
            record = self._rewrite_schema(record, number, props)
            self._write(record.begin(number))
            self._apply(applies, step, props, number, answers)
            self._check(applies, step, props)
            self._write(self._sound().finish(applies.revision()))
        except StepError as error:
            raise self._fail(step, error, applies) from None
        except OtherProgramError as error:
            # Nothing of the step was applied, so there is no way back.
            self._note(before.stop(str(error), running=None))
            self.changed = changed
            raise

    def _sound(self) -> Record:
        assert self.record is not None
        return self.record

    def _write(self, record: Record) -> None:
        self.lock.require()
        self.changed = True
        self.file.write(record)
        self.record = record

    def _back_up(self, record: Record, number: int) -> Record:
        """Backs up before a step without a sure way back, unless the step has begun."""
        tell, back_up = self._tell(Activity.BACK_UP), self.options.back_up
        with self._before_step(record, "the backup failed: "):
            return backed_up(self.cluster, self.props, record, number, back_up, tell)

    def _ask(self, record: Record) -> Answers | None:
        """What the servers that run answer. None: nothing is to be asked."""
        if not self.options.questions:
            return None
        from .answers import ask  # It needs more libraries than the upgrade itself.

        self._tell(Activity.COMPARE)("asking the servers that run")
        with self._before_step(record, "the servers could not be asked: "):
            return ask(self.cluster, self.props, self.options.questions)

    @contextmanager
    def _before_step(self, record: Record, what: str) -> Iterator[None]:
        """An error inside comes before the step has applied anything, unless the step has begun already."""
        try:
            yield
        except SpiceDBError as error:
            if not self.changed:
                if isinstance(error, BusyError):
                    raise
                raise SpiceDBError(f"{what}{error}\nNothing was changed.") from None
            outcome = UNKNOWN if record.running is not None else _UNAPPLIED
            raise UpgradeStoppedError(self.step or 0, f"{what}{error}", "", outcome, rolled_back=False) from None

    def _rewrite_schema(self, record: Record, number: int, props: SpiceDBProps) -> Record:
        if not record.rewrites_schema(number):
            return record
        self.changed = True
        write_schema_again(self.cluster, props, self._tell(Activity.SCHEMA))
        record = evolve(record, schema_written=number)
        self._write(record)
        return record

    def _apply(
        self, applies: Deliverer, step: UpgradeStep, props: SpiceDBProps, number: int, before: Answers | None
    ) -> None:
        label, notify = _label(self._sound(), number, props), self._tell(Activity.APPLY)
        notify(f"{step.version}{f' in {step.schema_mode}' if step.schema_mode else ''}: {step.why}")
        # Of a rollback that was interrupted, it is not known how far it came.
        if applies.pending is not None or not applies.is_applied(label):
            self._wait_for_draining(applies.running, notify)
            with holding(self.cluster, applies.running) if before else nullcontext():
                applies.apply(props, label, number)
        if applies.is_held():
            if before:
                from .answers import require_equal

                require_equal(self.cluster, props, before, self._tell(Activity.COMPARE))
            applies.roll_out(props)

    def _wait_for_draining(self, running: Running, notify: Notify) -> None:
        """Servers that drain still have connections to the database, and new ones need more."""

        def draining(seen: Observed) -> tuple[str | None, bool]:
            seen.need("pods")
            return _DRAINS if any(drains(pod, seen.at) for pod in seen.servers) else None, False

        wait_until(self.cluster, running.name, draining, drain_seconds(running), notify)

    def _check(self, applies: Deliverer, step: UpgradeStep, props: SpiceDBProps) -> None:
        """Waits, tests and observes. Raises `StepError` if the servers do not work as before."""
        self._tell(Activity.SETTLE)(_DRAINS)
        seen = require(self.cluster, self.props.name)
        assert seen.running is not None
        require_settled(self.cluster, seen.running, self._tell(Activity.SETTLE))
        self._require_in_place(seen.running, step, props)
        if props.test is not None:
            self._tell(Activity.TEST)("running the permission test")
            applies.test()
        if self.options.observe_seconds:
            seconds, notify = self.options.observe_seconds, self._tell(Activity.OBSERVE)
            observe_servers(self.cluster, seen.running, seconds, self._sound().before, notify)

    def _require_in_place(self, running: Running, step: UpgradeStep, props: SpiceDBProps) -> None:
        """Raises `StepError` if other servers run than those of the step, although the program has succeeded."""
        wrong = not_in_place(running, step)
        if wrong is not None:
            raise StepError(f"{wrong}; if the Helm release has its own values, such as image.tag, remove them")
        others = other_settings(running, props)
        if others is not None:
            self._tell(Activity.SETTLE)(f"these settings of the servers are not those of the file: {others}")

    def _fail(self, step: UpgradeStep, error: StepError, applies: Deliverer) -> UpgradeStoppedError:
        """Rolls the step back, or stops. Returns the error that says which."""
        record = self._sound()
        number, sound = record.sound[-1].step + 1, record.sound[-1]

        def stopped(outcome: str, *, rolled_back: bool = False) -> UpgradeStoppedError:
            return UpgradeStoppedError(number, error.reason, error.details, outcome, rolled_back=rolled_back)

        paused = applies.is_held()
        # Then no server has changed, so the way back is sure.
        act = self.options.on_failure or ("rollback" if step.rolls_back or paused else "stop")
        if act == "stop":
            self._note(record.stop(error.reason, running=record.running))
            return stopped("\n".join([*ways(step, record, applies, self.props), *([_PAUSED] if paused else [])]))
        notify = self._tell(Activity.ROLL_BACK)
        notify(f"{error.reason}; rolling back to {sound.version}")
        try:
            self.lock.require()
            record = evolve(record, pending=applies.next_revision())
            self._note(record)
            return_servers(self.cluster, applies, sound, notify)
            if leaves_last_mode(step.schema_mode, sound.schema_mode):
                # The old tables lack what was written in that mode.
                write_schema_again(self.cluster, self.props, notify)
            revision = applies.revision()
        except Exception as second:  # Whatever it is, it must not hide why the step failed.
            pending = None if isinstance(second, OtherProgramError) else record.pending
            self._note(evolve(record.stop(error.reason, running=record.running), pending=pending))
            command = applies.roll_back_command(sound.revision)
            return stopped(f"The rollback failed too: {_details(second)}\nTo try again, run: {command}")
        back = record.stop(error.reason, running=None).with_revision(revision)
        written = self._note(evolve(back, schema_written=None))
        mode = f" in {sound.schema_mode}" if sound.schema_mode else ""
        text = (
            f"The servers are back at {sound.version}{mode}, and ready. The datastore schema stays as it "
            "is. Fix the cause, then run the same command again."
        )
        return stopped(f"{text}{written}", rolled_back=not written)

    def _note(self, record: Record) -> str:
        """Writes the record when a step has failed. Returns a sentence if that is not possible."""
        try:
            self._write(record)
        except Exception as error:  # Why the step failed matters more.
            return f" The record of the upgrade could not be written: {error}"
        return ""


def _details(error: Exception) -> str:
    return f"{error.reason}\n{error.details}" if isinstance(error, StepError) else str(error)


def _label(record: Record, number: int, props: SpiceDBProps) -> str:
    """The description of a step in Helm's history. It differs between upgrades, and between files."""
    plan, settings = record.plan, settings_of(props)[:7]
    place = step_of(number, len(plan.steps))
    return f"cdk8s-spicedb {plan.current} to {plan.target}, {place}, since {record.started}, settings {settings}"
