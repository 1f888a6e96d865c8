"""Upgrades where a commit is the act: writes the files of the next step, for Argo CD and Flux."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike

from attrs import evolve, frozen

from ...errors import SpiceDBError
from ...helm import write_release
from ...plans.words import step_of
from ...props import SpiceDBProps
from ...text import link
from ..cluster import Cluster
from ..instance import Observed, Running
from ..observe import require
from ..record import Record, RecordFile
from ..target import other_settings, props_at, start_or_continue
from ..workload import unsettled
from .backup import BackUp, backed_up
from .lease import Lock, held
from .outcome import unknown
from .schema import write_schema_again


@frozen(kw_only=True)
class NextStep:
    """The step whose files were written."""

    step: int | None
    """Number of the step. None: the target is reached, and nothing was written."""
    steps: int
    """Number of steps."""
    text: str
    """What was written, and what to do next."""


def write_next_step(
    cluster: Cluster,
    props: SpiceDBProps,
    folder: str | PathLike[str],
    *,
    back_up: BackUp | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> NextStep:
    """Writes the files of the next step to a folder. You commit them, and run this again when the step is done.

    First makes a backup if the step needs one: as the props say, or else with ``back_up``, as
    `UpgradeOptions.back_up` does.

    Raises `SpiceDBError`, and writes nothing, if the backup fails, or if the step before is not done: its servers are
    not all ready, or an older server is left. Raises `UpgradeStoppedError` if it fails later, when something may have
    been written.
    """
    with held(cluster, props.name, notify) as lock:
        cluster = lock.cluster
        seen = require(cluster, props.name, rollout=True)
        assert seen.running is not None
        running = seen.running
        file = RecordFile(cluster, props.name)
        earlier = file.read()
        if earlier is not None and earlier.done and _is_reached(earlier, running, props):
            return _reached(earlier)
        record = start_or_continue(cluster, props, running, lambda: running.revision)
        if record.running is not None:
            record = _finish(cluster, seen, running, props, record, record.running)
        number = record.next_step
        if number is None:
            lock.require()
            file.write(record)
            return _reached(record)
        record = backed_up(cluster, props, record, number, back_up, lambda text, _=None: notify(text))
        try:
            _write_step(lock, file, props, record, number, folder, notify)
        except Exception as error:
            raise unknown(number, error) from None
        return NextStep(step=number, steps=len(record.plan.steps), text=_next(cluster, folder, props, record, number))


def _write_step(
    lock: Lock,
    file: RecordFile,
    props: SpiceDBProps,
    record: Record,
    number: int,
    folder: str | PathLike[str],
    notify: Callable[[str], None],
) -> None:
    if record.rewrites_schema(number):
        write_schema_again(lock.cluster, props, notify)
        record = evolve(record, schema_written=number)
    write_release(folder, props_at(props, record.plan, record.step(number)), version=f"{number}.0.0")
    lock.require()
    file.write(record.begin(number))


def _is_reached(record: Record, running: Running, props: SpiceDBProps) -> bool:
    last = record.plan.steps[-1]
    return record.plan.target == props.version == running.version and last.schema_mode == props.server.schema_mode


def _missing(running: Running, props: SpiceDBProps, record: Record, number: int) -> str | None:
    """What servers lack of a step that keeps their version. None: nothing."""
    if record.plan.current != record.plan.target:
        return None
    others = other_settings(running, props_at(props, record.plan, record.step(number)))
    return f"these settings of the servers are not those of the step: {others}" if others else None


def _finish(
    cluster: Cluster, seen: Observed, running: Running, props: SpiceDBProps, record: Record, number: int
) -> Record:
    waits = record.awaits(running) or _missing(running, props, record, number) or unsettled(seen)
    if waits:
        raise SpiceDBError(
            f"{step_of(number, len(record.plan.steps))} is not done: {waits}; commit its files, and wait with "
            f"`cdk8s-spicedb status {running.name} --wait {cluster.options()}`. If the migration of a commit "
            f"failed, see {link('operate/troubleshoot')}#a-migration-fails"
        )
    return record.finish(running.revision)


def _reached(record: Record) -> NextStep:
    text = f"All steps are done: SpiceDB {record.plan.target} serves."
    return NextStep(step=None, steps=len(record.plan.steps), text=text)


def _next(cluster: Cluster, folder: str | PathLike[str], props: SpiceDBProps, record: Record, number: int) -> str:
    step, steps = record.step(number), len(record.plan.steps)
    then = "" if number == steps else ", and run this command again for the next step"
    return (
        f"Wrote {folder}: {step_of(number, steps)}, SpiceDB {step.version}: {step.why}.\n"
        f"Commit and push it. Then wait with `cdk8s-spicedb status {props.name} --wait {cluster.options()}`{then}."
    )
