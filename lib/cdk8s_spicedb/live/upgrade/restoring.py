"""The way back with a backup: for older servers that do not start on the newer datastore schema.

Needs the libraries of the extra ``data``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from attrs import define, evolve

from ...delivery import Delivery
from ...errors import SpiceDBError
from ...manifests.jobs import migration_manifests
from ...props import SpiceDBProps
from ...text import link
from ..check.database.aside import require_can_set_aside, set_aside
from ..cluster import Cluster
from ..data.file import beside, reading
from ..data.reach import reaching, reaching_apart, require_reachable
from ..data.restore import require_whole, restore
from ..data.summary import Summary
from ..instance import Observed, Running
from ..poll import sometimes
from ..runs import run_job
from ..text import redacted
from ..waiting import wait_until
from ..workload import drain_seconds
from .deliver import Notify
from .deployment import note_restored, stop
from .lease import Lock

_LOG_LINES = 20
_LATE_SECONDS = 120
_LONGEST_SECONDS = 24 * 3600
"""How long the server lasts into which the backup is restored."""


@define(slots=False, frozen=True)
class Restoration:
    """A backup, and the older release into which it is restored."""

    cluster: Cluster
    running: Running
    """The servers that run."""
    older: SpiceDBProps
    """The release to return to."""
    file: Path
    database_image: str | None
    notify: Notify

    def require_possible(self) -> None:
        """Raises `SpiceDBError` if the file is damaged, if the database does not allow it, or if the servers could not
        be reached. Changes nothing."""
        self.notify("reading the backup")
        _ = self._whole  # Raises an error if it is damaged.
        self.notify("asking the database whether its tables can be set aside")
        try:
            require_can_set_aside(self.cluster, self.older, _name("0" * 14), self.database_image)
        except SpiceDBError as error:
            raise SpiceDBError(
                f"a rollback cannot restore a backup here: {error}. Restore it into an empty database, as "
                f"{link('operate/backup')}#restore-by-hand describes"
            ) from None
        require_reachable(self.cluster, self.older)

    @cached_property
    def _whole(self) -> Summary:
        """The backup, summed up. Raises `SpiceDBError` if it is damaged."""
        try:
            return require_whole(self.file)
        except OSError as error:
            raise SpiceDBError(f"cannot read {self.file}: {error.strerror or error}") from None

    def cautions(self) -> Iterator[str]:
        """What the restore means, and what is lost."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            at = json.loads(beside(self.file, "json").read_text("utf-8"))["at"]
            yield f"everything that was written after {at} is lost, because the backup does not have it"
        yield from self._lost()
        yield "all servers stop until the backup is restored: meanwhile, every request fails"
        yield "all ZedTokens until now become invalid"

    def _lost(self) -> Iterator[str]:
        """How what the servers hold differs from the backup."""
        self.notify("comparing the backup with what the servers hold")
        try:
            with reaching(self.cluster, self.running.name) as server:
                after = server.clock.now()
                held = Summary.of((each for page in server.export("") for each in page.relationships), after)
        except SpiceDBError as error:
            yield f"how much that is, is not known: {error}"
            return
        with reading(self.file) as (_, relationships):
            differences = Summary.of(relationships, after).differences(held)
        if not differences:
            yield "the servers hold the same relationships as the backup"
        yield from (f"the servers hold {each} in the backup" for each in differences)

    def run(self, lock: Lock) -> None:
        """Stops the servers, sets their tables aside, and restores the backup into new ones. If it fails, or is
        interrupted, the next call goes on. Raises `SpiceDBError` if it fails."""
        name, notify = self.running.name, self.notify
        found = stop(self.cluster, self.running, self._whole.digest)
        if found.restored:
            return
        self._wait_until_stopped()
        notify("setting the tables aside")
        aside = set_aside(self.cluster, self.older, _name(found.at), self.database_image)
        notify(f"the tables are now {aside}; migrating")
        self._migrate()
        notify(f"starting a server of {self.older.version} for the restore")
        with reaching_apart(self.cluster, self.older, seconds=_LONGEST_SECONDS) as server:
            tell = sometimes(lambda number: notify(f"restored {number:,} relationships"), self.cluster.clock)

            def count(number: int) -> None:
                lock.require()
                tell(number)

            held = restore(self.file, server, go_on=True, notify=count)
        note_restored(self.cluster, name)
        notify(f"{name} holds what the backup has: {held.total:,} relationships. The newer tables are still {aside}")

    def _wait_until_stopped(self) -> None:
        def left(seen: Observed) -> tuple[str | None, bool]:
            seen.need("pods")
            return (f"{len(seen.servers)} servers are still there" if seen.servers else None), False

        seconds = drain_seconds(self.running)
        reason = wait_until(self.cluster, self.running.name, left, seconds, self.notify)
        if reason is not None:
            raise SpiceDBError(f"the servers did not stop within {seconds} s: {reason}")

    def _migrate(self) -> None:
        """Runs the migration of the older release. Without hooks, because no tool waits for it."""
        migration = evolve(self.older.migration, enabled=True)
        manifests = migration_manifests(evolve(self.older, delivery=Delivery.KUBECTL, migration=migration))
        seconds = migration.active_deadline_seconds + _LATE_SECONDS
        state, log = run_job(self.cluster, manifests, seconds=seconds)
        if not state.succeeded:
            ending = f"the migration of {self.older.version} {state.ending(seconds)}: {state.reason}"
            raise SpiceDBError("\n".join([ending.rstrip(": "), *redacted(log).splitlines()[-_LOG_LINES:]]))


def _name(at: str) -> str:
    """The name of the place for the tables. ``at`` is when the servers were stopped."""
    return f"spicedb_{at}"
