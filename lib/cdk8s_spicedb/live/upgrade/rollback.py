"""Rolls a live release back to the last step that worked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from attrs import define, evolve

from ...errors import SpiceDBError
from ...plans.words import old_servers, sentence
from ...props import SpiceDBProps
from ...props.datastores import ENGINES, Datastore
from ...props.server import SCHEMA_MODE
from ..cluster import Cluster
from ..instance import Running
from ..observe import require
from ..record import Record, RecordFile, Sound, read_record
from .deliver import Deliverer, Notify, OtherProgramError, StepError, require_settled
from .hold import resume
from .lease import Lock, held
from .outcome import Activity, Outcome, Progress, Report, Return, State, as_refusal, harmless
from .prepare import deliverer_of
from .schema import write_schema_again

PATIENCE_SECONDS = 120
"""How long an upgrade waits for an API server that is away."""
LAST_MODE = "read-new-write-new"
"""The schema mode in which servers no longer write the old tables."""


class _Choice(NamedTuple):
    target: Sound
    record: Record | None


def plan_rollback(cluster: Cluster, name: str) -> Return:
    """What a rollback would do. Raises `SpiceDBError` if there is nothing to return to."""
    seen, record = require(cluster, name, rollout=True), read_record(cluster, name)
    return _plan(record, deliverer_of(cluster, seen, record=record))


def _plan(found: Record | None, applies: Deliverer) -> Return:
    running = applies.running
    target, record = _choose(found, applies)
    if not applies.is_rolled_back() and target.revision not in applies.revisions_kept():
        raise SpiceDBError(
            f"the cluster no longer has revision {target.revision} of {running.name}, because it keeps only some; to "
            f"go back, upgrade with a file that has SpiceDB {target.version}"
        )
    rewrites = leaves_last_mode(running.schema_mode, target.schema_mode)
    return Return(
        running=running,
        target=target,
        cautions=tuple(_cautions(record, target, rewrites)),
        blocked=_blocked(record, target),
        rewrites_schema=rewrites,
    )


def roll_back(
    cluster: Cluster,
    name: str,
    *,
    props: SpiceDBProps | None = None,
    force: bool = False,
    confirm: Callable[[Return], bool] = lambda _: True,
    report: Report = lambda _: None,
) -> Outcome:
    """Rolls the servers back to the last state that worked. An `Outcome` says what became of it.

    The datastore schema stays as it is. ``props`` are only needed to return from the schema mode read-new-write-new,
    because the SpiceDB schema must then be written again. ``force`` rolls back although the older servers do not start
    on the datastore schema, such as after a restore of the backup. `Outcome.require_done` raises `SpiceDBError` if the
    rollback is not possible or fails.
    """
    patient = cluster.patient(max(cluster.patience_seconds, PATIENCE_SECONDS))
    tell = harmless(report)
    return _Rollback(cluster=patient, name=name, props=props, force=force, confirm=confirm, report=tell).run()


@define(kw_only=True)
class _Rollback:
    """A rollback, and where it stands."""

    cluster: Cluster
    name: str
    props: SpiceDBProps | None
    force: bool
    confirm: Callable[[Return], bool]
    report: Report
    back: Return | None = None
    changed: bool = False
    """Whether anything may have changed."""

    def run(self) -> Outcome:
        """Rolls back, and says what became of it."""
        error: SpiceDBError | None = None
        try:
            with held(self.cluster, self.name, self._notify) as lock:
                self.cluster = lock.cluster
                state = self._run(lock)
        except KeyboardInterrupt:
            state = State.INTERRUPTED
        except OtherProgramError as failure:
            state, error = State.REFUSED, failure
        except SpiceDBError as failure:
            state, error = State.STOPPED if self.changed else State.REFUSED, failure
        except Exception as failure:
            if self.changed:
                state, error = State.STOPPED, _failed(f"{type(failure).__name__}: {failure}")
            else:
                state, error = State.REFUSED, as_refusal(failure)
        return Outcome(state=state, back=self.back, error=error)

    def _notify(self, text: str, seconds_left: int | None = None) -> None:
        self._report(Activity.ROLL_BACK, text, seconds_left)

    def _report(self, activity: Activity, text: str, seconds_left: int | None = None) -> None:
        self.report(Progress(step=1, steps=1, activity=activity, text=text, seconds_left=seconds_left))

    def _run(self, lock: Lock) -> State:
        seen, file = require(self.cluster, self.name, rollout=True), RecordFile(self.cluster, self.name)
        record = file.read()
        applies = deliverer_of(self.cluster, seen, self._notify, record)
        back = _plan(record, applies)
        if back.blocked and not self.force:
            restore = ENGINES.get(back.running.engine or "", Datastore).restore
            if record is not None and record.backup:
                restore = f"restore {record.backup} into an empty database"
            raise SpiceDBError(f"{back.blocked}. {sentence(restore)} Then add --force")
        if back.rewrites_schema and self.props is None:
            raise SpiceDBError(
                f"from {LAST_MODE}, the SpiceDB schema must be written again after the rollback: add --file with the "
                "file of this SpiceDB"
            )
        self.back = back
        applies.require_usable()
        if not self.confirm(back):
            return State.REFUSED
        lock.require()
        known = record is not None and back.target in record.sound
        if record is not None and (record.running or record.pending):
            self.changed = True
            applies.recover()
        if record is not None and known and not applies.is_rolled_back():
            self.changed = True
            file.write(evolve(record, pending=applies.next_revision()))
        self.changed = True
        try:
            running = self._return(applies, back)
        except OtherProgramError:
            if record is not None and known:
                file.write(evolve(record, pending=None))  # That revision is somebody else's.
            raise
        if record is not None and known:
            lock.require()
            file.write(record.return_to(back.target).with_revision(applies.revision()))
        self._report(Activity.DONE, f"SpiceDB {running.version or 'of an unknown version'} serves")
        return State.DONE

    def _return(self, applies: Deliverer, back: Return) -> Running:
        try:
            running = return_servers(self.cluster, applies, back.target, self._notify)
            if back.rewrites_schema and self.props is not None:
                write_schema_again(self.cluster, self.props, self._notify)
            return running
        except StepError as error:
            raise _failed(f"{error.reason}\n{error.details}".rstrip()) from None


def _failed(reason: str) -> SpiceDBError:
    return SpiceDBError(f"the rollback failed: {reason}")


def return_servers(cluster: Cluster, applies: Deliverer, sound: Sound, notify: Notify) -> Running:
    """Returns the servers to a sound state, and waits until they are ready and no newer server is left. Returns
    them. Raises `StepError` if they do not run, or are not as they were."""
    if not applies.is_rolled_back():
        applies.roll_back(sound.revision)
    resume(cluster, applies.running.name)
    seen = require(cluster, applies.running.name)
    assert seen.running is not None
    require_settled(cluster, seen.running, notify)
    settings = {
        "version": (seen.running.version, sound.version),
        f"--{SCHEMA_MODE}": (seen.running.schema_mode, sound.schema_mode),
    }
    for name, (now, wanted) in settings.items():
        if wanted is not None and now != wanted:
            raise StepError(f"{name} of the servers is {now or 'not set'} after the rollback, and not {wanted}")
    return seen.running


def leaves_last_mode(before: str | None, after: str | None) -> bool:
    """Whether the SpiceDB schema is missing in the old tables after a change of the schema mode."""
    return before == LAST_MODE and after != LAST_MODE


def _choose(record: Record | None, applies: Deliverer) -> _Choice:
    """The state to return to: from the record of the upgrade, or else from the history of the release."""
    if record is not None and record.running is not None:
        return _Choice(record.sound[-1], record)
    if record is not None and record.sound[1:]:
        # A rollback of the last step that did not end in order goes on.
        if applies.newest() == record.pending or applies.revision() == record.sound[-1].revision:
            return _Choice(record.sound[-2], record)
    elif record is not None and applies.newest() == record.sound[0].revision:
        raise SpiceDBError(
            f"the upgrade to {record.plan.target} is rolled back: {record.sound[0].version} runs, as before it. To "
            f"return to an older revision, run: {applies.roll_back_command('REVISION')}"
        )
    earlier = applies.earlier()
    if earlier is None:
        raise SpiceDBError(f"{applies.running.name} has no earlier revision to return to")
    revision, version = earlier
    return _Choice(Sound(step=0, version=version, schema_mode=None, revision=revision), None)


def _blocked(record: Record | None, target: Sound) -> str | None:
    for step in record.plan.steps[target.step : _last(record)] if record else ():
        if step.rolls_back is False:
            return old_servers(step, target.version)
    return None


def _last(record: Record) -> int:
    return record.running or record.sound[-1].step


def _cautions(record: Record | None, target: Sound, rewrites: bool) -> Iterator[str]:
    yield "the datastore schema stays as it is: SpiceDB cannot migrate back"
    if record is None:
        yield "no record of the upgrade: it is not known whether the older servers start on the datastore schema"
    for step in record.plan.steps[target.step : _last(record)] if record else ():
        if step.rolls_back is None:
            yield old_servers(step, target.version)
    if rewrites:
        yield f"what was written in {LAST_MODE} is not in the old tables until the SpiceDB schema is written again"
