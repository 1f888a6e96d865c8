"""The plan of an upgrade, and its steps."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ..versions import Estimate


@frozen(kw_only=True)
class UpgradeStep:
    """One step of an upgrade: a migration, then a roll-out of the servers."""

    version: str
    """SpiceDB version of the migration and the servers."""
    revision: str | None
    """Datastore revision after the step. None for the head of an unknown release, and with the memory engine, which has
    no revisions."""
    target_migration: str | None
    """`MigrationProps.target_migration` of the step. None for the head of the version."""
    migrates: bool
    """Whether the step changes the datastore schema. If not, the migration still runs, but has nothing to do."""
    schema_mode: str | None
    """`ServerProps.schema_mode` of the step. None for the mode of your props, which defaults to SpiceDB's own."""
    datastore_migration_phase: str | None
    """`ServerProps.datastore_migration_phase` of the step. None for no phase."""
    allowed_migrations: Sequence[str]
    """`ServerProps.allowed_migrations` of the step: revisions on which servers start in addition to their own head."""
    rolls_back: bool | None
    """Whether servers of the step before become ready on ``revision``, which a `helm rollback` needs. None if
    unknown."""
    why: str
    """Reason for the step, in one sentence."""
    cautions: Sequence[str] = ()
    """What to know or to do before the step."""
    rewrites_schema: bool = False
    """Whether to read the SpiceDB schema and write it again, unchanged, before the step. `cautions` says why."""
    estimates: Sequence[Estimate] = ()
    """What the migrations of the step do to large tables, how long that takes, and who waits: for as many rows as the
    plan has relationships, or else for one million rows. Migrations that are not listed take no time worth
    mentioning."""
    seconds: float | None = None
    """Estimated time of all migrations of the step, in seconds. None without a number of relationships."""
    deadline_seconds: int | None = None
    """``MigrationProps.active_deadline_seconds`` that the step needs, if its default is too short. It leaves room for a
    database that is three times as slow as estimated. None: the default is enough, or the time is not known."""


@frozen(kw_only=True)
class UpgradePlan:
    """The steps from one release to another."""

    engine: str
    """Engine of the datastore, by SpiceDB's name."""
    current: str
    """Version that runs now."""
    target: str
    """Version to upgrade to."""
    steps: Sequence[UpgradeStep]
    """Steps in their order; none if there is nothing to do. Roll out and check each one before the next."""
    warnings: Sequence[str]
    """What is unknown, or not recommended, about the plan as a whole."""
    relationships: int | None = None
    """Number of relationships that the estimates are for. None: they are for one million rows of each table."""

    def before(self, number: int) -> str:
        """Version of the servers before a step. The first step has the number 1."""
        return self.steps[number - 2].version if number > 1 else self.current
