"""What users say of a SpiceDB: frozen values with their checks, free of cdk8s."""

from .cleanup import CleanupProps
from .migration import MigrationPhase, MigrationProps
from .pod import PodProps, Resources, Toleration
from .secrets import secret_keys
from .server import ServerProps
from .spicedb import SpiceDBProps, require_cleanup, require_migration

__all__ = [
    "CleanupProps",
    "MigrationPhase",
    "MigrationProps",
    "PodProps",
    "Resources",
    "ServerProps",
    "SpiceDBProps",
    "Toleration",
    "require_cleanup",
    "require_migration",
    "secret_keys",
]
