"""What is known of SpiceDB's releases: revisions, heads, flags, and the stops that an upgrade must make.

The facts are in ``releases.json``, with their source. A release that is not there is never refused: it renders with
what the newest known release takes, and its migrations are not checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from attrs import evolve, field, frozen

from .checks import Metadata, text
from .errors import SpiceDBError

VERSION = r"v(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?"


def version_check() -> Metadata:
    return text(VERSION, "a release of SpiceDB, such as v1.56.0", "write it as its release tag, with the leading 'v'")


def is_version(value: str) -> bool:
    """Whether a text reads as a release of SpiceDB."""
    return isinstance(value, str) and re.fullmatch(VERSION, value) is not None


@lru_cache(maxsize=1024)
def version_order(version: str) -> tuple[object, ...]:
    """A key that sorts versions as Semantic Versioning does: a pre-release comes before its release."""
    match = re.fullmatch(VERSION, version)
    if match is None:
        raise ValueError(f"not a release of SpiceDB: {version!r}")
    *numbers, pre = match.groups()
    parts = pre[1:].split(".") if pre else []
    return *map(int, numbers), pre is None, *((not p.isdigit(), int(p) if p.isdigit() else p) for p in parts)


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


@frozen
class ReleaseTable:
    """The releases this package knows; extend it with `with_release` when SpiceDB moves faster than this package."""

    engines: Mapping[str, EngineReleases]
    """By SpiceDB's name for the engine, its migrations and releases."""
    flags: Mapping[str, str] = field(factory=dict)
    """By flag, the first release that takes it; flags that are not here are as old as SpiceDB."""
    withdrawn: Mapping[str, str] = field(factory=dict)
    """By release that SpiceDB's makers took back, what to take instead, and why."""

    def __attrs_post_init__(self) -> None:
        if not any(engine.heads for engine in self.engines.values()):
            raise SpiceDBError("a table without releases; extend the known one, known_releases()")
        odd = sorted(str(version) for version in {*self.flags.values(), *self.withdrawn} if not is_version(version))
        if odd:
            raise SpiceDBError(f"flags or withdrawn releases that are no releases of SpiceDB: {', '.join(odd)}")

    @property
    def newest(self) -> str:
        """The newest release of any engine."""
        return max((version for engine in self.engines.values() for version in engine.heads), key=version_order)

    def knows(self, engine: str, version: str) -> bool:
        """Whether a release of an engine is in the table."""
        return engine in self.engines and version in self.engines[engine].heads

    def revisions(self, engine: str, version: str) -> tuple[str, ...]:
        """The revisions that a release can migrate to, oldest first; empty when the release is not known."""
        if not self.knows(engine, version):
            return ()
        known = self.engines[engine]
        return tuple(known.revisions[: known.revisions.index(known.heads[version]) + 1])

    def allowed_migrations(self, engine: str, version: str) -> tuple[str, ...]:
        """The heads after its own on which a release's servers should start, oldest first.

        They are those of the known later releases, so that a server that restarts during an upgrade, or comes back by
        a rollback, turns ready on the newer schema. Empty for a release that is not known or cannot be told.
        """
        if not self.knows(engine, version) or not self.takes("datastore-allowed-migrations", version):
            return ()
        known = self.engines[engine]
        heads = set(known.heads.values())
        return tuple(r for r in known.revisions[len(self.revisions(engine, version)) :] if r in heads)

    def starts_on(self, engine: str, version: str, phase: str | None = None) -> set[str]:
        """The revisions on which a release's servers turn ready; empty when the release is not known."""
        if not self.knows(engine, version):
            return set()
        return self.engines[engine].starts_on(version, phase) | set(self.allowed_migrations(engine, version))

    def takes(self, flag: str, version: str) -> bool:
        """Whether a release has a flag."""
        return flag not in self.flags or version_order(version) >= version_order(self.flags[flag])

    def since(self, flag: str) -> str:
        """The first release that has a flag that did not always exist."""
        return self.flags[flag]

    def with_release(self, version: str, revisions: Mapping[str, Sequence[str]]) -> ReleaseTable:
        """This table and one release more.

        ``revisions`` gives, by engine, the revisions that the release adds after the last known one, in order; an
        engine that is left out keeps the head of the release before. Raises `SpiceDBError` when the version is known
        already, an engine is not known, or migrations would go backward.
        """
        unknown = sorted(set(revisions) - set(self.engines))
        if unknown:
            raise SpiceDBError(f"unknown engines: {', '.join(unknown)}; known: {', '.join(self.engines)}")
        if not is_version(version):
            raise SpiceDBError(f"not a release of SpiceDB: {version!r}; write it as its tag, such as v1.56.0")
        loose = sorted(name for name, added in revisions.items() if isinstance(added, str))
        if loose:
            raise SpiceDBError(f"give a list of revisions for {', '.join(loose)}, not one text")
        if any(version in engine.heads for engine in self.engines.values()):
            raise SpiceDBError(f"{version} is in the table already")
        engines = {name: engine.with_release(version, revisions.get(name, ())) for name, engine in self.engines.items()}
        return evolve(self, engines=engines)


@cache
def known_releases() -> ReleaseTable:
    """The table that comes with this package."""
    return read_releases(json.loads(files(__package__).joinpath("releases.json").read_text("utf-8")))


def read_releases(data: Mapping[str, Any]) -> ReleaseTable:
    """The table of data in the form of ``releases.json``. Raises `SpiceDBError` when it is not sound."""
    engines = {
        name: EngineReleases(
            tuple(engine["revisions"]),
            {version: head for head, versions in engine["heads"].items() for version in versions},
            tuple(_stop(stop) for stop in data["stops"] if name in stop["engines"]),
            {
                revision: entry["caution"]
                for entry in data["cautions"]
                if entry["engine"] == name
                for revision in entry["revisions"]
            },
        )
        for name, engine in data["engines"].items()
    }
    return ReleaseTable(engines, data["flags"], data["withdrawn"])


def _stop(data: Mapping[str, Any]) -> Stop:
    rollouts = tuple(Rollout(**rollout) for rollout in data.get("rollouts", ()))
    return Stop(data["version"], data["before"], data["why"], data["source"], rollouts)
