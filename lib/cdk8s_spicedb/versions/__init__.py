"""Data about SpiceDB's releases: revisions, heads, flags, schema modes, and the required stops of upgrades."""

from .advisories import CONDITIONS, Advisory, Concern, ReleaseRange, Severity, by_weight, concerns, read_advisory
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
from .table import (
    ALLOWED_MIGRATIONS,
    SCHEMA_MODE_FLAG,
    SCHEMA_MODES,
    ReleaseTable,
    SchemaMode,
    known_releases,
    read_releases,
)

__all__ = [
    "ALLOWED_MIGRATIONS",
    "CONDITIONS",
    "MILLION",
    "SCHEMA_MODES",
    "SCHEMA_MODE_FLAG",
    "VERSION",
    "Advisory",
    "Command",
    "Concern",
    "Cost",
    "EngineReleases",
    "Estimate",
    "FlagTable",
    "ReleaseRange",
    "ReleaseTable",
    "Rollout",
    "SchemaMode",
    "Severity",
    "Stop",
    "Waits",
    "Work",
    "by_weight",
    "concerns",
    "is_version",
    "known_flags",
    "known_releases",
    "read_advisory",
    "read_releases",
    "version_order",
]
