"""The table of SpiceDB's releases.

The data and its sources are in ``releases.json``. Releases that are not in it are valid too: they render with the
settings of the newest known release, and their migrations are not checked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeVar, get_args

from attrs import NOTHING, evolve, field, fields, frozen

from ..errors import SpiceDBError
from .advisories import Advisory, read_advisory
from .engine import Cost, EngineReleases, Rollout, Stop, is_version, version_order

_T = TypeVar("_T")

SCHEMA_MODE_FLAG = "experimental-schema-mode"
"""The flag with the tables in which servers read and write the SpiceDB schema."""
ALLOWED_MIGRATIONS = "datastore-allowed-migrations"
"""The flag with the schemas on which servers start, in addition to the one of their own release."""
SchemaMode = Literal["read-legacy-write-legacy", "read-legacy-write-both", "read-new-write-both", "read-new-write-new"]
_MEANINGS = (
    "servers use only the old schema tables",
    "servers read the schema from the old tables, and also write it to the unified table",
    "servers read the schema from the unified table, and also write it to the old tables",
    "servers use only the unified schema table",
)
SCHEMA_MODES: Mapping[str, str] = dict(zip(get_args(SchemaMode), _MEANINGS, strict=True))
"""The modes of ``--experimental-schema-mode``, in their order, with what servers do in each."""


@frozen
class ReleaseTable:
    """Known releases of SpiceDB. Add newer releases with `with_release`."""

    engines: Mapping[str, EngineReleases]
    """Migrations and releases of each engine, by SpiceDB's name for the engine."""
    flags: Mapping[str, str] = field(factory=dict)
    """First release that has a flag, by flag. All releases have the flags that are not listed."""
    advisories: Sequence[Advisory] = ()
    """What is known to be wrong with releases."""
    lacks: Mapping[str, Sequence[str]] = field(factory=dict)
    """Flags of `flags` that a release does not have, although an earlier one has them, by release."""
    schema_modes: Mapping[str, Sequence[str]] = field(factory=dict)
    """Modes of ``--experimental-schema-mode``, by release. Others with the flag have those of `SCHEMA_MODES`."""

    def __attrs_post_init__(self) -> None:
        if not any(engine.heads for engine in self.engines.values()):
            raise SpiceDBError("the table has no releases; extend known_releases()")
        invalid = sorted(str(version) for version in self.flags.values() if not is_version(version))
        if invalid:
            raise SpiceDBError(f"flags with invalid SpiceDB versions: {', '.join(invalid)}")
        names = [name for each in self.advisories for name in each.names]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SpiceDBError(f"several advisories have the same name: {', '.join(twice)}")

    @property
    def newest(self) -> str:
        """The newest release of any engine."""
        return max((version for engine in self.engines.values() for version in engine.heads), key=version_order)

    def __contains__(self, version: str) -> bool:
        return any(version in engine.heads for engine in self.engines.values())

    @property
    def withdrawn(self) -> Mapping[str, str]:
        """What to use instead of a release that the SpiceDB maintainers withdrew, and why, by release."""
        return {
            version: f"use {advisory.fixed} ({advisory.id})"
            for advisory in self.advisories
            for version in advisory.withdrawn
        }

    def advisory(self, name: str) -> Advisory | None:
        """The advisory with this name. None if there is none."""
        return next((each for each in self.advisories if name in each.names), None)

    def knows(self, engine: str, version: str) -> bool:
        """Whether a release of an engine is in the table."""
        return engine in self.engines and version in self.engines[engine].heads

    def revisions(self, engine: str, version: str) -> tuple[str, ...]:
        """The revisions that a release can migrate to, oldest first. Empty for an unknown release."""
        if not self.knows(engine, version):
            return ()
        known = self.engines[engine]
        return tuple(known.revisions[: known.revisions.index(known.heads[version]) + 1])

    def allowed_migrations(self, engine: str, version: str) -> tuple[str, ...]:
        """The heads of known later releases, oldest first: revisions on which servers of a release should start.

        A server that restarts during an upgrade, or after a rollback, then becomes ready on the newer schema. Empty for
        an unknown release, and for one without ``--datastore-allowed-migrations``.
        """
        if not self.knows(engine, version) or not self.takes(ALLOWED_MIGRATIONS, version):
            return ()
        known = self.engines[engine]
        heads, later = set(known.heads.values()), known.revisions[len(self.revisions(engine, version)) :]
        return tuple(revision for revision in later if revision in heads)

    def starts_on(self, engine: str, version: str, phase: str | None = None) -> set[str]:
        """The revisions on which servers of a release become ready. Empty for an unknown release."""
        if not self.knows(engine, version):
            return set()
        return self.engines[engine].starts_on(version, phase) | set(self.allowed_migrations(engine, version))

    def takes(self, flag: str, version: str) -> bool:
        """Whether a release has a flag."""
        since = self.flags.get(flag)
        has = since is None or version_order(version) >= version_order(since)
        return has and flag not in self.lacks.get(version, ())

    def modes(self, version: str) -> Sequence[str]:
        """The modes of ``--experimental-schema-mode`` that a release has."""
        if not self.takes(SCHEMA_MODE_FLAG, version):
            return ()
        return tuple(self.schema_modes.get(version, SCHEMA_MODES))

    def since(self, flag: str) -> str:
        """The first release that has a flag of `flags`."""
        return self.flags[flag]

    def with_advisories(self, advisories: Sequence[Advisory]) -> ReleaseTable:
        """A copy of this table with more advisories. Raises `SpiceDBError` if one has a name that is known already."""
        return evolve(self, advisories=(*self.advisories, *advisories))

    def with_release(
        self,
        version: str,
        revisions: Mapping[str, Sequence[str]],
        *,
        flags: Sequence[str] | None = None,
        schema_modes: Sequence[str] | None = None,
    ) -> ReleaseTable:
        """A copy of this table with one more release.

        ``revisions`` are the revisions that the release adds after the last known one, in order, by engine. For a
        release that adds none, name its head, or leave out the engine: it keeps the head of the release before.
        ``flags`` are those of this table that the release takes, by default all that the release before takes, and
        ``schema_modes`` the modes of ``--experimental-schema-mode`` that it has. Raises
        `SpiceDBError` if the version is invalid or already known, if an engine is unknown, or if migrations would go
        backward.
        """
        unknown = sorted(set(revisions) - set(self.engines))
        if unknown:
            raise SpiceDBError(f"unknown engines: {', '.join(unknown)}; known: {', '.join(self.engines)}")
        if not is_version(version):
            raise SpiceDBError(f"invalid SpiceDB version: {version!r}; use its tag, such as v1.56.0")
        strings = sorted(name for name, added in revisions.items() if isinstance(added, str))
        if strings:
            raise SpiceDBError(f"revisions must be a list, not a string: {', '.join(strings)}")
        if version in self:
            raise SpiceDBError(f"{version} is already in the table")
        engines = {name: engine.with_release(version, revisions.get(name, ())) for name, engine in self.engines.items()}
        lacks = [] if flags is None else [flag for flag in self.flags if flag not in flags]
        return evolve(
            self,
            engines=engines,
            lacks={**self.lacks, version: lacks} if lacks else self.lacks,
            schema_modes=self.schema_modes if schema_modes is None else {**self.schema_modes, version: schema_modes},
        )


