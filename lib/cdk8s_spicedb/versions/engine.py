"""The migrations and releases of one engine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import NoReturn

from attrs import evolve, field, frozen

from ..errors import SpiceDBError

MILLION = 1_000_000


class Words(str, Enum):
    """Words that data may use."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        allowed = ", ".join(member.value for member in cls)
        raise SpiceDBError(f"{cls.__name__.lower()} is {value!r}; allowed: {allowed}")


class Work(Words):
    """What a migration does to a table."""

    INDEXES = "indexes"
    """It builds an index."""
    REWRITES = "rewrites"
    """It copies all rows to a new table."""
    FILLS = "fills"
    """It writes new columns of all rows, in batches."""
    ALTERS = "alters"
    """It changes columns or constraints. PostgreSQL checks a new constraint against all rows."""


class Waits(Words):
    """Who waits for the lock of a migration while it works on its table."""

    NOBODY = "none"
    """Servers read and write meanwhile. The migration itself waits for transactions that are open when it begins."""
    WRITES = "writes wait"
    """Servers can read, but their writes wait until the migration is done."""
    ALL = "reads and writes wait"
    """Servers can neither read nor write until the migration is done."""


@frozen
class Estimate:
    """How long a migration should take with a number of rows."""

    revision: str
    """Revision that the migration leads to."""
    table: str
    """Table on which it works."""
    rows: int
    """Number of rows of the table."""
    seconds: float
    """Estimated time, in seconds. A database with slower disks or less memory than the measured one takes longer."""
    waits: Waits = field(converter=Waits)
    """Who waits."""
    work: Work = field(converter=Work)
    """What it does to the table."""
    lock: str
    """Lock that it holds on the table, in the words of the database: PostgreSQL's lock mode, or ``ALGORITHM`` and
    ``LOCK`` of MySQL."""


