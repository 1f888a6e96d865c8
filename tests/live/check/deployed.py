"""A release that runs, for the small API server of these tests."""

from __future__ import annotations

from typing import Any

from cdk8s_spicedb import SpiceDBProps
from cdk8s_spicedb.manifests import release_manifests

from .api import NAMESPACE, Api, props

_BY_HELM = {"meta.helm.sh/release-name": "release", "meta.helm.sh/release-namespace": NAMESPACE}


def deploy(
    cluster: Api, version: str = "v1.52.0", settings: SpiceDBProps | None = None, *, helm: bool = True, **status: Any
) -> None:
    """Adds the Deployment of two ready servers. ``status`` changes its status."""
    manifests = release_manifests(settings or props(version))
    deployment = next(each for each in manifests if each["kind"] == "Deployment")
    metadata = {**deployment["metadata"], "generation": 1, "annotations": _BY_HELM if helm else {}}
    counts = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "observedGeneration": 1}
    cluster.add("deployments", "spicedb", metadata=metadata, spec=deployment["spec"], status={**counts, **status})
    for number in range(2):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        cluster.add("pods", f"spicedb-{number}", metadata={"labels": labels}, status={})


def helm_revision(cluster: Api, number: int, status: str, release: str = "release") -> None:
    """Adds a revision of a Helm release."""
    labels = {"owner": "helm", "name": release, "version": str(number), "status": status}
    cluster.add(
        "secrets", f"sh.helm.release.v1.{release}.v{number}", metadata={"labels": labels, "creationTimestamp": "2030"}
    )
