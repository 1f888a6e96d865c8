"""What users say of a SpiceDB: frozen values with their checks, free of cdk8s."""

from .availability import Autoscaling, TopologySpread
from .cleanup import CleanupProps
from .migration import MigrationPhase, MigrationProps
from .pod import PodProps, Resources, Toleration
from .probe import Probe
from .secrets import secret_keys
from .server import ServerProps
from .spicedb import SpiceDBProps, require_cleanup, require_migration
from .tls import TLS, DispatchTLS

__all__ = [
    "TLS",
    "Autoscaling",
    "CleanupProps",
    "DispatchTLS",
    "MigrationPhase",
    "MigrationProps",
    "PodProps",
    "Probe",
    "Resources",
    "ServerProps",
    "SpiceDBProps",
    "Toleration",
    "TopologySpread",
    "require_cleanup",
    "require_migration",
    "secret_keys",
]
