"""SpiceDB on Kubernetes, as cdk8s constructs: upgrades that migrate first, serve throughout, and can be rolled back."""

from .chart import SpiceDBChart
from .cleanup import Cleanup
from .datastore import CockroachDB, Datastore, Memory, MySQL, PostgreSQL, Spanner
from .errors import InvalidProps, Problem, SpiceDBError, SpiceDBWarning
from .hooks import Delivery
from .migration import Migration
from .props import (
    CleanupProps,
    MigrationPhase,
    MigrationProps,
    PodProps,
    Resources,
    ServerProps,
    SpiceDBProps,
    Toleration,
)
from .releases import EngineReleases, ReleaseTable, known_releases
from .secret import SecretKey
from .server import Server
from .spicedb import SpiceDB

__all__ = [
    "Cleanup",
    "CleanupProps",
    "CockroachDB",
    "Datastore",
    "Delivery",
    "EngineReleases",
    "InvalidProps",
    "Memory",
    "Migration",
    "MigrationPhase",
    "MigrationProps",
    "MySQL",
    "PodProps",
    "PostgreSQL",
    "Problem",
    "ReleaseTable",
    "Resources",
    "SecretKey",
    "Server",
    "ServerProps",
    "Spanner",
    "SpiceDB",
    "SpiceDBChart",
    "SpiceDBError",
    "SpiceDBProps",
    "SpiceDBWarning",
    "Toleration",
    "known_releases",
]
