"""What this package knows about SpiceDB's releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve, field, frozen

from ..errors import SpiceDBError
from .engine import EngineReleases
from .version import is_version, version_order


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
