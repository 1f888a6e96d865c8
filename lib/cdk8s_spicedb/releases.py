"""What is known of SpiceDB's releases: each engine's revisions, the head of each release, since when a flag exists.

The facts are in ``releases.json``, with their source. A release that is not there is never refused: it renders with
what the newest known release takes, and its migrations are not checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
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
    return re.fullmatch(VERSION, value) is not None


def version_order(version: str) -> tuple[int, int, int, bool]:
    """A key that sorts versions by number; a pre-release comes before its release."""
    match = re.fullmatch(VERSION, version)
    if match is None:
        raise ValueError(f"not a release of SpiceDB: {version!r}")
    major, minor, patch, pre = match.groups()
    return int(major), int(minor), int(patch), pre is None


@frozen
class EngineReleases:
    """One engine's migrations and the releases that carry them."""

    revisions: tuple[str, ...]
    """Every revision, in the order in which they replace one another."""
    heads: Mapping[str, str]
    """By release, the last revision that it knows."""

    def __attrs_post_init__(self) -> None:
        strangers = sorted(set(self.heads.values()) - set(self.revisions))
        if strangers:
            raise SpiceDBError(f"heads that are not among the revisions: {', '.join(strangers)}")
        order = [self.revisions.index(self.heads[version]) for version in sorted(self.heads, key=version_order)]
        if order != sorted(order):
            raise SpiceDBError("a later release has an earlier head; migrations only go forward")

    def with_release(self, version: str, revisions: Sequence[str]) -> EngineReleases:
        """These and one release more; without revisions of its own it has the head of the release before."""
        earlier = [known for known in self.heads if version_order(known) < version_order(version)]
        if not earlier and not revisions:
            return self
        head = revisions[-1] if revisions else self.heads[max(earlier, key=version_order)]
        return EngineReleases((*self.revisions, *revisions), {**self.heads, version: head})


@frozen
class ReleaseTable:
    """The releases this package knows; extend it with `with_release` when SpiceDB moves faster than this package."""

    engines: Mapping[str, EngineReleases]
    """By SpiceDB's name for the engine, its migrations and releases."""
    flags: Mapping[str, str] = field(factory=dict)
    """By flag, the first release that takes it; flags that are not here are as old as SpiceDB."""

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
        return known.revisions[: known.revisions.index(known.heads[version]) + 1]

    def later_heads(self, engine: str, version: str) -> tuple[str, ...]:
        """The heads of the known releases after ``version`` that it does not have itself, oldest first."""
        if not self.knows(engine, version):
            return ()
        known = self.engines[engine]
        heads = set(known.heads.values())
        return tuple(r for r in known.revisions[len(self.revisions(engine, version)) :] if r in heads)

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
    return _read(json.loads(files(__package__).joinpath("releases.json").read_text("utf-8")))


def _read(data: Mapping[str, Any]) -> ReleaseTable:
    engines = {
        name: EngineReleases(
            tuple(engine["revisions"]),
            {version: head for head, versions in engine["heads"].items() for version in versions},
        )
        for name, engine in data["engines"].items()
    }
    return ReleaseTable(engines, data["flags"])
