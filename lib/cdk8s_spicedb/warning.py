"""What renders as asked but deserves a word: Python warnings, all of one category."""

from __future__ import annotations

import warnings

from .errors import SpiceDBWarning
from .props import SpiceDBProps
from .releases import known_releases


def version_warning(props: SpiceDBProps) -> str | None:
    """What to say of a version that the release table does not have."""
    if not props.datastore.migrates or props.releases.knows(props.datastore.engine, props.version):
        return None
    return (
        f"{props.version} is not among the releases that this package knows for "
        f"{props.datastore.engine} (newest: {props.releases.newest}). Its migration revisions are not checked and "
        "a rollback from a later release is not prepared; extend SpiceDBProps.releases with with_release(…)."
    )


def phase_warning(phase: str) -> str:
    """What to say of a phase for ``migrate``, which no released SpiceDB takes."""
    return (
        f"no released SpiceDB up to {known_releases().newest} has `migrate --phase`; the migration "
        f"will fail with its usage text. For --phase={phase} set ServerProps.schema_mode (SpiceDB 1.53 and "
        "later) or ServerProps.datastore_migration_phase (PostgreSQL at 1.14, Spanner at 1.22) and roll "
        "the servers out."
    )


def warn_of_unknown_version(props: SpiceDBProps) -> None:
    """Warns of a version that the release table does not have."""
    warning = version_warning(props)
    if warning is not None:
        _warn(props, warning)


def warn_of_phase(props: SpiceDBProps) -> None:
    """Warns of a phase for ``migrate``."""
    phase = props.migration.target_phase
    if phase is not None:
        _warn(props, phase_warning(phase.value))


def _warn(props: SpiceDBProps, message: str) -> None:
    warnings.warn(f"{props.name}: {message}", SpiceDBWarning, stacklevel=4)
