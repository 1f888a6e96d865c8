"""An upgrade before it changes anything: its steps, what the check found, and what the next step means."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ...props import SpiceDBProps
from ..check.check import CheckOptions, CheckReport
from ..cluster import Cluster
from ..instance import Running
from ..record import Record
from ..rehearsed import lacks_rehearsal
from .deliver import Notify, silent
from .outcome import CheckFailedError
from .prepare import Prepared, deliverer_of, prepare


@frozen(kw_only=True)
class Preflight:
    """An upgrade, before it changes anything."""

    running: Running
    """What runs."""
    record: Record
    """The steps, and where they stand."""
    check: CheckReport | None
    """What the check found. None: nothing was checked."""
    meaning: tuple[str, ...]
    """What the next step means, in sentences."""
    unsure: Sequence[int] = ()
    """Numbers of the steps that have not begun, and that may be impossible to roll back. They need a backup."""
    unrehearsed: bool = False
    """Whether there are such steps, and nobody has rehearsed the upgrade in the last day. False if the engine of the
    datastore cannot be rehearsed."""


def preflight(
    cluster: Cluster, props: SpiceDBProps, prepared: Prepared, options: CheckOptions | None, tell: Notify
) -> Preflight:
    """Checks, and says what the next step means. Raises `CheckFailedError`. Without options, it checks nothing."""
    found = None
    if options is not None:
        tell("checking")
        found = prepared.check(options)
        if not found.ok:
            raise CheckFailedError(found)
    return Preflight(
        running=prepared.running,
        record=prepared.record,
        check=found,
        meaning=prepared.meaning(),
        unsure=prepared.record.unsure,
        unrehearsed=lacks_rehearsal(cluster, props, prepared.record.unsure),
    )


def preview(cluster: Cluster, props: SpiceDBProps, options: CheckOptions | None, tell: Notify = silent) -> Preflight:
    """What `upgrade` passes to ``confirm``, without the lock of the release: it changes nothing.

    Raises `CheckFailedError` if the check fails, and another `SpiceDBError` if the upgrade would be refused.
    """
    prepared = prepare(cluster, props, tell)
    deliverer_of(cluster, prepared.seen, tell, prepared.record).require_usable()
    return preflight(cluster, props, prepared, options, tell)