@cache
def known_releases() -> ReleaseTable:
    """The release table of this package."""
    return read_releases(json.loads(files(__package__).joinpath("releases.json").read_text("utf-8")))


def read_releases(data: Mapping[str, Any]) -> ReleaseTable:
    """A table from data in the format of ``releases.json``. Raises `SpiceDBError` if the data is invalid."""
    engines = {
        name: EngineReleases(
            tuple(engine["revisions"]),
            {version: head for head, versions in engine["heads"].items() for version in versions},
            tuple(_stop(stop) for stop in data["stops"] if name in stop["engines"]),
            _by_revision(name, data["cautions"], lambda entry: entry["caution"]),
            _by_revision(name, data.get("costs", ()), _cost),
        )
        for name, engine in data["engines"].items()
    }
    return ReleaseTable(engines, data["flags"], tuple(map(read_advisory, data.get("advisories", ()))))


def _by_revision(engine: str, entries: Iterable[Any], read: Callable[[Any], _T]) -> dict[str, _T]:
    return {revision: read(each) for each in entries if each["engine"] == engine for revision in each["revisions"]}


def _cost(data: Mapping[str, Any]) -> Cost:
    place = f"costs of {', '.join(data['revisions'])}"
    values = {name: value for name, value in data.items() if name not in ("engine", "revisions")}
    names = {each.name: each for each in fields(Cost)}
    wrong = [f"{name} is missing" for name, each in names.items() if each.default is NOTHING and name not in values]
    wrong += [f"unknown field {name}" for name in sorted(values.keys() - names)]
    if wrong:
        raise SpiceDBError(f"{place}: {'; '.join(wrong)}")
    try:
        return Cost(**values)
    except SpiceDBError as error:
        raise SpiceDBError(f"{place}: {error}") from None


def _stop(data: Mapping[str, Any]) -> Stop:
    rollouts = tuple(Rollout(**rollout) for rollout in data.get("rollouts", ()))
    return Stop(data["version"], data["before"], data["why"], data["source"], rollouts)
