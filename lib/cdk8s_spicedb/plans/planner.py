"""Plans an upgrade: the steps from one release of SpiceDB to another while it serves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, cast

from annotated_types import Interval
from attrs import evolve, frozen

from ..errors import InvalidProps, Problem
from ..props import MigrationProps
from ..props.datastores import Datastore
from ..props.fields import Message, Opaque, Problems, problems, use
from ..props.fieldtypes import show
from ..props.server import SCHEMA_MODE
from ..props.types import Version
from ..text import link
from ..versions import (
    MILLION,
    SCHEMA_MODES,
    EngineReleases,
    ReleaseTable,
    Rollout,
    SchemaMode,
    Stop,
    known_releases,
    version_order,
)
from .plan import UpgradePlan, UpgradeStep
from .words import BACKUP, short_limit

_MODES = list(SCHEMA_MODES)
"""Servers without a mode run in the first."""
_FIRST_MODE_THAT_READS = "read-new-write-both"
_WRITE_SCHEMA_AGAIN = (
    "when all servers run in read-legacy-write-both and no older server is left, write the schema again, unchanged "
    "(`zed schema read`, then `zed schema write`): the unified table contains only what was written in that mode, or "
    "copied by the migration"
)


def plan_upgrade(
    datastore: Datastore | type[Datastore],
    current: str,
    target: str,
    *,
    schema_mode: str | None = None,
    current_schema_mode: str | None = None,
    releases: ReleaseTable | None = None,
    relationships: int | None = None,
) -> UpgradePlan:
    """Plans the steps from ``current`` to ``target`` while SpiceDB serves.

    ``datastore`` is a datastore or its class, such as ``PostgreSQL``. All roll-outs of ``current`` must be done: finish
    a plan that you have begun, and do not make a new one in the middle.

    ``schema_mode`` moves to unified schema storage (SpiceDB 1.53 and later), up to that mode, with one roll-out for
    each mode after the target is reached. Without it, servers stay in ``current_schema_mode``, which defaults to
    SpiceDB's own. The plan goes directly to a release that is not in ``releases`` (by default, those that this package
    knows), and warns about it.

    With the number of ``relationships``, each step says how long its migrations should take. A database is supposed to
    have at most as many transactions. Without it, the times are for one million rows.

    Raises `InvalidProps` if a version is invalid, if the target is older, or if a release does not have the mode.
    """
    upgrade = _Upgrade(
        datastore=datastore,
        current=current,
        target=target,
        schema_mode=cast(Any, schema_mode),
        current_schema_mode=cast(Any, current_schema_mode),
        releases=known_releases() if releases is None else releases,
        relationships=relationships,
    )
    found = list(problems(upgrade))
    if found:
        raise InvalidProps("plan_upgrade", found)
    steps = (*upgrade.release_steps(), *upgrade.mode_steps())
    return UpgradePlan(
        engine=upgrade.datastore.engine,
        current=current,
        target=target,
        steps=steps,
        warnings=tuple(upgrade.warnings(steps)) if steps else (),
        relationships=relationships,
    )


@frozen(kw_only=True)
class _Upgrade:
    """The arguments of `plan_upgrade`."""

    datastore: Annotated[
        Datastore | type[Datastore],
        Message("a datastore or its class", "use PostgreSQL, CockroachDB, MySQL, Spanner or Memory", redacted=True),
    ]
    current: Version
    target: Version
    schema_mode: SchemaMode | None
    current_schema_mode: SchemaMode | None
    releases: Annotated[ReleaseTable, Opaque, Message("a ReleaseTable", "extend known_releases()")]
    relationships: Annotated[int, Interval(ge=1, le=10**12)] | None = None

    @property
    def _engine(self) -> EngineReleases:
        return self.releases.engines.get(self.datastore.engine, EngineReleases((), {}))

    def release_steps(self) -> Iterator[UpgradeStep]:
        """The steps of the required stops, then the step to the target."""
        last = self._step(self.current, self._engine.head(self.current), why="")
        for stop in self._stops():
            for rollout in self._rollouts(stop, last.revision):
                phase = rollout.datastore_migration_phase
                last = self._next_step(last, stop.version, rollout.revision, rollout.why, phase)
                yield last
        if last.version != self.target:
            revision = self._engine.heads.get(self.target)
            why = f"upgrade directly from {last.version} to the target"
            if revision is not None and revision == last.revision:
                why += "; the datastore schema does not change"
            yield self._next_step(last, self.target, revision, why)

    def _stops(self) -> list[Stop]:
        """The required stops between the releases."""
        current, target = version_order(self.current), version_order(self.target)
        stops = self._engine.stops
        return [s for s in stops if current < version_order(s.version) <= target and version_order(s.before) <= target]

    def _rollouts(self, stop: Stop, revision: str | None) -> Iterator[Rollout]:
        """The roll-outs of a stop that are left to do on a datastore at a revision."""
        if not stop.rollouts:
            head = self._engine.heads[stop.version]
            yield Rollout(revision=head, starts_on=(head,), why=f"required stop: {stop.why}")
        # A release in the middle of a stop may be past its first roll-outs, and no migration goes back.
        done = () if revision is None else self._engine.between(None, revision)[:-1]
        left = [rollout for rollout in stop.rollouts if rollout.revision not in done]
        for number, rollout in enumerate(left, 1):
            yield evolve(rollout, why=f"roll-out {number} of {len(left)} at {stop.version}: {rollout.why}")

    def mode_steps(self) -> Iterator[UpgradeStep]:
        """A step for each further schema mode, at the target."""
        head = self._engine.heads.get(self.target)
        first, last = (_MODES.index(mode or _MODES[0]) for mode in (self.current_schema_mode, self.schema_mode))
        for mode in _MODES[first + 1 : last + 1]:
            again = mode == _FIRST_MODE_THAT_READS
            step = evolve(self._step(self.target, head, SCHEMA_MODES[mode]), schema_mode=mode, rewrites_schema=again)
            yield evolve(step, cautions=(_WRITE_SCHEMA_AGAIN,)) if again else step

    def _step(self, version: str, revision: str | None, why: str, phase: str | None = None) -> UpgradeStep:
        """A step that does not migrate."""
        mode = self.current_schema_mode or (_MODES[0] if self.schema_mode else None)
        return UpgradeStep(
            version=version,
            revision=revision,
            target_migration=None if revision == self._engine.heads.get(version) else revision,
            migrates=False,
            schema_mode=mode if self.releases.takes(SCHEMA_MODE, version) else None,
            datastore_migration_phase=phase,
            allowed_migrations=self.releases.allowed_migrations(self.datastore.engine, version),
            rolls_back=True,
            why=why,
        )

    def _next_step(
        self, last: UpgradeStep, version: str, revision: str | None, why: str, phase: str | None = None
    ) -> UpgradeStep:
        """A step that migrates from the revision of the last step, if that is another one."""
        end = revision or self._engine.head(version)
        passed = () if end is None else self._engine.between(last.revision, end)
        rows = dict.fromkeys((cost.table for cost in self._engine.costs.values()), self.relationships or MILLION)
        estimates = () if end is None else self._engine.estimate(last.revision, end, rows)
        seconds = sum(estimate.seconds for estimate in estimates) if self.relationships else None
        short = short_limit(seconds or 0, MigrationProps())
        return evolve(
            self._step(version, revision, why, phase),
            migrates=self.datastore.migrates and (revision is None or revision != last.revision),
            rolls_back=self._rolls_back(last, revision),
            cautions=tuple(f"{', '.join(names)}: {caution}" for names, caution in self._engine.cautions_of(passed)),
            estimates=estimates,
            seconds=seconds,
            deadline_seconds=short.enough if short else None,
        )

    def _rolls_back(self, last: UpgradeStep, revision: str | None) -> bool | None:
        if not self.datastore.migrates:
            return True
        starts_on = self.releases.starts_on(self.datastore.engine, last.version, last.datastore_migration_phase)
        return revision in starts_on if starts_on and revision is not None else None

    def warnings(self, steps: Sequence[UpgradeStep]) -> Iterator[str]:
        """What is unknown, or not recommended, about the plan as a whole."""
        if not self.datastore.migrates:
            yield "the memory engine stores nothing permanently: a new server starts without relationships and schema"
            return
        for version in dict.fromkeys((self.current, self.target)):
            if not self.releases.knows(self.datastore.engine, version):
                yield (
                    f"{version} is not among the releases that this package knows for {self.datastore.engine} (newest: "
                    f"{self.releases.newest}): read its release notes for required stops and long migrations"
                )
        if self.target in self.releases.withdrawn:
            yield f"the SpiceDB maintainers withdrew {self.target}: {self.releases.withdrawn[self.target]}"
        current, target = version_order(self.current), version_order(self.target)
        for stop in self._engine.stops:
            # A pre-release already has the migrations of its release.
            if current[:3] < version_order(stop.before)[:3] <= target[:3] and target < version_order(stop.version):
                yield (
                    f"there are no safe steps to {self.target} for this change: {stop.why}; upgrade to {stop.version} "
                    "or later instead"
                )
        versions = (self.current, *(step.version for step in steps))
        stuck = [version for version, step in zip(versions, steps, strict=False) if step.rolls_back is False]
        if stuck:
            yield (
                f"servers of {', '.join(dict.fromkeys(stuck))} do not start on the newer schema of the next step: a "
                "server that restarts during that step is not ready until the step is done, and a rollback from that "
                f"step does not work; {BACKUP}"
            )


# ---------------------------------------------------------------- rules


def target_is_not_older(datastore: Datastore, current: str, target: str) -> Problems:
    if version_order(target) >= version_order(current):
        return
    allowed = f"{current} or later: migrations only go forward"
    fix = (
        f"roll back with your tool ({link('upgrade/rollback')}): the servers of {target} start if they allow the newer "
        f"schema. If they do not, first {datastore.restore}"
    )
    if not datastore.migrates:
        allowed = f"{current} or later: plans only go forward"
        fix = "install the older release directly: the memory engine stores nothing that it cannot read"
    yield Problem("target", show(target), allowed, fix)


def releases_have_the_modes(
    datastore: Datastore,
    current: str,
    target: str,
    schema_mode: str | None,
    current_schema_mode: str | None,
    releases: ReleaseTable,
) -> Problems:
    modes = {"current_schema_mode": (current_schema_mode, current), "schema_mode": (schema_mode, target)}
    for name, (mode, version) in modes.items():
        if mode is None:
            continue
        if not datastore.migrates:
            yield Problem(name, show(mode), f"None with the {datastore.engine} engine", "remove it")
        elif not releases.takes(SCHEMA_MODE, version):
            allowed = f"None at {version}: --{SCHEMA_MODE} exists since {releases.since(SCHEMA_MODE)}"
            yield Problem(name, show(mode), allowed, "remove it, or use a later release")


def modes_go_forward(schema_mode: str | None, current_schema_mode: str | None) -> Problems:
    allowed = _MODES[_MODES.index(current_schema_mode or _MODES[0]) :]
    if schema_mode is not None and schema_mode not in allowed:
        yield Problem(
            "schema_mode",
            show(schema_mode),
            ", ".join(allowed),
            "go back with `helm rollback`, one mode at a time; after read-new-write-new, write the schema again in "
            "read-new-write-both: the old tables do not contain what was written since",
        )


use(
    {
        _Upgrade: (
            target_is_not_older,
            releases_have_the_modes,
            modes_go_forward,
        ),
    }
)
