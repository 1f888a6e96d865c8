"""Names, labels and annotations of objects. Clusters depend on those of rendered objects, so they never change.

Every selector includes the component: without it, the Service would also select the migration's pods. The labels of a
selector are fixed. User labels are added to objects and never to a selector.
"""

from __future__ import annotations

from enum import Enum

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
VERSION = "app.kubernetes.io/version"
MANAGED_BY = "app.kubernetes.io/managed-by"
RECOMMENDED = "app.kubernetes.io/"
"""Prefix of the labels that Kubernetes recommends."""
RESERVED = (NAME, INSTANCE, COMPONENT, VERSION)
OWN = {MANAGED_BY: "cdk8s-spicedb"}
"""Labels of what the commands themselves create in a cluster."""
UPGRADE = "cdk8s-spicedb/upgrade"
"""The upgrade, the step and the number of a revision of a Helm release that an upgrade made."""
CHECKSUM = "checksum/migration-config"
SCHEMA_CHECKSUM = "checksum/schema"

HELM_CHART = "helm.sh/chart"
HELM_HOOK = "helm.sh/hook"
HELM_HOOK_WEIGHT = "helm.sh/hook-weight"
HELM_HOOK_DELETE = "helm.sh/hook-delete-policy"
HELM_HOOK_LOGS = "helm.sh/hook-output-log-policy"
"""At which events Helm prints the log of a hook's pods."""
OF_HELM = (HELM_CHART, MANAGED_BY)
"""The labels that Helm, or its charts, set on every object."""
HELM_KEEP = "helm.sh/resource-policy"
"""With the value ``keep``, Helm never deletes the object."""
HELM_RELEASE = "meta.helm.sh/release-name"
"""The Helm release that an object belongs to."""
ARGOCD_HOOK = "argocd.argoproj.io/hook"
ARGOCD_HOOK_DELETE = "argocd.argoproj.io/hook-delete-policy"
ARGOCD_SYNC_WAVE = "argocd.argoproj.io/sync-wave"
ARGOCD_SYNC_OPTIONS = "argocd.argoproj.io/sync-options"
ARGOCD_TRACKING = "argocd.argoproj.io/tracking-id"
"""The Argo CD Application that an object belongs to."""
FLUX_HELM = "helm.toolkit.fluxcd.io/name"
"""The HelmRelease that an object belongs to."""
FLUX_KUSTOMIZE = "kustomize.toolkit.fluxcd.io/name"
"""The Kustomization that an object belongs to."""
FLUX_PRUNE = "kustomize.toolkit.fluxcd.io/prune"
OPERATOR_CLUSTER = "authzed.com/cluster"
"""The SpiceDBCluster that an object belongs to."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
REVISION = "deployment.kubernetes.io/revision"
"""The revision of a Deployment or a ReplicaSet."""
HOOKS = (HELM_HOOK, ARGOCD_HOOK)
"""Each makes an object a hook."""
OF_HOOKS = (HELM_HOOK, HELM_HOOK_WEIGHT, HELM_HOOK_DELETE, HELM_HOOK_LOGS, ARGOCD_HOOK, ARGOCD_HOOK_DELETE)
"""The annotations of hooks. On every object, they would make hooks of the servers."""
MARKS = (
    MANAGED_BY,
    REVISION,
    HELM_CHART,
    *(f"{key.partition('/')[0]}/" for key in (ARGOCD_HOOK, FLUX_HELM, FLUX_KUSTOMIZE, HELM_RELEASE, LAST_APPLIED)),
)
"""Labels and annotations, or their prefixes, that programs add to the objects they apply."""

JOB_NAME = "batch.kubernetes.io/job-name"
JOB_INDEX = "batch.kubernetes.io/job-completion-index"
POD_TEMPLATE_HASH = "pod-template-hash"
POD_SECURITY = "pod-security.kubernetes.io/enforce"
"""The Pod Security Standard of a namespace."""
SERVICE_NAME = "kubernetes.io/service-name"
"""The Service of an EndpointSlice."""
NODE_LOST = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""The taints of a node that does not answer."""


class Component(Enum):
    """The part of a release that an object belongs to."""

    SERVER = "server"
    MIGRATION = "migration"
    CLEANUP = "cleanup"
    SCHEMA = "schema"
    TEST = "test"
    BACKUP = "backup"


_SUFFIX = {each: f"-{each.value}" for each in Component}
_SUFFIX |= {Component.SERVER: "", Component.CLEANUP: "-migration-cleanup"}
LONGEST_NAME = 63 - max(map(len, _SUFFIX.values()))
"""Kubernetes copies a Job's name into a label of its pods, and a label's value has at most 63 characters.
To name a Job, it adds up to 11 characters to the name of its CronJob, such as that of the backups."""


def object_name(name: str, component: Component) -> str:
    """The name of a component's objects. The Deployment, Service and ServiceAccount have the release's own name."""
    return name + _SUFFIX[component]


def volume_name(name: str) -> str:
    """The name of the Job that mounts the volume of the backups, without its hash."""
    return f"{name}-volume"


def selector_labels(name: str, component: Component) -> dict[str, str]:
    """The labels that select the pods of one component of one release."""
    return {NAME: "spicedb", INSTANCE: name, COMPONENT: component.value}


def selector_text(name: str, component: Component) -> str:
    """The selector in the form that ``kubectl --selector`` takes."""
    return ",".join(f"{key}={value}" for key, value in selector_labels(name, component).items())
