"""Objects of a release, as a cluster shows them: each one alone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from cdk8s_spicedb import TLS, PostgreSQL, SecretKey, ServerProps, SpiceDBProps
from cdk8s_spicedb.cli.status_text import details
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.instance import Running, describe
from cdk8s_spicedb.live.status import Status
from cdk8s_spicedb.manifests import release_manifests
from tests.apiserver import ApiServer, Object

CREATED = "2030-01-01T11:00:00Z"

PROPS = SpiceDBProps(
    version="v1.56.0",
    datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")),
    server=ServerProps(grpc_tls=TLS.from_secret("tls")),
)


def deployment(*, ready: int = 2, updated: int = 2, **conditions: Object) -> Object:
    """The Deployment of a release, as Helm applied it."""
    (found,) = [each for each in release_manifests(PROPS) if each["kind"] == "Deployment"]
    annotations = {"meta.helm.sh/release-name": "release"}
    metadata = {**found["metadata"], "namespace": "authz", "generation": 1, "annotations": annotations}
    counts = {"readyReplicas": ready, "availableReplicas": ready, "updatedReplicas": updated, "replicas": 2}
    listed = [{"type": kind, "status": "True", **condition} for kind, condition in conditions.items()]
    return {**found, "metadata": metadata, "status": {**counts, "observedGeneration": 1, "conditions": listed}}


def server_pod(name: str = "spicedb-5d9f7c8b6d-bcdfg", *, ready: bool = True, **status_fields: Any) -> Object:
    """A server."""
    template = deployment()["spec"]["template"]
    condition = {"type": "Ready", "status": str(ready)}
    return {
        "metadata": {**template["metadata"], "name": name, "namespace": "authz", "creationTimestamp": CREATED},
        "spec": template["spec"],
        "status": {"conditions": [condition], **status_fields},
    }


def migration_pod(**status_fields: Any) -> Object:
    """The pod of the migration `job`."""
    (found,) = [each for each in release_manifests(PROPS) if each["metadata"]["name"] == "spicedb-migration"]
    template = found["spec"]["template"]
    labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": "spicedb-migration"}
    return {
        "metadata": {"labels": labels, "name": "spicedb-migration-bcdfg", "creationTimestamp": CREATED},
        "spec": template["spec"],
        "status": {"conditions": [], **status_fields},
    }


def job(condition: str | None, name: str = "spicedb-migration", **fields: Any) -> Object:
    """A migration."""
    (found,) = [each for each in release_manifests(PROPS) if each["metadata"]["name"] == "spicedb-migration"]
    metadata = {**found["metadata"], "name": name, "namespace": "authz", "creationTimestamp": CREATED}
    conditions = [{"type": condition, "status": "True", "lastTransitionTime": CREATED, **fields}] if condition else []
    return {**found, "metadata": metadata, "status": {"conditions": conditions}}


def deployment_of(wanted: SpiceDBProps) -> Object:
    """The Deployment of a release."""
    (found,) = [each for each in release_manifests(wanted) if each["kind"] == "Deployment"]
    found["metadata"]["namespace"] = "authz"
    return found


def running_as(wanted: SpiceDBProps, **annotations: str) -> Running:
    """The servers of a release, as if they ran."""
    found = deployment_of(wanted)
    found["metadata"]["annotations"] = annotations or {"meta.helm.sh/release-name": "release"}
    return describe(found)


NOW = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)


def event(name: str, message: str, *, minutes: int = 1, count: int | None = 1) -> Object:
    time = (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"kind": "Pod", "name": name}
    return {
        "metadata": {"name": f"{name}.{message}"},
        "type": "Warning",
        "involvedObject": about,
        "reason": "R",
        "message": message,
        "count": count,
        "lastTimestamp": time,
    }


def revision_of(revision: int, state: str, created: str = CREATED) -> Object:
    labels = {"owner": "helm", "name": "release", "version": str(revision), "status": state}
    return {"metadata": {"name": f"v{revision}", "labels": labels, "creationTimestamp": created}}


NOTHING: dict[str, list[Object]] = {"jobs": [], "events": [], "configmaps": [], "secrets": [], "pods": []}

_LOG = "first\nlast password=abc\n"


def cluster_of(**objects: list[Object]) -> Cluster:
    """A cluster with these objects by their resource, and logs of its pods. There is no right to other resources."""
    api = ApiServer()
    for resource, each in objects.items():
        for content in each:
            api.put(resource, content)
    api.logs.update({pod["metadata"]["name"]: _LOG for pod in api.of("pods")})
    api.allow_only(*objects)
    return api.cluster()


def text_of(found: Status) -> str:
    return "\n".join(str(part) for part in details(found))
