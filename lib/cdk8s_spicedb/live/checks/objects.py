"""A dry run of every object on the API server: with all its checks, and without a change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import httpx2

from ...delivery import Delivery
from ...labels import LONGEST_NAME
from ...manifests.manifest import Manifest
from ..cluster import Cluster, ClusterError, Kind
from ..finding import Finding
from ..parallel import parallel

_PROPS = {
    "PodMonitor": ("the Prometheus operator", "monitoring.podMonitor"),
    "PrometheusRule": ("the Prometheus operator", "monitoring.alerts"),
    "GRPCRoute": ("the Gateway API", "server.grpcRoute"),
}
"""The program that brings a kind of object, and the setting that needs it."""
_NO_RIGHT = re.compile(r"cannot (create|patch|update) resource")


def object_findings(
    cluster: Cluster, delivery: Delivery, manifests: Sequence[Manifest], *, installs: bool
) -> Iterator[Finding]:
    """One finding for each object that the cluster would refuse, or one that it takes all.

    ``installs`` is whether nothing of the release runs yet, so that Helm must find none of its objects.
    """
    found = [finding for finding in parallel(lambda each: _dry_run(cluster, each), manifests) if finding]
    if installs and delivery is Delivery.HELM:
        found += [finding for finding in parallel(lambda each: _belongs_to_helm(cluster, each), manifests) if finding]
    yield from found
    if not found:
        yield Finding.ok("Objects", f"the cluster accepts all {len(manifests)} objects (dry run)")


def _dry_run(cluster: Cluster, manifest: Manifest) -> Finding | None:
    kind, subject = Kind.of(manifest), f"{manifest['kind']} {manifest['metadata']['name']}"
    if not cluster.has(kind):
        return Finding.failure(subject, f"the cluster has no {kind.kind} of {kind.api_version}", _missing_kind(kind))
    try:
        cluster.apply(_new(manifest), dry_run=True)
    except ClusterError as error:
        if error.status is None:
            raise
        if kind.kind == "RoleBinding" and error.status == httpx2.codes.NOT_FOUND:
            return None  # Before an install there is no Role to bind. The dry run of the Role asks for the same rights.
        return _refused(subject, error)
    return None


def _new(manifest: Manifest) -> Manifest:
    """The object for a dry run. A Job gets another name: the old one may be there, and its spec is immutable."""
    if manifest["kind"] != "Job":
        return manifest
    name = manifest["metadata"]["name"][:LONGEST_NAME] + "-dry-run"
    return {**manifest, "metadata": {**manifest["metadata"], "name": name}}


def _missing_kind(kind: Kind) -> str:
    program, setting = _PROPS.get(kind.kind, ("the program that needs it", ""))
    install = f"install the CRD {kind.kind} ({kind.api_version}) of {program}"
    return f"{install}, or remove {setting} from the file" if setting else install


def _refused(subject: str, error: ClusterError) -> Finding:
    text = str(error)
    if error.status == httpx2.codes.FORBIDDEN and _NO_RIGHT.search(text):
        return Finding.warning(subject, f"not tried: {text}", "see the findings about rights")
    if "does not support dry run" in text:
        return Finding.warning(subject, f"not tried: {text}", "ask the people who run this admission webhook")
    return Finding.failure(subject, f"the cluster refuses it: {text}", _fix(text))


def _fix(text: str) -> str:
    if "attempting to grant RBAC permissions" in text:
        return (
            "Kubernetes lets you grant only rights that you have: get the rights in the message yourself, or the verbs "
            "`escalate` and `bind` on roles, or set server.dispatchEnabled: false and cleanup.enabled: false"
        )
    if "field is immutable" in text:
        return "give the release another name in the file, or delete this object first"
    if "exceeded quota" in text:
        return "raise the ResourceQuota (`kubectl describe resourcequota`), or delete objects that you do not need"
    if "admission webhook" in text or "ValidatingAdmissionPolicy" in text:
        return "change the setting that the policy forbids, or ask for an exception from the people who run the policy"
    return "change the setting or the patch that makes this field"


def _belongs_to_helm(cluster: Cluster, manifest: Manifest) -> Finding | None:
    """Whether an object is there that is not Helm's, so that Helm would refuse to install."""
    metadata, kind = manifest["metadata"], Kind.of(manifest)
    if not cluster.has(kind) or "helm.sh/hook" in metadata.get("annotations", {}):
        return None
    found = cluster.get(kind, metadata["name"])
    if found is None or "meta.helm.sh/release-name" in found["metadata"].get("annotations", {}):
        return None
    subject = f"{kind.kind} {metadata['name']}"
    text = "already exists, and is not part of a Helm release: Helm refuses to install over it"
    return Finding.failure(subject, text, "delete it, or give the release another name in the file")
