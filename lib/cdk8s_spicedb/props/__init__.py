"""What users say of a SpiceDB: frozen values with their checks, free of cdk8s."""

from .availability import Autoscaling, TopologySpread
from .cleanup import CleanupProps
from .exposure import ExternalService, GRPCRoute, Ingress
from .migration import MigrationPhase, MigrationProps
from .monitoring import Alerts, Dashboard, Monitoring, PodMonitor, Tracing
from .network import Egress, NetworkPeer, NetworkPolicies
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
    "Egress",
    "ExternalService",
    "GRPCRoute",
    "Ingress",
    "MigrationPhase",
    "MigrationProps",
    "Monitoring",
    "NetworkPeer",
    "NetworkPolicies",
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
