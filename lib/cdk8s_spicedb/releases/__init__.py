"""Data about SpiceDB's releases: revisions, heads, flags, schema modes, and the required stops of upgrades."""

from .cost import Cost, Waits, Work
from .engine import EngineReleases, Rollout, Stop
from .estimate import MILLION, Estimate, duration, in_words, is_quick, number, quick_in_words
from .known import known_releases, read_releases
from .modes import SCHEMA_MODES
from .table import ReleaseTable
from .version import VERSION, is_version, version_order

__all__ = [
    "MILLION",
    "SCHEMA_MODES",
    "VERSION",
    "Cost",
    "EngineReleases",
    "Estimate",
    "ReleaseTable",
    "Rollout",
    "Stop",
    "Waits",
    "Work",
    "duration",
    "in_words",
    "is_quick",
    "is_version",
    "known_releases",
    "number",
    "quick_in_words",
    "read_releases",
    "version_order",
]
