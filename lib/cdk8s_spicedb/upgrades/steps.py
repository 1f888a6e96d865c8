"""An upgrade as values: a plan and its steps."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen


@frozen(kw_only=True)
class UpgradeStep:
    """One release of the way: a migration, then a roll-out of the servers."""

    version: str
    """The release of SpiceDB that migrates and serves."""
    revision: str | None
    """The datastore revision that the step ends at. None: the head of a release that is not known, or of the memory
    engine, which has none."""
    target_migration: str | None
    """What the migration is told, `MigrationProps.target_migration`. None: the head of the version."""
    migrates: bool
    """Whether the migration has work to do. Where it has none, it runs all the same and finds that out."""
    schema_mode: str | None
    """`ServerProps.schema_mode` of the servers. None: what the props say, by default SpiceDB's own."""
    datastore_migration_phase: str | None
    """`ServerProps.datastore_migration_phase` of the servers. None: no phase."""
    allowed_migrations: Sequence[str]
    """The revisions besides its own head on which the version's servers start, `ServerProps.allowed_migrations`."""
    rolls_back: bool | None
    """Whether servers of the step before turn ready on ``revision``, as `helm rollback` needs them to. None: not
    known."""
    why: str
    """Why the step is there, in one sentence."""
    cautions: Sequence[str] = ()
    """What to know before it begins."""


@frozen(kw_only=True)
class UpgradePlan:
    """The steps from one release to another, in order; none where there is nothing to do."""

    engine: str
    """SpiceDB's name for the datastore's engine."""
    current: str
    """The release that runs."""
    target: str
    """The release that is wanted."""
    steps: Sequence[UpgradeStep]
    """The steps; roll each out, and check it, before the next."""
    warnings: Sequence[str]
    """What is not known, or not advised, about the way as a whole."""
