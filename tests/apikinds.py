"""The kinds of a cluster, by the API reference of Kubernetes: for the fake API server."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen


@frozen
class Resource:
    """A kind of object in the API."""

    group_version: str
    kind: str
    plural: str
    namespaced: bool = True
    custom: bool = False
    """Whether it is of a CustomResourceDefinition."""
    subresources: Sequence[str] = ("status",)

    @property
    def group(self) -> str:
        return self.group_version.rpartition("/")[0]

    @property
    def title(self) -> str:
        """The name in messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def has_generation(self) -> bool:
        return self.custom or self.group not in ("", "coordination.k8s.io", "rbac.authorization.k8s.io")


RESOURCES = (
    Resource("v1", "ConfigMap", "configmaps", subresources=()),
    Resource("v1", "Event", "events", subresources=()),
    Resource("v1", "LimitRange", "limitranges", subresources=()),
    Resource("v1", "Namespace", "namespaces", namespaced=False),
    Resource("v1", "Node", "nodes", namespaced=False),
    Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Resource("v1", "Pod", "pods", subresources=("status", "log", "proxy", "eviction", "exec")),
    Resource("v1", "ResourceQuota", "resourcequotas"),
    Resource("v1", "Secret", "secrets", subresources=()),
    Resource("v1", "Service", "services"),
    Resource("v1", "ServiceAccount", "serviceaccounts", subresources=("token",)),
    Resource("apps/v1", "Deployment", "deployments", subresources=("status", "scale")),
    Resource("apps/v1", "ReplicaSet", "replicasets", subresources=("status", "scale")),
    Resource("apps/v1", "StatefulSet", "statefulsets", subresources=("status", "scale")),
    Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Resource("batch/v1", "CronJob", "cronjobs"),
    Resource("batch/v1", "Job", "jobs"),
    Resource("coordination.k8s.io/v1", "Lease", "leases", subresources=()),
    Resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", subresources=()),
    Resource("networking.k8s.io/v1", "Ingress", "ingresses"),
    Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", subresources=()),
    Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Resource("rbac.authorization.k8s.io/v1", "Role", "roles", subresources=()),
    Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", subresources=()),
)
"""The kinds of every cluster."""
GRPC_ROUTE = Resource("gateway.networking.k8s.io/v1", "GRPCRoute", "grpcroutes", custom=True)
POD_MONITOR = Resource("monitoring.coreos.com/v1", "PodMonitor", "podmonitors", custom=True)
BACKUP = Resource("postgresql.cnpg.io/v1", "Backup", "backups", custom=True)
PROMETHEUS_RULE = Resource("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules", custom=True)
"""Kinds that a cluster has only if somebody installed them: add them to `ApiServer.resources`."""