@frozen(kw_only=True)
class Cost:
    """What a migration does to a table that grows with the number of relationships.

    Raises `SpiceDBError` if a value is invalid.
    """

    table: str
    """Table that it rewrites, indexes, fills or alters, without prefix."""
    work: Work = field(converter=Work)
    """What it does to the table."""
    lock: str
    """Lock that it holds on the table, in the words of the database: PostgreSQL's lock mode, or ``ALGORITHM`` and
    ``LOCK`` of MySQL."""
    seconds_per_million: float
    """Seconds for one million rows of that table, as measured. 0: it only changes the table's definition."""
    waits: Waits = field(converter=Waits)
    """Who waits."""
    source: str = ""
    """Source of this information."""

    def __attrs_post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SpiceDBError("; ".join(problems))

    def _problems(self) -> Iterator[str]:
        for name in ("table", "lock"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                yield f"{name} is {value!r}; write its name"
        rate = self.seconds_per_million
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < float("inf"):
            yield f"seconds_per_million is {rate!r}; write a number that is 0 or greater"


VERSION = r"v(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?"


def is_version(value: str) -> bool:
    """Whether a value is a SpiceDB version, such as ``v1.56.0``."""
    return isinstance(value, str) and re.fullmatch(VERSION, value) is not None


@lru_cache(maxsize=1024)
def version_order(version: str) -> tuple[object, ...]:
    """Key to sort versions by Semantic Versioning: a pre-release comes before its release."""
    match = re.fullmatch(VERSION, version)
    if match is None:
        raise ValueError(f"invalid SpiceDB version: {version!r}")
    *numbers, suffix = match.groups()
    parts = suffix[1:].split(".") if suffix else []
    return *map(int, numbers), suffix is None, *((not p.isdigit(), int(p) if p.isdigit() else p) for p in parts)


@frozen(kw_only=True)
class Rollout:
    """One roll-out of a stop that needs several."""

    revision: str
    """Revision to migrate to before the servers are rolled out."""
    datastore_migration_phase: str | None = None
    """Value of the servers' ``--datastore-migration-phase``. Defaults to none."""
    starts_on: Sequence[str]
    """Revisions on which these servers become ready, according to SpiceDB's code."""
    why: str
    """What the roll-out changes."""


@frozen
class Stop:
    """A release that an upgrade must not skip, because later releases do not work next to earlier ones."""

    version: str
    """Version to stop at."""
    before: str
    """First release that needs the stop."""
    why: str
    """What changes in that release."""
    source: str
    """Source of this information."""
    rollouts: Sequence[Rollout] = ()
    """Roll-outs of the stop, in order. Defaults to one, to the head of the release."""


@frozen
class EngineReleases:
    """The migrations of one engine, and the releases that contain them.

    Raises `SpiceDBError` with all problems of the data, such as a release from which no migration leads to the newest.
    """

    revisions: Sequence[str]
    """All revisions, in the order in which they are applied."""
    heads: Mapping[str, str]
    """Last revision of each release, by release."""
    stops: Sequence[Stop] = ()
    """Required stops of upgrades, in the order of their releases."""
    cautions: Mapping[str, str] = field(factory=dict)
    """What to know before you migrate to a revision, by revision."""
    costs: Mapping[str, Cost] = field(factory=dict)
    """What a migration does to a table that grows with the number of relationships, by revision. Revisions that are not
    listed take no time worth mentioning."""

    def __attrs_post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SpiceDBError("; ".join(problems))

    def _problems(self) -> Iterator[str]:
        versions = [*self.heads, *(version for stop in self.stops for version in (stop.version, stop.before))]
        invalid = sorted({str(version) for version in versions if not is_version(version)})
        if invalid:
            yield f"invalid SpiceDB versions: {', '.join(invalid)}"
            return
        if len(set(self.revisions)) < len(self.revisions):
            yield "duplicate revisions"
        unknown = sorted({*self.heads.values(), *self.cautions} - set(self.revisions))
        if unknown:
            yield f"heads or cautions of unknown revisions: {', '.join(unknown)}"
            return
        unknown = sorted(set(self.costs) - set(self.revisions))
        if unknown:
            yield f"costs of unknown revisions: {', '.join(unknown)}"
        heads = [self.revisions.index(self.heads[version]) for version in sorted(self.heads, key=version_order)]
        if heads != sorted(heads):
            yield "a later release has an earlier head; migrations only go forward"
        unused = self.revisions[heads[-1] + 1 :] if heads else self.revisions
        if unused:
            yield f"revisions after the last head: {', '.join(unused)}"
        stops = [stop.version for stop in self.stops]
        if stops != sorted(set(stops), key=version_order):
            yield "stops are not in order, or duplicate"
        for stop in self.stops:
            yield from (f"stop {stop.version}: {problem}" for problem in self._stop_problems(stop))

    def _stop_problems(self, stop: Stop) -> Iterator[str]:
        if stop.version not in self.heads:
            yield "unknown release"
            return
        if stop.rollouts and version_order(stop.before) > version_order(stop.version):
            yield f"upgrades to releases before {stop.before} would skip its roll-outs"
        revisions = [rollout.revision for rollout in stop.rollouts]
        for rollout, next_revision in zip(stop.rollouts, [*revisions[1:], *revisions[-1:]], strict=True):
            # A server that restarts while the next roll-out migrates must start too.
            missing = {rollout.revision, next_revision} - set(rollout.starts_on)
            if missing:
                yield f"{rollout.revision}: servers do not start on {', '.join(sorted(missing))}"
        starts_on = {revision for rollout in stop.rollouts for revision in rollout.starts_on}
        unknown = sorted({*revisions, *starts_on} - set(self.revisions))
        if unknown:
            yield f"unknown revisions: {', '.join(unknown)}"
        elif revisions != sorted(revisions, key=self.revisions.index):
            yield "roll-outs are not in order"
        elif revisions and revisions[-1] != self.heads[stop.version]:
            yield f"the last roll-out does not migrate to the head, {self.heads[stop.version]}"

    def head(self, version: str) -> str | None:
        """The last revision of a release. An unknown release has the head of the known release before it.

        A pre-release of a known release has the head of that release.
        """
        number = version_order(version)[:3]
        earlier = [known for known in self.heads if version_order(known)[:3] <= number]
        return self.heads[max(earlier, key=version_order)] if earlier else None

    def between(self, start: str | None, end: str | None) -> Sequence[str]:
        """The revisions after ``start``, up to and including ``end``. None means from the first, or to the last."""
        first = self.revisions.index(start) + 1 if start is not None else 0
        last = self.revisions.index(end) + 1 if end is not None else None
        return self.revisions[first:last]

    def cautions_of(self, revisions: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
        """The cautions of some revisions. Those with the same caution share it."""
        for caution in dict.fromkeys(self.cautions.values()):
            about = tuple(revision for revision in revisions if self.cautions.get(revision) == caution)
            if about:
                yield about, caution

    def estimate(self, start: str | None, end: str | None, rows: Mapping[str, int]) -> Sequence[Estimate]:
        """How long each migration after ``start``, up to and including ``end``, should take.

        ``rows`` is the number of rows of each table, without prefix. Migrations of other tables are left out, and so
        are those of which this table has no costs.
        """
        costs = {revision: self.costs[revision] for revision in self.between(start, end) if revision in self.costs}
        return tuple(
            Estimate(
                revision=revision,
                table=cost.table,
                rows=rows[cost.table],
                seconds=cost.seconds_per_million * rows[cost.table] / MILLION,
                waits=cost.waits,
                work=cost.work,
                lock=cost.lock,
            )
            for revision, cost in costs.items()
            if cost.table in rows
        )

    def starts_on(self, version: str, phase: str | None = None) -> set[str]:
        """The revisions on which servers of a release become ready without ``--datastore-allowed-migrations``."""
        rollouts = [rollout for stop in self.stops if stop.version == version for rollout in stop.rollouts]
        of_phase = [rollout.starts_on for rollout in rollouts if rollout.datastore_migration_phase == phase]
        head = {self.heads[version]} if version in self.heads else set()
        return set().union(*of_phase) or head

    def with_release(self, version: str, revisions: Sequence[str]) -> EngineReleases:
        """Adds a release. Without revisions, it has the head of the release before.

        A revision that is known already is shared, so the head of a release without migrations can be named.
        """
        head = revisions[-1] if revisions else self.head(version)
        if head is None:
            return self
        new = [revision for revision in revisions if revision not in self.revisions]
        return evolve(self, revisions=(*self.revisions, *new), heads={**self.heads, version: head})
