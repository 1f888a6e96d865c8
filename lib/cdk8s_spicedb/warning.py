"""What renders as asked but deserves a word: Python warnings, all of one category."""

from __future__ import annotations

import warnings

from .errors import SpiceDBWarning
from .props import SpiceDBProps
from .releases import known_releases


def warn_of_unknown_version(props: SpiceDBProps) -> None:
    """A version that the release table does not have."""
    if props.datastore.migrates and not props.releases.knows(props.datastore.engine, props.version):
        _warn(
            f"{props.name}: {props.version} is not among the releases that this package knows for "
            f"{props.datastore.engine} (newest: {props.releases.newest}). Its migration revisions are not checked and "
            "a rollback from a later release is not prepared; extend SpiceDBProps.releases with with_release(…)."
        )


def warn_of_phase(props: SpiceDBProps) -> None:
    """A phase for ``migrate``, which no released SpiceDB takes."""
    phase = props.migration.target_phase
    if phase is not None:
        _warn(
            f"{props.name}: no released SpiceDB up to {known_releases().newest} has `migrate --phase`; the migration "
            f"will fail with its usage text. For --phase={phase.value} set ServerProps.schema_mode (SpiceDB 1.53 and "
            "later) or ServerProps.datastore_migration_phase (PostgreSQL at 1.14, Spanner at 1.22) and roll "
            "the servers out."
        )


def _warn(message: str) -> None:
    warnings.warn(message, SpiceDBWarning, stacklevel=4)
