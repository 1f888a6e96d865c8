"""Data about SpiceDB's releases: revisions, heads, flags, schema modes, and the required stops of upgrades."""

from .cost import Cost, Waits, Work
from .engine import EngineReleases, Rollout, Stop
from .estimate import Estimate
from .known import known_releases, read_releases
from .modes import SCHEMA_MODES
from .table import ReleaseTable
from .version import VERSION, is_version, version_order

__all__ = [
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
    "is_version",
    "known_releases",
    "read_releases",
    "version_order",
]
