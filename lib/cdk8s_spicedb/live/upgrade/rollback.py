"""Rolls a live release back to the last step that worked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attrs import define, evolve

from ...errors import SpiceDBError
from ...plans.words import old_servers, sentence
from ...props import SpiceDBProps
from ...props.datastores import ENGINES, Datastore
from ...props.server import SCHEMA_MODE
from ...versions import SCHEMA_MODES
from ..cluster import Cluster
from ..instance import Observed, Running, describe, revision_of
from ..observe import require
from ..record import Record, RecordFile, Sound, read_record
from ..target import props_at, props_before
from .deliver import Deliverer, Notify, OtherProgramError, StepError, require_settled
from .deployment import forget, require_not_stopped, resume
from .lease import Lock, held
from .outcome import Activity, Outcome, Progress, Report, Return, State, as_refusal, harmless
from .prepare import deliverer_of
from .schema import write_schema_again

if TYPE_CHECKING:
    from .restoring import Restoration

_SERVERS_STOPPED = (
    "The servers may be stopped. Fix the cause, then run the same command again: it goes on. The newer tables are "
    "still in the database."
)
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
            f"go back, set version to {target.version} and migration.enabled to false in the file, run `cdk8s-spicedb "
            "synth`, and apply the output"
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
    restore: str | PathLike[str] | None = None,
    database_image: str | None = None,
    confirm: Callable[[Return], bool] = lambda _: True,
    report: Report = lambda _: None,
) -> Outcome:
    """Rolls the servers back to the last state that worked. An `Outcome` says what became of it.

    The datastore schema stays as it is. ``props`` are only needed to return from the schema mode read-new-write-new,
    because the SpiceDB schema must then be written again, and for ``restore``. ``force`` rolls back although the older
    servers do not start on the datastore schema, such as after a restore of the database.

    ``restore`` is a file that `back_up` wrote before the upgrade. All servers stop. The tables of SpiceDB are set
    aside, and stay in the database. The older release makes new ones, and the backup is restored into them. Then the
    servers return. What was written after the backup is lost. Needs the extra ``data``. ``database_image`` is the image
    of the database's client, and defaults to that of the engine from Docker Hub.

    `Outcome.require_done` raises `SpiceDBError` if the rollback is not possible or fails.
    """
    return _Rollback(
        cluster=cluster.for_changes(),
        name=name,
        props=props,
        force=force,
        restore=None if restore is None else Path(restore),
        database_image=database_image,
        confirm=confirm,
        report=harmless(report),
    ).run()


@define(kw_only=True)
class _Rollback:
    """A rollback, and where it stands."""

    cluster: Cluster
    name: str
    props: SpiceDBProps | None
    force: bool
    restore: Path | None
    database_image: str | None
    confirm: Callable[[Return], bool]
    report: Report
    back: Return | None = None
    changed: bool = False
    """Whether anything may have changed."""
    restoring: bool = False
    """Whether the restore of a backup has begun."""

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
            state, error = State.STOPPED if self.restoring else State.REFUSED, failure
        except SpiceDBError as failure:
            state, error = State.STOPPED if self.changed else State.REFUSED, failure
        except Exception as failure:
            if self.changed:
                state, error = State.STOPPED, _failed(f"{type(failure).__name__}: {failure}")
            else:
                state, error = State.REFUSED, as_refusal(failure)
        if self.restoring and state is not State.DONE:
            error = SpiceDBError(f"{error}\n{_SERVERS_STOPPED}" if error else _SERVERS_STOPPED)
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
        restoration = self._restoration(seen, record, back)
        if restoration is None:
            require_not_stopped(self.cluster, self.name)
        else:
            restoration.require_possible()
            cautions = tuple(restoration.cautions())
            back = evolve(back, cautions=cautions, blocked=None, rewrites_schema=False, restores=str(restoration.file))
        if back.blocked and not self.force:
            raise SpiceDBError(_blocked_for_good(back, record))
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
            if restoration is not None:
                self.restoring = True
                restoration.run(lock)
            running = self._return(applies, back)
        except OtherProgramError:
            if record is not None and known:
                file.write(evolve(record, pending=None))  # That revision is somebody else's.
            raise
        if record is not None and known:
            lock.require()
            file.write(record.return_to(back.target).with_revision(applies.revision()))
        if restoration is not None:
            forget(self.cluster, self.name)
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

    def _restoration(self, seen: Observed, record: Record | None, back: Return) -> Restoration | None:
        """The restore of the backup. None: nothing is restored."""
        if self.restore is None:
            return None
        if self.props is None:
            raise SpiceDBError("to restore a backup, add --file with the file of this SpiceDB")
        from .restoring import Restoration  # It needs more libraries than the rollback itself.

        def notify(text: str, seconds_left: int | None = None) -> None:
            self._report(Activity.RESTORE, text, seconds_left)

        older = _older(seen, self.props, record, back.target)
        return Restoration(self.cluster, back.running, older, self.restore, self.database_image, notify)


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


def _blocked_for_good(back: Return, record: Record | None) -> str:
    """Why a rollback is refused, and what to do."""
    if record is not None and record.backup_file:
        return (
            f"{back.blocked}. To go back, restore {record.backup}: run the same command with --restore and --file. It "
            "says what is lost, and asks"
        )
    restore = ENGINES.get(back.running.engine or "", Datastore).restore
    if record is not None and record.backup:
        restore = f"restore {record.backup} into an empty database"
    return f"{back.blocked}. {sentence(restore)} Then add --force"


def _older(seen: Observed, props: SpiceDBProps, record: Record | None, target: Sound) -> SpiceDBProps:
    """The props of the release to return to."""
    if target.version is None:
        raise SpiceDBError("it is not known which release ran before, so the backup cannot be restored into it")
    if record is not None and target.step:
        return props_at(props, record.plan, record.step(target.step))
    seen.need("replica_sets")
    assert seen.deployment is not None
    sets = sorted(seen.replica_sets, key=lambda each: int(revision_of(each) or 0), reverse=True)
    found = (describe({**seen.deployment, "spec": each["spec"]}) for each in sets)
    # Without a record, the mode is not known.
    modes = (target.schema_mode,) if record is not None else (None, *SCHEMA_MODES)
    before = next((each for each in found if each.version == target.version and each.schema_mode in modes), None)
    if before is None:
        raise SpiceDBError(f"the cluster keeps no ReplicaSet of {target.version}, so its settings are not known")
    return props_before(props, target.version, before)


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
