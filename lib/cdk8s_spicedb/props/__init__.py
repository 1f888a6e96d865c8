"""What users say of a SpiceDB: frozen values with their checks, free of cdk8s.

What few say, `client`, `exposure`, `network` and `patch`, is imported by itself, so that the others do not wait for it.
"""

from .availability import Autoscaling, TopologySpread
from .cleanup import CleanupProps
from .migration import MigrationPhase, MigrationProps
from .monitoring import Alerts, Dashboard, Monitoring, PodMonitor, Tracing
from .pod import PodProps, Resources, Toleration
from .probe import Probe
from .secrets import secret_keys
from .server import ServerProps
from .spicedb import SpiceDBProps, require_cleanup, require_migration
from .tls import TLS, DispatchTLS

__all__ = [
    "TLS",
    "Alerts",
    "Autoscaling",
    "CleanupProps",
    "Dashboard",
    "DispatchTLS",
    "MigrationPhase",
    "MigrationProps",
    "Monitoring",
    "PodMonitor",
    "PodProps",
    "Probe",
    "Resources",
    "ServerProps",
    "SpiceDBProps",
    "Toleration",
    "TopologySpread",
    "Tracing",
    "require_cleanup",
    "require_migration",
    "secret_keys",
]
