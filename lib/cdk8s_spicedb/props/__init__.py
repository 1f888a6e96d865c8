"""What users say of a SpiceDB: frozen values with their checks, free of cdk8s."""

from .availability import Autoscaling, TopologySpread
from .cleanup import CleanupProps
from .client import ClientProps, PermissionTest, SchemaProps
from .exposure import ExternalService, GRPCRoute, Ingress
from .migration import MigrationPhase, MigrationProps
from .monitoring import Alerts, Dashboard, Monitoring, PodMonitor, Tracing
from .network import Egress, NetworkPeer, NetworkPolicies
from .patch import Patch, PatchOperation
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
    "ClientProps",
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
    "Patch",
    "PatchOperation",
    "PermissionTest",
    "PodMonitor",
    "PodProps",
    "Probe",
    "Resources",
    "SchemaProps",
    "ServerProps",
    "SpiceDBProps",
    "Toleration",
    "TopologySpread",
    "Tracing",
    "require_cleanup",
    "require_migration",
    "secret_keys",
]
