"""SpiceDB on Kubernetes, as cdk8s constructs. Upgrades migrate first, keep serving, and can be rolled back."""

from importlib import import_module
from typing import TYPE_CHECKING

from .delivery import Delivery
from .errors import AdvisoryWarning, InvalidProps, Problem, SpiceDBError, SpiceDBWarning
from .props.backup import BackupProps
from .props.chart import ChartChange, ChartLink, ChartMetadata, Maintainer, SignKey
from .props.datastores import CockroachDB, Datastore, Memory, MySQL, Pool, PostgreSQL, Spanner
from .props.datastores.base import ExpiredIntegrityKey, RelationshipIntegrity
from .props.jobs import CleanupProps, MigrationPhase, MigrationProps, PermissionTest, SchemaProps
from .props.monitoring import Alerts, Dashboard, Monitoring, PodMonitor, Tracing
from .props.network import Egress, ExternalService, GRPCRoute, Ingress, NetworkPeer, NetworkPolicies
from .props.patch import Patch, PatchOperation
from .props.pod import PodProps, PodSettings, Resources, Toleration
from .props.secrets import ConfigMapKey, SecretKey
from .props.server import TLS, Autoscaling, DispatchTLS, Probe, ServerProps, TopologySpread
from .props.spicedb import SpiceDBProps
from .props.upgrade_backup import UpgradeBackup
from .versions import Advisory, EngineReleases, ReleaseRange, ReleaseTable, Rollout, Stop, known_releases

if TYPE_CHECKING:
    from .constructs import Cleanup, Migration, Server, SpiceDB, SpiceDBChart
    from .files.folder import write_manifests
    from .helm import write_all, write_helm_chart
    from .helm.upgrade import write_upgrade
    from .manifests.repair import repair_job
    from .plans.plan import UpgradePlan, UpgradeStep
    from .plans.planner import plan_upgrade


__all__ = [
    "TLS",
    "Advisory",
    "AdvisoryWarning",
    "Alerts",
    "Autoscaling",
    "BackupProps",
    "ChartChange",
    "ChartLink",
    "ChartMetadata",
    "Cleanup",
    "CleanupProps",
    "CockroachDB",
    "ConfigMapKey",
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
    "Maintainer",
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
    "PodSettings",
    "Pool",
    "PostgreSQL",
    "Probe",
    "Problem",
    "RelationshipIntegrity",
    "ReleaseRange",
    "ReleaseTable",
    "Resources",
    "Rollout",
    "SchemaProps",
    "SecretKey",
    "Server",
    "ServerProps",
    "SignKey",
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
    "UpgradeBackup",
    "UpgradePlan",
    "UpgradeStep",
    "known_releases",
    "plan_upgrade",
    "repair_job",
    "write_all",
    "write_helm_chart",
    "write_manifests",
    "write_upgrade",
]

# Imported on first use: planning never loads cdk8s, node or YAML.
_LAZY = {
    **dict.fromkeys(("Cleanup", "Migration", "Server", "SpiceDB", "SpiceDBChart"), "constructs"),
    **dict.fromkeys(("UpgradePlan", "UpgradeStep"), "plans.plan"),
    "plan_upgrade": "plans.planner",
    "repair_job": "manifests.repair",
    **dict.fromkeys(("write_all", "write_helm_chart"), "helm"),
    "write_manifests": "files.folder",
    "write_upgrade": "helm.upgrade",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
