"""What runs in a cluster: the servers of a release, with their settings, and the program that applied them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from attrs import frozen

from ..errors import SpiceDBError
from ..labels import COMPONENT, INSTANCE, NAME, VERSION, Component, selector_text
from ..manifests.objects import Manifest
from ..props.flags import ENGINE, variable_name
from ..props.server import MIGRATION_PHASE, SCHEMA_MODE
from ..versions import ALLOWED_MIGRATIONS, is_version
from .cluster import DEPLOYMENT, POD, Cluster, items_of

HELM_RELEASE = "meta.helm.sh/release-name"
_FLUX_HELM, _FLUX_KUSTOMIZE = "helm.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/name"
_ARGOCD = "argocd.argoproj.io/tracking-id"
_IMAGE = "spicedb"
_REVISION = "deployment.kubernetes.io/revision"


class Applier(Enum):
    """The program that applied a release."""

    HELM = "helm"
    ARGOCD = "argocd"
    FLUX = "flux"
    KUBECTL = "kubectl"
    """kubectl, or any other program that leaves no trace of its own."""
    OPERATOR = "operator"
    """The SpiceDB operator."""


@frozen(kw_only=True)
class Running:
    """The servers of one SpiceDB, as their Deployment describes them."""

    name: str
    """Name of the Deployment."""
    namespace: str
    """Namespace of the Deployment."""
    ours: bool
    """Whether this package made the release. Of other releases, only part is known."""
    applier: Applier
    """Program that applied the release."""
    applied_as: str | None
    """Name of the Helm release, Argo CD Application or Flux object. None with kubectl."""
    version: str | None
    """SpiceDB release of the servers that are wanted. None if neither label nor image tag names one."""
    engine: str | None
    """Engine of the datastore. None if it is not in the Deployment, such as in a Secret."""
    replicas: int
    """Number of servers that are wanted."""
    arguments: Mapping[str, str]
    """Arguments of the servers by flag, without dashes. Several values of a flag are joined with commas."""
    template: Manifest
    """Pod template of the Deployment."""
    revision: str
    """Revision of the Deployment (``deployment.kubernetes.io/revision``)."""

    @property
    def schema_mode(self) -> str | None:
        """Schema mode of the servers. None: SpiceDB's default."""
        return self.arguments.get(SCHEMA_MODE)

    @property
    def migration_phase(self) -> str | None:
        """Datastore migration phase of the servers. None: no phase."""
        return self.arguments.get(MIGRATION_PHASE)

    @property
    def allowed_migrations(self) -> Sequence[str]:
        """Revisions on which the servers start, in addition to their own head."""
        value = self.arguments.get(ALLOWED_MIGRATIONS, "")
        return tuple(part for part in value.split(",") if part)


def find_running(cluster: Cluster, name: str) -> Running | None:
    """The SpiceDB with this name in the namespace. None if there is none."""
    deployment = cluster.get(DEPLOYMENT, name)
    return describe(deployment) if deployment else None


def require_running(cluster: Cluster, name: str) -> Running:
    """What `find_running` returns. Raises `SpiceDBError` if there is none."""
    running = find_running(cluster, name)
    if running is None:
        raise SpiceDBError(
            f"there is no Deployment {name} in the namespace {cluster.namespace}; check --namespace and --context, or "
            "install this SpiceDB first, as described by `cdk8s-spicedb synth`"
        )
    return running


def find_all(cluster: Cluster, *, everywhere: bool = False) -> list[Manifest]:
    """The Deployments of all SpiceDBs in the namespace, or in all namespaces."""
    return [each for each in cluster.find(DEPLOYMENT, everywhere=everywhere) if _is_spicedb(each)]


def server_pods(cluster: Cluster, running: Running) -> list[Manifest]:
    """The pods of the servers, among them those that terminate."""
    return cluster.find(POD, labels=selector_of(running))


