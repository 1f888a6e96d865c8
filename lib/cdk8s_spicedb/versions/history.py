"""What the release table says about each release."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from attrs import frozen

from .advisories import Advisory, concerns
from .engine import EngineReleases, version_order
from .table import ReleaseTable


@frozen(kw_only=True)
class Caution:
    """What to know before migrations of one engine."""

    engine: str
    """Engine of the datastore."""
    revisions: Sequence[str]
    """Revisions of the migrations."""
    text: str
    """What to know or to do."""


@frozen(kw_only=True)
class RequiredStop:
    """An upgrade from before the release must stop at it."""

    engines: Sequence[str]
    """Engines of the datastores."""
    before: str
    """First target of an upgrade that needs the stop."""
    rollouts: int
    """Number of roll-outs at the stop."""
    why: str
    """Reason for the stop."""


@frozen(kw_only=True)
class Version:
    """A known release of SpiceDB."""

    version: str
    """The release."""
    heads: Mapping[str, str]
    """Last revision of the release, by engine."""
    migrations: Mapping[str, Sequence[str]]
    """Revisions between the known release before it and this one, by engine. Engines without any are left out."""
    stops: Sequence[RequiredStop]
    """Stops of upgrades at this release."""
    cautions: Sequence[Caution]
    """What to know before its migrations."""
    withdrawn: str | None
    """What to use instead, and why, if the SpiceDB maintainers withdrew the release."""
    advisories: Sequence[Advisory]
    """What is known to be wrong with it, the most severe first."""


def history(table: ReleaseTable, engines: Collection[str] | None = None) -> Sequence[Version]:
    """The releases of a table, newest first. ``engines`` limits them to those of some engines."""
    added: dict[str, dict[str, Sequence[str]]] = {}
    for name, known in table.engines.items():
        before = None
        for version in sorted(known.heads if engines is None or name in engines else (), key=version_order):
            added.setdefault(version, {})[name] = known.between(before, known.heads[version])
            before = known.heads[version]
    return [_release(table, version, added[version]) for version in sorted(added, key=version_order, reverse=True)]


def _release(table: ReleaseTable, version: str, added: Mapping[str, Sequence[str]]) -> Version:
    own = {name: table.engines[name] for name in added}
    return Version(
        version=version,
        heads={name: known.heads[version] for name, known in own.items()},
        migrations={name: tuple(revisions) for name, revisions in added.items() if revisions},
        stops=tuple(_stops(own, version)),
        cautions=tuple(
            Caution(engine=name, revisions=revisions, text=text)
            for name, known in own.items()
            for revisions, text in known.cautions_of(added[name])
        ),
        withdrawn=table.withdrawn.get(version),
        advisories=_advisories(table, version, own.keys()),
    )


def _advisories(table: ReleaseTable, version: str, engines: AbstractSet[str]) -> Sequence[Advisory]:
    """The advisories about a release with one of these engines."""
    about = [each for each in table.advisories if not each.engines or engines & set(each.engines)]
    return tuple(concern.advisory for concern in concerns(about, version, None, {}))


def _stops(engines: Mapping[str, EngineReleases], version: str) -> Iterator[RequiredStop]:
    """The stops at a release. Engines with the same stop share it."""
    shared: dict[tuple[str, str, int], list[str]] = {}
    for name, known in engines.items():
        for stop in known.stops:
            if stop.version == version:
                shared.setdefault((stop.before, stop.why, len(stop.rollouts) or 1), []).append(name)
    for (before, why, rollouts), names in sorted(shared.items()):
        yield RequiredStop(engines=tuple(names), before=before, rollouts=rollouts, why=why)
