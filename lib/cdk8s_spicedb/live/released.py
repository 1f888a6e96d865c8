"""What was released: the objects as the program that applied them remembers them."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import yaml
from attrs import field, frozen

from ..delivery import Applier
from ..errors import SpiceDBError
from ..labels import HELM_RELEASE, HOOKS, INSTANCE, LAST_APPLIED, NAME
from ..manifests.objects import Manifest
from .apierror import SHAPE, ClusterError
from .cluster import SECRET, Cluster, Kind, items_of
from .instance import HelmRelease, Running
from .poll import parallel

# Several times faster, but not in every build of PyYAML.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_MOST_BYTES, _MOST_PARTS = 64 << 20, 1_000_000
"""Longest content of a Secret of Helm. Kubernetes limits it to 1 MiB, packed."""


def helm_releases(cluster: Cluster, release: str) -> list[HelmRelease]:
    """The revisions of a release, oldest first. Reads no Secret's data. Empty if Helm keeps them elsewhere."""
    found = []
    for secret in cluster.find_metadata(SECRET, labels=f"owner=helm,name={release}"):
        metadata = secret["metadata"]
        with suppress(*SHAPE):  # What is not as Helm writes it is no revision.
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
    values: Mapping[str, Any]
    """The values that somebody set for it, above the chart's defaults."""


def read_stored(cluster: Cluster, release: HelmRelease) -> Stored:
    """The content of a revision. Reads the data of Helm's own Secret."""
    secret = cluster.get(SECRET, release.secret)
    if secret is None:
        raise SpiceDBError(f"Helm's Secret {release.secret} is gone")
    try:
        content = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        stored = json.loads(_unpacked(content) if content[:2] == b"\x1f\x8b" else content)
        found = tuple(each for each in yaml.load_all(stored["manifest"], _LOADER) if each)
        values = stored.get("config") or {}
        if not _is_small(found) or not all(map(is_object, found)) or not isinstance(values, dict):
            raise ValueError
    except (*SHAPE, OSError, EOFError, yaml.YAMLError, zlib.error):
        raise SpiceDBError(f"cannot read the manifests in Helm's Secret {release.secret}") from None
    return Stored(found, values)


def _unpacked(content: bytes) -> bytes:
    """Unpacks what Helm has packed. Raises `ValueError` if it is far larger than a Secret of Helm can be."""
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        found = file.read(_MOST_BYTES + 1)
    if len(found) > _MOST_BYTES:
        raise ValueError
    return found


def _is_small(value: Any) -> bool:
    """Whether a value has a sane number of parts. With aliases, a short text can have a billion."""
    left, seen = [value], 0
    while left and seen < _MOST_PARTS:
        part, seen = left.pop(), seen + 1
        left.extend(part.values() if isinstance(part, dict) else part if isinstance(part, (list, tuple)) else ())
    return not left


def is_object(value: Any) -> bool:
    """Whether a value is an object of Kubernetes: it has a kind and a name."""
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        return False
    return all(
        isinstance(each, str) for each in (value.get("apiVersion"), value.get("kind"), value["metadata"].get("name"))
    )


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
    values: Mapping[str, Any] = field(factory=dict)
    """The values that somebody set for the Helm release, above the chart's defaults."""


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


def helm_released(cluster: Cluster, running: Running) -> Released:
    """What Helm released. Unknown without the right to read Helm's Secrets, and empty with other programs."""
    if not running.applier.keeps_history or running.applied_as is None:
        return Released(())
    return _from_helm(cluster, running.applied_as)


def foreign_objects(released: Released, name: str) -> list[str]:
    """The other objects of the Helm release, which an upgrade with a chart of this SpiceDB alone would delete."""
    return [f"{each['kind']} {each['metadata']['name']}" for each in released.objects or () if not is_of(each, name)]


REMOVE_PIN = (
    "install the chart that runs once more with `helm upgrade --reset-then-reuse-values --set image.tag=null "
    "--set image.digest=null`"
)
"""How to let the chart choose the image again."""


def pinned_image(released: Released) -> str | None:
    """The value of the Helm release that sets the image of the servers, which takes precedence over a chart."""
    image = released.values.get("image")
    image = image if isinstance(image, dict) else {}
    return next((f"image.{key}={image[key]}" for key in ("tag", "digest") if image.get(key)), None)


def last_applied(live: Manifest) -> Manifest | None:
    """The manifest that client-side apply keeps in an annotation. None if there is none."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    return found if is_object(found) else None


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