def selector_of(running: Running) -> str:
    """The label selector of the servers."""
    if running.ours:
        return selector_text(running.name, Component.SERVER)
    labels = running.template["metadata"].get("labels", {})
    return ",".join(
        f"{key}={value}" for key, value in labels.items() if key.startswith("app.kubernetes.io/")
    ) or ",".join(f"{key}={value}" for key, value in labels.items())


def _is_spicedb(deployment: Manifest) -> bool:
    return _container(deployment) is not None


def _container(deployment: Manifest) -> Manifest | None:
    """The container that serves SpiceDB."""
    for container in items_of(deployment, "spec", "template", "spec", "containers"):
        words = [*container.get("command", ()), *container.get("args", ())]
        if _image_name(container["image"]) == _IMAGE and "operator" not in deployment["metadata"]["name"]:
            return dict(container)
        if any(word.rpartition("/")[2] == "spicedb" for word in words[:2]) and "serve" in words[:3]:
            return dict(container)
    return None


def _image_name(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def describe(deployment: Manifest) -> Running:
    """What a Deployment says about its SpiceDB."""
    metadata, template = deployment["metadata"], deployment["spec"]["template"]
    container = _container(deployment) or template["spec"]["containers"][0]
    labels = metadata.get("labels", {})
    applier, applied_as = _applier(metadata)
    arguments, env = _arguments(container), _env(container)
    return Running(
        name=metadata["name"],
        namespace=metadata["namespace"],
        ours=labels.get(NAME) == "spicedb"
        and labels.get(COMPONENT) == "server"
        and labels.get(INSTANCE) == metadata["name"],
        applier=applier,
        applied_as=applied_as,
        version=version_of(template, container["image"]),
        engine=arguments.get(ENGINE) or env.get(variable_name(ENGINE)),
        replicas=deployment["spec"].get("replicas", 1),
        arguments=arguments,
        template=template,
        revision=revision_of(deployment),
    )


def revision_of(manifest: Manifest) -> str:
    """The revision of a Deployment or a ReplicaSet. Empty before Kubernetes has numbered it."""
    return str(manifest["metadata"].get("annotations", {}).get(_REVISION, ""))


def version_of(template: Manifest, image: str) -> str | None:
    """The SpiceDB release of a pod or a pod template: the tag of its image, or else its label."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    label = template["metadata"].get("labels", {}).get(VERSION, "")
    for found in (tag, f"v{tag}", label, f"v{label}"):
        if is_version(found):
            return found
    return None


def _applier(metadata: Manifest) -> tuple[Applier, str | None]:
    labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
    owners = {owner["kind"]: owner["name"] for owner in metadata.get("ownerReferences", ())}
    if "SpiceDBCluster" in owners or "authzed.com/cluster" in labels:
        return Applier.OPERATOR, owners.get("SpiceDBCluster") or labels.get("authzed.com/cluster")
    if _FLUX_HELM in labels:
        return Applier.FLUX, labels[_FLUX_HELM]
    if _FLUX_KUSTOMIZE in labels:
        return Applier.FLUX, labels[_FLUX_KUSTOMIZE]
    if _ARGOCD in annotations:
        return Applier.ARGOCD, annotations[_ARGOCD].partition(":")[0]
    if HELM_RELEASE in annotations:
        return Applier.HELM, annotations[HELM_RELEASE]
    return Applier.KUBECTL, None


def _arguments(container: Manifest) -> dict[str, str]:
    """The arguments of the form ``--flag=value``."""
    found: dict[str, list[str]] = {}
    for word in (*container.get("command", ()), *container.get("args", ())):
        if word.startswith("--"):
            flag, _, value = word[2:].partition("=")
            found.setdefault(flag, []).append(value)
    return {flag: ",".join(values) for flag, values in found.items()}


def _env(container: Manifest) -> dict[str, Any]:
    return {item["name"]: item["value"] for item in container.get("env", ()) if "value" in item}


def is_ready(pod: Manifest) -> bool:
    """Whether a pod is ready."""
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in items_of(pod, "status", "conditions")
    )


def is_terminating(pod: Manifest) -> bool:
    """Whether a pod was told to stop."""
    return "deletionTimestamp" in pod["metadata"]
