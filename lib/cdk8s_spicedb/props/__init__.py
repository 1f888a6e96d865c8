"""What users set: frozen values with their limits, without cdk8s."""

from . import rules
from .annotations import problems, require
from .availability import Autoscaling, TopologySpread
from .cleanup import CleanupProps
from .client import PermissionTest, SchemaProps
from .exposure import ExternalService, GRPCRoute, Ingress
from .migration import MigrationPhase, MigrationProps
from .monitoring import Alerts, Dashboard, Monitoring, PodMonitor, Tracing
from .network import Egress, NetworkPeer, NetworkPolicies
from .patch import Patch, PatchOperation
from .pod import PodProps, Resources, Toleration
from .probe import Probe
from .secret_keys import secret_keys
from .secrets import SecretKey
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
    "Patch",
    "PatchOperation",
    "PermissionTest",
    "PodMonitor",
    "PodProps",
    "Probe",
    "Resources",
    "SchemaProps",
    "SecretKey",
    "ServerProps",
    "SpiceDBProps",
    "Toleration",
    "TopologySpread",
    "Tracing",
    "problems",
    "require",
    "require_cleanup",
    "require_migration",
    "rules",
    "secret_keys",
]
