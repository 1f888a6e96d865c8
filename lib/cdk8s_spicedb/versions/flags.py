"""The flags of SpiceDB's commands, by release, as ``tools/flags.py`` found them in the programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

from attrs import frozen

from .engine import version_order

Command = Literal["migrate", "serve"]


@frozen
class FlagTable:
    """The flags of some releases, of which the programs were asked."""

    releases: Sequence[str]
    """These releases, the oldest first."""
    commands: Mapping[str, Mapping[str, tuple[str, str]]]
    """The first and the last of these releases that has a flag, by command and flag."""

    @property
    def newest(self) -> str:
        """The newest of these releases."""
        return self.releases[-1]

    def takes(self, command: Command, flag: str, version: str) -> bool | None:
        """Whether a release has a flag. Between two releases of the table, one of them has it. None: not known, because
        the release is older or newer than these, and they do not have it."""
        found = self.commands[command].get(flag)
        order = version_order(version)
        before = [release for release in self.releases if version_order(release) <= order]
        after = [release for release in self.releases if version_order(release) >= order]
        if not before or not after:
            nearest = (before or after)[-1 if before else 0]
            return True if found and nearest in found else None
        first, last = map(version_order, found) if found else ((), ())
        return bool(found) and first <= version_order(after[0]) and last >= version_order(before[-1])

    def of(self, command: Command, version: str) -> Sequence[str]:
        """The flags of a release. Empty if they are not known, because the release is older or newer than these."""
        if not version_order(self.releases[0]) <= version_order(version) <= version_order(self.newest):
            return []
        return [flag for flag in sorted(self.commands[command]) if self.takes(command, flag, version)]


@cache
def known_flags() -> FlagTable:
    """The table of this package."""
    data = json.loads(files(__package__).joinpath("flags.json").read_text("utf-8"))
    commands = {
        command: {flag: _ends(releases) for releases, flags in groups.items() for flag in flags}
        for command, groups in data["commands"].items()
    }
    return FlagTable(tuple(data["releases"]), commands)


def _ends(releases: str) -> tuple[str, str]:
    first, last = releases.split(" to ")
    return first, last
