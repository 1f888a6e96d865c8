"""The migrations of one engine, and the releases that contain them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from ..errors import SpiceDBError
from .version import is_version, version_order


@frozen(kw_only=True)
class Rollout:
    """One roll-out of a stop that takes several."""

    revision: str
    """The revision to which it migrates."""
    datastore_migration_phase: str | None = None
    """What the servers are told with ``--datastore-migration-phase``; None: nothing."""
    starts_on: Sequence[str]
    """The revisions on which such a server turns ready, as SpiceDB's own code says."""
    why: str
    """What is different after it."""


@frozen
class Stop:
    """A release through which an upgrade must go, because those beyond do not run beside those before it."""

    version: str
    """The release to stop at."""
    before: str
    """The first release that is reached through it."""
    why: str
    """What changes there."""
    source: str
    """Where that is written."""
    rollouts: Sequence[Rollout] = ()
    """Its roll-outs, in order; without any it is one, to its head."""


@frozen
class EngineReleases:
    """One engine's migrations and the releases that carry them.

    Raises `SpiceDBError` with all that is unsound: every release has to lead to the newest.
    """

    revisions: Sequence[str]
    """Every revision, in the order in which they replace one another."""
    heads: Mapping[str, str]
    """By release, the last revision that it knows."""
    stops: Sequence[Stop] = ()
    """Where upgrades must stop, in the order of releases."""
    cautions: Mapping[str, str] = field(factory=dict)
    """By revision, what somebody who migrates to it should know beforehand."""

    def __attrs_post_init__(self) -> None:
        found = list(self._faults())
        if found:
            raise SpiceDBError("; ".join(found))

    def _faults(self) -> Iterator[str]:
        named = [*self.heads, *(version for stop in self.stops for version in (stop.version, stop.before))]
        odd = sorted({str(version) for version in named if not is_version(version)})
        if odd:
            yield f"not releases of SpiceDB: {', '.join(odd)}"
            return
        if len(set(self.revisions)) < len(self.revisions):
            yield "a revision twice"
        strangers = sorted({*self.heads.values(), *self.cautions} - set(self.revisions))
        if strangers:
            yield f"heads or cautions that are not among the revisions: {', '.join(strangers)}"
            return
        heads = [self.revisions.index(self.heads[version]) for version in sorted(self.heads, key=version_order)]
        if heads != sorted(heads):
            yield "a later release has an earlier head; migrations only go forward"
        homeless = self.revisions[heads[-1] + 1 :] if heads else self.revisions
        if homeless:
            yield f"revisions that no release has: {', '.join(homeless)}"
        versions = [stop.version for stop in self.stops]
        if versions != sorted(set(versions), key=version_order):
            yield "stops out of order"
        for stop in self.stops:
            yield from (f"stop {stop.version}: {fault}" for fault in self._stop_faults(stop))

    def _stop_faults(self, stop: Stop) -> Iterator[str]:
        if stop.version not in self.heads:
            yield "no known release"
            return
        if stop.rollouts and version_order(stop.before) > version_order(stop.version):
            yield f"releases before {stop.before} would pass it without its roll-outs"
        revisions = [rollout.revision for rollout in stop.rollouts]
        for rollout, following in zip(stop.rollouts, [*revisions[1:], *revisions[-1:]], strict=True):
            # A server that restarts while the next roll-out migrates has to come back too.
            missing = {rollout.revision, following} - set(rollout.starts_on)
            if missing:
                yield f"{rollout.revision}: servers do not start on {', '.join(sorted(missing))}"
        started = {revision for rollout in stop.rollouts for revision in rollout.starts_on}
        strangers = sorted({*revisions, *started} - set(self.revisions))
        if strangers:
            yield f"unknown revisions: {', '.join(strangers)}"
        elif revisions != sorted(revisions, key=self.revisions.index):
            yield "roll-outs out of order"
        elif revisions and revisions[-1] != self.heads[stop.version]:
            yield f"its last roll-out does not end at its head, {self.heads[stop.version]}"

    def head(self, version: str) -> str | None:
        """The last revision of a release; that of the known release before it when it is not known itself.

        A pre-release of a known release has that release's head.
        """
        number = version_order(version)[:3]
        earlier = [known for known in self.heads if version_order(known)[:3] <= number]
        return self.heads[max(earlier, key=version_order)] if earlier else None

    def between(self, start: str | None, end: str | None) -> Sequence[str]:
        """The revisions after ``start``, up to and with ``end``; None is before the first and after the last."""
        first = self.revisions.index(start) + 1 if start is not None else 0
        last = self.revisions.index(end) + 1 if end is not None else None
        return self.revisions[first:last]

    def starts_on(self, version: str, phase: str | None = None) -> set[str]:
        """The revisions on which a release's servers turn ready without being told of them."""
        rollouts = [rollout for stop in self.stops if stop.version == version for rollout in stop.rollouts]
        found = {r for rollout in rollouts if rollout.datastore_migration_phase == phase for r in rollout.starts_on}
        return found or {head for known, head in self.heads.items() if known == version}

    def with_release(self, version: str, revisions: Sequence[str]) -> EngineReleases:
        """These and one release more; without revisions of its own it has the head of the release before."""
        head = revisions[-1] if revisions else self.head(version)
        if head is None:
            return self
        return evolve(self, revisions=(*self.revisions, *revisions), heads={**self.heads, version: head})
