"""Whether the namespace is there."""

from __future__ import annotations

import httpx2

from ..cluster import NAMESPACE, Cluster, ClusterError
from ..finding import Finding

_ENFORCE = "pod-security.kubernetes.io/enforce"


def namespace_finding(cluster: Cluster) -> Finding:
    """Whether the namespace exists. Without the right to ask, it is taken to exist."""
    subject = f"Namespace {cluster.namespace}"
    try:
        namespace = cluster.get(NAMESPACE, cluster.namespace)
    except ClusterError as error:
        if error.status != httpx2.codes.FORBIDDEN:
            raise
        return Finding.ok(subject, "not checked: you have no permission to get namespaces, and do not need it")
    if namespace is None:
        fix = f"create it with `kubectl create namespace {cluster.namespace}`, or set --namespace or --context"
        return Finding.failure(subject, "does not exist", fix)
    if "deletionTimestamp" in namespace["metadata"]:
        return Finding.failure(subject, "is being deleted", "wait until it is gone, then create it again")
    level = namespace["metadata"].get("labels", {}).get(_ENFORCE)
    return Finding.ok(subject, f"exists, and enforces the Pod Security Standard {level}" if level else "exists")
