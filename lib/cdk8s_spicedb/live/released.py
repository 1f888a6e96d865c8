"""What was released: the objects as the program that applied them remembers them."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
from collections.abc import Sequence
from typing import Any

import yaml
from attrs import frozen

from ..delivery import Applier
from ..errors import SpiceDBError
from ..labels import HELM_RELEASE, HOOKS, INSTANCE, LAST_APPLIED, NAME
from ..manifests.objects import Manifest
from .cluster import SECRET, Cluster, ClusterError, Kind, items_of
from .instance import HelmRelease, Running
from .poll import parallel

# Several times faster, but not in every build of PyYAML.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def helm_releases(cluster: Cluster, release: str) -> list[HelmRelease]:
    """The revisions of a release, oldest first. Reads no Secret's data. Empty if Helm keeps them elsewhere."""
    found = []
    for secret in cluster.find_metadata(SECRET, labels=f"owner=helm,name={release}"):
        metadata = secret["metadata"]
        found.append(
            HelmRelease(
                release=release,
                revision=int(metadata["labels"]["version"]),
                status=metadata["labels"]["status"],
                created=metadata["creationTimestamp"],
                secret=metadata["name"],
            )
        )
    return sorted(found, key=lambda each: each.revision)


def deployed(releases: list[HelmRelease]) -> HelmRelease | None:
    """The revision that Helm compares the next one with: the deployed one, or else the last one."""
    of_state = [each for each in releases if each.status == "deployed"]
    return max(of_state or releases, key=lambda each: each.revision, default=None)


@frozen
class Stored:
    """The content of a revision."""

    manifests: Sequence[Manifest]
    """Its objects, without hooks."""
    values: Sequence[str]
    """Names of the values that somebody set for it, above the chart's defaults."""


def read_stored(cluster: Cluster, release: HelmRelease) -> Stored:
    """The content of a revision. Reads the data of Helm's own Secret."""
    secret = cluster.get(SECRET, release.secret)
    if secret is None:
        raise SpiceDBError(f"Helm's Secret {release.secret} is gone")
    try:
        content = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        stored = json.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
        found = list(yaml.load_all(stored["manifest"], _LOADER))
    except (KeyError, ValueError, OSError, EOFError, binascii.Error, yaml.YAMLError):
        raise SpiceDBError(f"cannot read the manifests in Helm's Secret {release.secret}") from None
    return Stored(tuple(each for each in found if each), tuple(sorted(stored.get("config") or ())))


_RBAC = "rbac.authorization.k8s.io/v1"
KINDS = (
    Kind("apps/v1", "Deployment"),
    Kind("v1", "Service"),
    Kind("v1", "ServiceAccount"),
    Kind("v1", "ConfigMap"),
    Kind(_RBAC, "Role"),
    Kind(_RBAC, "RoleBinding"),
    Kind("policy/v1", "PodDisruptionBudget"),
    Kind("autoscaling/v2", "HorizontalPodAutoscaler"),
    Kind("networking.k8s.io/v1", "NetworkPolicy"),
    Kind("networking.k8s.io/v1", "Ingress"),
    Kind("gateway.networking.k8s.io/v1", "GRPCRoute"),
    Kind("monitoring.coreos.com/v1", "PodMonitor"),
    Kind("monitoring.coreos.com/v1", "PrometheusRule"),
)
"""The kinds of objects that a release can have, apart from Jobs."""


@frozen
class Released:
    """The objects that were released, without hooks."""

    objects: Sequence[Manifest] | None
    """The objects. None if they are not known."""
    reason: str = ""
    """Why they are not known, and what to do."""
    helm: HelmRelease | None = None
    """The revision of the Helm release that they are from."""
    values: Sequence[str] = ()
    """Names of the values of the Helm release."""


def find_released(cluster: Cluster, running: Running, helm_release: str | None) -> Released:
    """What was released. It is never an error if that is unknown. ``helm_release`` is the name of Helm's release."""
    if helm_release is not None:
        return _from_helm(cluster, helm_release)
    if running.applier is Applier.OPERATOR:
        return Released(None, "the operator corrects its own objects; see the SpiceDBCluster")
    live = own_objects(cluster, running.name)
    if not any(last_applied(each) for each in live):
        return Released(
            None,
            "nothing in the cluster says what was applied (server-side apply keeps no copy); "
            "use `cdk8s-spicedb diff --file FILE`",
        )
    return Released([manifest for each in live if (manifest := last_applied(each)) is not None])


def _from_helm(cluster: Cluster, name: str) -> Released:
    try:
        found = deployed(helm_releases(cluster, name))
        if found is None:
            return Released(None, f"there is no Secret of Helm's release {name} in the namespace {cluster.namespace}")
        stored = read_stored(cluster, found)
        return Released(stored.manifests, helm=found, values=stored.values)
    except ClusterError as error:
        return Released(None, f"{error}; reading what Helm released needs the right to get and list Secrets")
    except SpiceDBError as error:
        return Released(None, str(error))


def is_of(manifest: Manifest, name: str) -> bool:
    """Whether an object is part of the SpiceDB with a name, by its labels."""
    labels = manifest["metadata"].get("labels") or {}
    return (labels.get(NAME), labels.get(INSTANCE)) == ("spicedb", name)


def foreign_objects(cluster: Cluster, running: Running) -> list[str]:
    """The other objects of the Helm release, which an upgrade with a chart of this SpiceDB alone would delete. None are
    known without the right to read Helm's Secrets."""
    if not running.applier.keeps_history or running.applied_as is None:
        return []
    objects = _from_helm(cluster, running.applied_as).objects or ()
    return [f"{each['kind']} {each['metadata']['name']}" for each in objects if not is_of(each, running.name)]


def last_applied(live: Manifest) -> Manifest | None:
    """The manifest that client-side apply keeps in an annotation. None if there is none."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def own_objects(cluster: Cluster, name: str) -> list[Manifest]:
    """The objects of a release of this package by their labels, without Jobs. Leaves out what may not be read."""

    def of_kind(kind: Kind) -> list[Manifest]:
        try:
            return cluster.find(kind, labels=f"{NAME}=spicedb,{INSTANCE}={name}") if cluster.has(kind) else []
        except ClusterError:
            return []

    return [each for found in parallel(of_kind, KINDS) for each in found]


def apply_manager(live: Manifest | None, default: str) -> str:
    """The field manager with which an object was applied by server-side apply, or else a default."""
    entries = items_of(live, "metadata", "managedFields")
    managers = (each["manager"] for each in entries if each["operation"] == "Apply" and not each.get("subresource"))
    return next(managers, default)


def identity(manifest: Manifest) -> tuple[str, str, str]:
    """What names an object in a namespace: its API group, kind and name. The version does not matter."""
    return manifest["apiVersion"].rpartition("/")[0], manifest["kind"], manifest["metadata"]["name"]


def helm_release_of(live: Manifest | None) -> str | None:
    """The name of the Helm release that an object belongs to."""
    annotations = (live or {}).get("metadata", {}).get("annotations") or {}
    name: str | None = annotations.get(HELM_RELEASE)
    return name


def is_hook(manifest: Manifest) -> bool:
    """Whether Helm or Argo CD runs an object before or after the release."""
    annotations = manifest["metadata"].get("annotations") or {}
    return any(key in annotations for key in HOOKS)
