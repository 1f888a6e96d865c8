"""Rolls a live release back to the last step that worked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from attrs import frozen

from ...errors import SpiceDBError
from ...plans.words import old_servers
from ...props import SpiceDBProps
from ..cluster import Cluster
from ..instance import Running, require_running
from .deliver import Deliverer, StepError, require_settled
from .lease import held
from .record import LAST_MODE, PATIENCE_SECONDS, Progress, Record, Report, Sound, read_record, write_record
from .schema import write_schema_again
from .target import deliverer_of


@frozen(kw_only=True)
class Return:
    """A rollback, before it happens."""

    running: Running
    """What runs now."""
    target: Sound
    """The state to return to."""
    cautions: tuple[str, ...]
    """What is not restored, and what else to know."""
    blocked: str | None
    """Why the older servers would not become ready. None: they would, as far as it is known."""
    rewrites_schema: bool
    """Whether the SpiceDB schema is written again afterwards, which needs the props."""


class _Choice(NamedTuple):
    target: Sound
    record: Record | None


def plan_rollback(cluster: Cluster, name: str) -> Return:
    """What a rollback would do. Raises `SpiceDBError` if there is nothing to return to."""
    running = require_running(cluster, name)
    target, record = _choose(cluster, running, deliverer_of(cluster, running))
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
) -> Return | None:
    """Rolls the servers back to the last state that worked. Returns what it did, or None if ``confirm`` said no.

    The datastore schema stays as it is. ``props`` are only needed to return from the schema mode read-new-write-new,
    because the SpiceDB schema must then be written again. ``force`` rolls back although the older servers do not start
    on the datastore schema, such as after a restore of the backup. Raises `SpiceDBError` if the rollback is not
    possible or fails.
    """
    cluster = cluster.patient(max(cluster.patience_seconds, PATIENCE_SECONDS))

    def notify(text: str) -> None:
        report(Progress(step=1, steps=1, activity="roll back", text=text))

    with held(cluster, name, notify):
        back = plan_rollback(cluster, name)
        if back.blocked and not force:
            raise SpiceDBError(f"{back.blocked}. Restore the backup of the datastore, then add --force")
        if back.rewrites_schema and props is None:
            raise SpiceDBError(
                f"from {LAST_MODE}, the SpiceDB schema must be written again after the rollback: add --file with the "
                "file of this SpiceDB"
            )
        if not confirm(back):
            return None
        applies = deliverer_of(cluster, back.running, notify)
        record = read_record(cluster, name)
        if record is not None and record.running is not None:
            applies.recover(record.process)
        _return(cluster, applies, back, props, notify)
        if record is not None and back.target in record.sound:
            kept = record.return_to(back.target).with_revision(applies.revision())
            write_record(cluster, name, kept)
        report(Progress(step=1, steps=1, activity="done", text=f"SpiceDB {back.target.version} serves"))
        return back


def _return(
    cluster: Cluster, applies: Deliverer, back: Return, props: SpiceDBProps | None, notify: Callable[[str], None]
) -> None:
    try:
        return_servers(cluster, applies, back.target, notify)
        if back.rewrites_schema and props is not None:
            write_schema_again(cluster, props, notify)
    except StepError as error:
        details = f"\n{error.details}" if error.details else ""
        raise SpiceDBError(f"the rollback failed: {error.reason}{details}") from None


def return_servers(cluster: Cluster, applies: Deliverer, sound: Sound, notify: Callable[[str], None]) -> None:
    """Returns the servers to a sound state, and waits until they are ready and no newer server is left. Raises
    `StepError`."""
    applies.roll_back(sound.revision)
    require_settled(cluster, applies.running.name, notify)


def leaves_last_mode(before: str | None, after: str | None) -> bool:
    """Whether the SpiceDB schema is missing in the old tables after a change of the schema mode."""
    return before == LAST_MODE and after != LAST_MODE


def _choose(cluster: Cluster, running: Running, applies: Deliverer) -> _Choice:
    """The state to return to: from the record of the upgrade, or else from the history of the release."""
    record = read_record(cluster, running.name)
    if record is not None and record.running is not None:
        return _Choice(record.sound[-1], record)
    if record is not None and record.sound[1:] and applies.revision() == record.sound[-1].revision:
        return _Choice(record.sound[-2], record)
    earlier = applies.earlier()
    if earlier is None:
        raise SpiceDBError(f"{running.name} has no earlier revision to return to")
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
