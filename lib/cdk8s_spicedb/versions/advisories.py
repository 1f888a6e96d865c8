"""Releases that are known to be wrong, and whom that concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import NOTHING, field, fields, frozen

from ..errors import SpiceDBError
from .engine import Words, is_version, version_order

CONDITIONS: Mapping[str, str] = {
    "expiration": "if its schema has `use expiration`",
    "caveats": "if its schema has caveats",
    "arrows": "if its schema has arrows (`->`)",
    "exclusions": "if its schema has exclusions (`-`)",
    "tracing": "if its servers send traces",
    "secret-arguments": "if arguments of its servers hold secrets",
    "read-replicas": "if it has read replicas",
    "large-writes": "if it takes more than 6500 updates in one write",
}
"""What an advisory can depend on, in words that follow a comma. `props.advisories` finds out whether it is so."""


class Severity(Words):
    """How bad it is."""

    SEVERE = "severe"
    """Permissions are granted wrongly, or secrets leak. `check` fails, unless the file accepts it by name."""
    MODERATE = "moderate"
    """Requests fail or servers stop, or it is severe only for unusual data."""
    LOW = "low"
    """It needs unusual circumstances."""


@frozen(kw_only=True)
class ReleaseRange:
    """Releases one after another."""

    first: str | None = None
    """First release. None: from the very first one."""
    before: str | None = None
    """First release after them, in which the fault is mended. None: there is none yet."""

    def __str__(self) -> str:
        first = f"{self.first} and later" if self.first else "all"
        return f"{first}, before {self.before}" if self.before else first

    def has(self, version: str) -> bool:
        """Whether a release is among them."""
        order = version_order(version)
        after = self.first is None or order >= version_order(self.first)
        return after and (self.before is None or order < version_order(self.before))


@frozen(kw_only=True)
class Advisory:
    """A fault of released programs.

    Raises `SpiceDBError` if a value is invalid.
    """

    id: str
    """Name, such as ``GHSA-jf7w-wx43-32gc``. ``SpiceDBProps.accept_advisories`` takes it."""
    severity: Severity = field(converter=Severity)
    """How bad it is."""
    releases: Sequence[ReleaseRange]
    """Releases that have the fault."""
    what: str
    """What happens."""
    source: str
    """Where it is described."""
    aliases: Sequence[str] = ()
    """Other names of it."""
    program: str = "spicedb"
    """Program that has the fault: ``spicedb`` or ``helm``."""
    engines: Sequence[str] = ()
    """Engines of the datastores that it concerns. Empty: all."""
    when: Sequence[str] = ()
    """What else must be so that it concerns a configuration. All of these."""
    advice: str = ""
    """What to do in addition to an upgrade."""
    withdrawn: Sequence[str] = ()
    """Releases that the SpiceDB maintainers withdrew because of it."""

    def __attrs_post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SpiceDBError(f"advisory {self.id!r}: {'; '.join(problems)}")

    def _problems(self) -> Iterator[str]:
        for name in ("id", "what", "source"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                yield f"{name} is {value!r}; write a text"
        if not self.releases:
            yield "releases is empty; name a range, such as {from: v1.54.0, before: v1.57.1}"
        versions = [version for each in self.releases for version in (each.first, each.before) if version is not None]
        invalid = [str(version) for version in (*versions, *self.withdrawn) if not is_version(version)]
        if invalid:
            yield f"invalid versions: {', '.join(invalid)}; write them as v1.57.1"
        unknown = sorted(set(self.when) - CONDITIONS.keys())
        if unknown:
            yield f"unknown conditions: {', '.join(unknown)}; known: {', '.join(CONDITIONS)}"
        if self.program not in ("spicedb", "helm"):
            yield f"program is {self.program!r}; allowed: spicedb, helm"

    @property
    def names(self) -> Sequence[str]:
        """All names of it."""
        return (self.id, *self.aliases)

    @property
    def fixed(self) -> str | None:
        """The first release without the fault. None: there is none yet."""
        return self.releases[-1].before

    @property
    def fix(self) -> str:
        """What to do."""
        fixed = f"use {self.fixed} or later" if self.fixed else "no release is without it yet"
        # Who can use an earlier release of a program need not do both.
        return f"{fixed}, {'or' if self.program == 'helm' else 'and'} {self.advice}" if self.advice else fixed

    def affects(self, version: str, program: str = "spicedb") -> bool:
        """Whether a release of a program has the fault."""
        return program == self.program and any(each.has(version) for each in self.releases)

    def concern(self, version: str, engine: str | None, known: Mapping[str, bool]) -> Concern | None:
        """How it concerns a configuration. ``known`` has the conditions of which one knows whether they are so."""
        other_engine = engine is not None and bool(self.engines) and engine not in self.engines
        if not self.affects(version) or other_engine or any(known.get(name) is False for name in self.when):
            return None
        return Concern(advisory=self, depends_on=tuple(name for name in self.when if name not in known))


@frozen(kw_only=True)
class Concern:
    """An advisory that concerns a configuration, or that may."""

    advisory: Advisory
    """The advisory."""
    depends_on: Sequence[str] = ()
    """What is not known of the configuration. Empty: the advisory concerns it."""

    @property
    def certain(self) -> bool:
        """Whether it is known that the advisory concerns the configuration."""
        return not self.depends_on

    @property
    def stands_out(self) -> bool:
        """Whether to say it by itself, and not only by its name."""
        return self.advisory.severity is Severity.SEVERE or (
            self.certain and self.advisory.severity is not Severity.LOW
        )

    @property
    def text(self) -> str:
        """What is wrong."""
        conditions = [CONDITIONS[name] for name in self.depends_on]
        condition = f", {' and '.join(conditions)}" if conditions else ""
        return f"{self.advisory.id} ({self.advisory.severity.value}): {self.advisory.what}{condition}"

    @property
    def fix(self) -> str:
        """What to do."""
        return self.advisory.fix


def concerns(
    advisories: Iterable[Advisory], version: str, engine: str | None, known: Mapping[str, bool]
) -> Sequence[Concern]:
    """The advisories that concern a configuration, or that may, the most severe first. See `Advisory.concern`."""
    order = list(Severity)
    found = (each.concern(version, engine, known) for each in advisories)
    those = (concern for concern in found if concern is not None)
    return tuple(sorted(those, key=lambda each: (order.index(each.advisory.severity), not each.certain)))


def by_weight(concerns: Iterable[Concern]) -> tuple[list[Concern], list[str]]:
    """Those that stand out, and the names of the others."""
    found = list(concerns)
    return [each for each in found if each.stands_out], [each.advisory.id for each in found if not each.stands_out]


def read_advisory(data: Mapping[str, Any]) -> Advisory:
    """An advisory from data in the format of ``releases.json``. Raises `SpiceDBError` if it is invalid."""
    place = f"advisory {data.get('id', '(without an id)')!r}"
    names = {each.name: each for each in fields(Advisory)}
    wrong = [f"{name} is missing" for name, each in names.items() if each.default is NOTHING and name not in data]
    wrong += [f"unknown field {name}" for name in sorted(map(str, data.keys() - names))]
    ranges = data.get("releases", ())
    if not isinstance(ranges, list) or not all(isinstance(each, dict) for each in ranges):
        wrong.append("releases must be a list, such as [{from: v1.54.0, before: v1.57.1}]")
    else:
        wrong += [f"unknown field {name} of releases" for each in ranges for name in each.keys() - {"from", "before"}]
    lists = ("aliases", "engines", "when", "withdrawn")
    wrong += [f"{name} must be a list" for name in lists if not isinstance(data.get(name, []), list)]
    if wrong:
        raise SpiceDBError(f"{place}: {'; '.join(wrong)}")
    try:
        releases = tuple(ReleaseRange(first=each.get("from"), before=each.get("before")) for each in ranges)
        return Advisory(**{**data, "releases": releases})
    except SpiceDBError as error:
        raise SpiceDBError(str(error) if str(error).startswith("advisory") else f"{place}: {error}") from None
