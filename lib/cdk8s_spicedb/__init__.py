"""SpiceDB on Kubernetes, as cdk8s constructs: upgrades that migrate first, serve throughout, and can be rolled back."""

from importlib import import_module
from typing import TYPE_CHECKING

from .datastore.base import Datastore
from .delivery import Delivery
from .errors import InvalidProps, Problem, SpiceDBError, SpiceDBWarning
from .props import (
    TLS,
    Alerts,
    Autoscaling,
    CleanupProps,
    Dashboard,
    DispatchTLS,
    MigrationPhase,
    MigrationProps,
    Monitoring,
    PodMonitor,
    PodProps,
    Probe,
    Resources,
    ServerProps,
    SpiceDBProps,
    Toleration,
    TopologySpread,
    Tracing,
)
from .releases import EngineReleases, ReleaseTable, Rollout, Stop, known_releases
from .secret import SecretKey

if TYPE_CHECKING:
    from .chart import SpiceDBChart
    from .cleanup import Cleanup
    from .datastore.cockroachdb import CockroachDB
    from .datastore.integrity import ExpiredIntegrityKey, RelationshipIntegrity
    from .datastore.memory import Memory
    from .datastore.mysql import MySQL
    from .datastore.pool import Pool
    from .datastore.postgres import PostgreSQL
    from .datastore.spanner import Spanner
    from .migration import Migration
    from .plan import plan_upgrade
    from .props.client import PermissionTest, SchemaProps
    from .props.exposure import ExternalService, GRPCRoute, Ingress
    from .props.network import Egress, NetworkPeer, NetworkPolicies
    from .props.patch import Patch, PatchOperation
    from .server import Server
    from .spicedb import SpiceDB
    from .upgrade import UpgradePlan, UpgradeStep
    from .write import write_helm_chart, write_upgrade

__all__ = [
    "TLS",
    "Alerts",
    "Autoscaling",
    "Cleanup",
    "CleanupProps",
    "CockroachDB",
    "Dashboard",
    "Datastore",
    "Delivery",
    "DispatchTLS",
    "Egress",
    "EngineReleases",
    "ExpiredIntegrityKey",
    "ExternalService",
    "GRPCRoute",
    "Ingress",
    "InvalidProps",
    "Memory",
    "Migration",
    "MigrationPhase",
    "MigrationProps",
    "Monitoring",
    "MySQL",
    "NetworkPeer",
    "NetworkPolicies",
    "Patch",
    "PatchOperation",
    "PermissionTest",
    "PodMonitor",
    "PodProps",
    "Pool",
    "PostgreSQL",
    "Probe",
    "Problem",
    "RelationshipIntegrity",
    "ReleaseTable",
    "Resources",
    "Rollout",
    "SchemaProps",
    "SecretKey",
    "Server",
    "ServerProps",
    "Spanner",
    "SpiceDB",
    "SpiceDBChart",
    "SpiceDBError",
    "SpiceDBProps",
    "SpiceDBWarning",
    "Stop",
    "Toleration",
    "TopologySpread",
    "Tracing",
    "UpgradePlan",
    "UpgradeStep",
    "known_releases",
    "plan_upgrade",
    "write_helm_chart",
    "write_upgrade",
]

# Whoever only plans or checks does not wait for cdk8s and node, nor for YAML; whoever only renders, not for planning;
# and nobody for engines and options of others.
_LATER = {
    "Cleanup": "cleanup",
    "CockroachDB": "datastore.cockroachdb",
    "Egress": "props.network",
    "ExpiredIntegrityKey": "datastore.integrity",
    "ExternalService": "props.exposure",
    "GRPCRoute": "props.exposure",
    "Ingress": "props.exposure",
    "Memory": "datastore.memory",
    "Migration": "migration",
    "MySQL": "datastore.mysql",
    "NetworkPeer": "props.network",
    "NetworkPolicies": "props.network",
    "Patch": "props.patch",
    "PatchOperation": "props.patch",
    "PermissionTest": "props.client",
    "Pool": "datastore.pool",
    "PostgreSQL": "datastore.postgres",
    "RelationshipIntegrity": "datastore.integrity",
    "SchemaProps": "props.client",
    "Server": "server",
    "Spanner": "datastore.spanner",
    "SpiceDB": "spicedb",
    "SpiceDBChart": "chart",
    "UpgradePlan": "upgrade",
    "UpgradeStep": "upgrade",
    "plan_upgrade": "plan",
    "write_helm_chart": "write",
    "write_upgrade": "write",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *_LATER]
