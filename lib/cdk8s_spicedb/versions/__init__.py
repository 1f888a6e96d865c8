"""Data about SpiceDB's releases: revisions, heads, flags, schema modes, and the required stops of upgrades."""

from .engine import (
    MILLION,
    VERSION,
    Cost,
    EngineReleases,
    Estimate,
    Rollout,
    Stop,
    Waits,
    Work,
    is_version,
    version_order,
)
from .flags import Command, FlagTable, known_flags
from .table import ALLOWED_MIGRATIONS, SCHEMA_MODES, ReleaseTable, SchemaMode, known_releases, read_releases

__all__ = [
    "ALLOWED_MIGRATIONS",
    "MILLION",
    "SCHEMA_MODES",
    "VERSION",
    "Command",
    "Cost",
    "EngineReleases",
    "Estimate",
    "FlagTable",
    "ReleaseTable",
    "Rollout",
    "SchemaMode",
    "Stop",
    "Waits",
    "Work",
    "is_version",
    "known_flags",
    "known_releases",
    "read_releases",
    "version_order",
]
