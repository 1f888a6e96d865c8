"""Which steps lead from one release of SpiceDB to another while it serves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, cast

from attrs import evolve, frozen

from ..errors import InvalidProps, Problem
from ..props.annotations import Message, Opaque, problems, rule
from ..props.datastores import Datastore
from ..props.kinds import show
from ..props.types import Release, SchemaMode
from ..releases import SCHEMA_MODES, EngineReleases, ReleaseTable, Stop, known_releases, version_order
from .steps import UpgradePlan, UpgradeStep

_MODES = list(SCHEMA_MODES)
_MODE_FLAG = "experimental-schema-mode"
_FIRST_READ = "read-new-write-both"
_WRITE_AGAIN = (
    "write the schema again as it is (`zed schema read`, then `zed schema write`), now that all servers write both and "
    "none from before is left: the unified table has only what was written in that mode, or on the day of the migration"
)


def plan_upgrade(
    datastore: Datastore | type[Datastore],
    current: str,
    target: str,
    *,
    schema_mode: str | None = None,
    current_schema_mode: str | None = None,
    releases: ReleaseTable | None = None,
) -> UpgradePlan:
    """The steps that lead from ``current`` to ``target`` while SpiceDB serves.

    ``datastore`` is a datastore or its class, such as ``PostgreSQL``. ``schema_mode`` asks for a move to unified
    schema storage (SpiceDB 1.53 and later), up to that mode, one roll-out each, after the target is reached; without it
    servers stay in ``current_schema_mode``, by default SpiceDB's own. A release that ``releases`` (by default those
    that this package knows) does not have is planned directly, with a warning. ``current`` is a release whose roll-outs
    are all done: a plan that was begun is finished by its own steps, not by a new plan.

    Raises `InvalidProps` for what is no release, for a way back, and for a mode that a release does not have.
    """
    upgrade = _Upgrade(
        datastore=datastore,
        current=current,
        target=target,
        schema_mode=cast(Any, schema_mode),
        current_schema_mode=cast(Any, current_schema_mode),
        releases=known_releases() if releases is None else releases,
    )
    found = list(problems(upgrade))
    if found:
        raise InvalidProps("plan_upgrade", found)
    return upgrade.plan()


@frozen(kw_only=True)
class _Upgrade:
    """The requested upgrade, and its plan."""

    datastore: Annotated[
        Datastore | type[Datastore],
        Message("a datastore or its class", "use PostgreSQL, CockroachDB, MySQL, Spanner or Memory", redacted=True),
    ]
    current: Release
    target: Release
    schema_mode: SchemaMode | None
    current_schema_mode: SchemaMode | None
    releases: Annotated[ReleaseTable, Opaque, Message("a ReleaseTable", "extend known_releases()")]

    @property
    def _mode(self) -> int:
        """Where the servers are among the modes."""
        return _MODES.index(self.current_schema_mode or _MODES[0])

    @property
    def _known(self) -> EngineReleases:
        return self.releases.engines.get(self.datastore.engine, EngineReleases((), {}))

    def plan(self) -> UpgradePlan:
        """The plan of sound input."""
        steps = (*self._release_steps(), *self._mode_steps())
        return UpgradePlan(
            engine=self.datastore.engine,
            current=self.current,
            target=self.target,
            steps=steps,
            warnings=tuple(self._warnings(steps)) if steps else (),
        )

    def _release_steps(self) -> Iterator[UpgradeStep]:
        """The stops on the way, then the target itself."""
        last = self._start()
        for stop in self._stops():
            for step in self._stop_steps(stop, last):
                yield step
                last = step
        if last.version != self.target:
            revision = self._known.heads.get(self.target)
            stays = revision is not None and last.revision == revision
            why = f"the target, reached directly from {last.version}"
            yield self._step(last, self.target, revision, f"{why}; the schema stays as it is" if stays else why)

    def _start(self) -> UpgradeStep:
        """What runs, as if a step had led there."""
        return UpgradeStep(
            version=self.current,
            revision=self._known.head(self.current),
            target_migration=None,
            migrates=False,
            schema_mode=self.current_schema_mode,
            datastore_migration_phase=None,
            allowed_migrations=(),
            rolls_back=None,
            why="",
        )

    def _stops(self) -> Iterator[Stop]:
        current, target = version_order(self.current), version_order(self.target)
        for stop in self._known.stops:
            if current < version_order(stop.version) <= target and target >= version_order(stop.before):
                yield stop

    def _stop_steps(self, stop: Stop, last: UpgradeStep) -> Iterator[UpgradeStep]:
        if not stop.rollouts:
            yield self._step(last, stop.version, self._known.heads[stop.version], f"required stop: {stop.why}")
        # A release from the middle of a stop may be past its first roll-outs, and no migration goes back.
        past = () if last.revision is None else self._known.between(None, last.revision)[:-1]
        ahead = [rollout for rollout in stop.rollouts if rollout.revision not in past]
        for number, rollout in enumerate(ahead, 1):
            why = f"{number} of {len(ahead)} at {stop.version}: {rollout.why}"
            last = self._step(last, stop.version, rollout.revision, why, rollout.datastore_migration_phase)
            yield last

    def _mode_steps(self) -> Iterator[UpgradeStep]:
        """The schema modes, one after the other, at the target."""
        if self.schema_mode is not None:
            head = self._known.heads.get(self.target)
            last = evolve(self._start(), version=self.target, revision=head)
            for mode in _MODES[self._mode + 1 : _MODES.index(self.schema_mode) + 1]:
                step = self._step(last, self.target, head, SCHEMA_MODES[mode])
                cautions = (_WRITE_AGAIN,) if mode == _FIRST_READ else ()
                yield evolve(step, schema_mode=mode, migrates=False, rolls_back=True, cautions=cautions)

    def _step(
        self, last: UpgradeStep, version: str, revision: str | None, why: str, phase: str | None = None
    ) -> UpgradeStep:
        """A step that follows another."""
        return UpgradeStep(
            version=version,
            revision=revision,
            target_migration=None if revision == self._known.heads.get(version) else revision,
            migrates=self.datastore.migrates and (revision is None or revision != last.revision),
            schema_mode=self._mode_meanwhile(version),
            datastore_migration_phase=phase,
            allowed_migrations=self.releases.allowed_migrations(self.datastore.engine, version),
            rolls_back=self._rolls_back(last, revision),
            why=why,
            cautions=tuple(self._cautions(last.revision, revision or self._known.head(version))),
        )

    def _mode_meanwhile(self, version: str) -> str | None:
        """The mode before the steps through the modes; said only where servers have the choice and somebody chose."""
        chosen = self.schema_mode is not None or self.current_schema_mode is not None
        return _MODES[self._mode] if chosen and self.releases.takes(_MODE_FLAG, version) else None

    def _rolls_back(self, last: UpgradeStep, revision: str | None) -> bool | None:
        if not self.datastore.migrates:
            return True
        starts_on = self.releases.starts_on(self.datastore.engine, last.version, last.datastore_migration_phase)
        return revision in starts_on if starts_on and revision is not None else None

    def _cautions(self, start: str | None, end: str | None) -> Iterator[str]:
        passed = self._known.between(start, end) if end is not None else ()
        for caution in dict.fromkeys(self._known.cautions.values()):
            names = [name for name in passed if self._known.cautions.get(name) == caution]
            if names:
                yield f"{', '.join(names)}: {caution}"

    def _warnings(self, steps: Sequence[UpgradeStep]) -> Iterator[str]:
        """What to say of the way as a whole."""
        if not self.datastore.migrates:
            yield "the memory engine keeps nothing: relationships and schema are gone when its server is replaced"
            return
        for version in dict.fromkeys((self.current, self.target)):
            if not self.releases.knows(self.datastore.engine, version):
                yield (
                    f"{version} is not among the releases that this package knows for {self.datastore.engine} (newest: "
                    f"{self.releases.newest}): read its release notes for stops and long migrations"
                )
        if self.target in self.releases.withdrawn:
            yield f"{self.target} was withdrawn by its makers: {self.releases.withdrawn[self.target]}"
        current, target = version_order(self.current), version_order(self.target)
        for stop in self._known.stops:
            # A pre-release has the migrations of its release already.
            before = version_order(stop.before)
            if current[:3] < before[:3] <= target[:3] and target < version_order(stop.version):
                yield f"{self.target} has no step of its own for this: {stop.why}; take {stop.version} or later instead"
        frail = [last for last, step in zip((self._start(), *steps), steps, strict=False) if step.rolls_back is False]
        if frail:
            yield (
                f"servers of {', '.join(dict.fromkeys(last.version for last in frail))} cannot be told to start on the "
                "newer schema of the step that follows: one that restarts in the middle of it stays out until it is "
                "done, and a rollback does not turn ready; have a backup of the datastore"
            )


# ---------------------------------------------------------------- rules


@rule(_Upgrade)
def target_is_not_older(datastore: Datastore, current: str, target: str) -> Iterator[Problem]:
    if version_order(target) >= version_order(current):
        return
    if not datastore.migrates:
        fix = "install it again; the memory engine keeps nothing that an older release could not read"
        yield Problem("target", show(target), f"{current} or later: a plan goes forward", fix)
    else:
        yield Problem(
            "target",
            show(target),
            f"{current} or later: migrations only go forward",
            f"`helm rollback` to the revision that ran {target}: its servers start on the newer schema if they allow "
            "it, and nothing migrates. Otherwise restore the datastore's backup from before the upgrade",
        )


@rule(_Upgrade)
def releases_have_the_modes(
    datastore: Datastore,
    current: str,
    target: str,
    schema_mode: str | None,
    current_schema_mode: str | None,
    releases: ReleaseTable,
) -> Iterator[Problem]:
    modes = {"current_schema_mode": (current_schema_mode, current), "schema_mode": (schema_mode, target)}
    for name, (mode, version) in modes.items():
        if mode is None:
            continue
        if not datastore.migrates:
            yield Problem(name, show(mode), f"None with the {datastore.engine} engine", "remove it")
        elif not releases.takes(_MODE_FLAG, version):
            allowed = f"None at {version}: --{_MODE_FLAG} exists since {releases.since(_MODE_FLAG)}"
            yield Problem(name, show(mode), allowed, "remove it, or use a later release")


@rule(_Upgrade)
def modes_go_forward(schema_mode: str | None, current_schema_mode: str | None) -> Iterator[Problem]:
    first = _MODES.index(current_schema_mode or _MODES[0])
    if schema_mode is not None and _MODES.index(schema_mode) < first:
        yield Problem(
            "schema_mode",
            show(schema_mode),
            ", ".join(_MODES[first:]),
            "go back with `helm rollback`, one mode at a time; after read-new-write-new write the schema again in "
            "read-new-write-both, because the old tables do not have what was written since",
        )
