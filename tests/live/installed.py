"""SpiceDB in a fake cluster: what the package installs, as it runs."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

import yaml

from cdk8s_spicedb import PostgreSQL, SecretKey, SpiceDBProps
from cdk8s_spicedb.labels import Component, selector_labels
from cdk8s_spicedb.live.instance import Observed, Running, find_running
from cdk8s_spicedb.live.observe import require
from cdk8s_spicedb.manifests import release_manifests
from tests.apiserver import NAMESPACE, ApiServer, Object
from tests.controllers import roll_out

OLD, NEW = "v1.52.0", "v1.56.0"
BY_HELM = {"meta.helm.sh/release-name": "release", "meta.helm.sh/release-namespace": NAMESPACE}


def props(version: str = "v1.56.0", **fields: Any) -> SpiceDBProps:
    """SpiceDB on PostgreSQL, with two keys of one Secret."""
    datastore = PostgreSQL(uri=SecretKey("spicedb", "datastore-uri"))
    return SpiceDBProps(**{"version": version, "datastore": datastore, **fields})


def installable(*denied: tuple[str, str]) -> ApiServer:
    """A cluster in which the release of `props` can be installed: with its Secret, two nodes and not these rights."""
    api = ApiServer()
    node(api, "node-1")
    node(api, "node-2")
    secret(api, "spicedb", {"preshared-key": "key", "datastore-uri": "postgresql://u:hidden@h/d"})
    for verb, resource in denied:
        api.deny(resource, verb)
    return api


def node(api: ApiServer, name: str, *, ready: bool = True, **spec: object) -> None:
    """Adds a node."""
    conditions = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
    api.put("nodes", {"metadata": {"name": name}, "spec": spec, "status": {"conditions": conditions}})


def secret(api: ApiServer, name: str, values: Mapping[str, str], kind: str = "Opaque") -> None:
    """Adds a Secret."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    api.put("secrets", {"metadata": {"name": name}, "data": data, "type": kind})


def objects_of(settings: SpiceDBProps, annotations: Mapping[str, str] = {}) -> list[Object]:
    """The objects that stay in the cluster, with more annotations: all but the hooks."""
    found = [each for each in release_manifests(settings) if not _is_hook(each)]
    for each in found:
        if annotations:
            each["metadata"]["annotations"] = {**each["metadata"].get("annotations", {}), **annotations}
    return found


def _is_hook(manifest: Object) -> bool:
    return "helm.sh/hook" in manifest["metadata"].get("annotations", {})


def applied(wanted: SpiceDBProps, **annotations: str) -> ApiServer:
    """A cluster with the objects of a release as they are after it was applied, with more annotations."""
    api = ApiServer()
    api.load(*objects_of(wanted, annotations))
    return api


def running_in(api: ApiServer) -> Running:
    """The servers that run."""
    found = find_running(api.cluster(), "spicedb")
    assert found is not None
    return found


def seen_in(api: ApiServer) -> Observed:
    """What is observed of the servers that run."""
    return require(api.cluster(), "spicedb")


def deploy(api: ApiServer, settings: SpiceDBProps, *, helm: bool = True, namespace: str = NAMESPACE) -> Object:
    """Makes the servers of the props run, ready, with their endpoints. Returns the Deployment. The Jobs are over."""
    before = api.find("deployments", settings.name, namespace)
    by_helm = {**BY_HELM, "meta.helm.sh/release-namespace": namespace}
    for each in objects_of(settings, by_helm if helm else {}):
        if each["kind"] == "Job":
            continue
        if each["kind"] == "Deployment":
            each["metadata"]["generation"] = (before["metadata"]["generation"] if before else 0) + 1
            _leave_pause(each, before or {"spec": {}})
        api.load(each, namespace=namespace)
    roll_out(api, settings.name, namespace)
    return api.get("deployments", settings.name, namespace)


def _leave_pause(deployment: Object, before: Object) -> None:
    """Keeps the pause and its annotation: what is applied does not have these fields."""
    if before["spec"].get("paused"):
        deployment["spec"]["paused"] = True
        deployment["metadata"].setdefault("annotations", {}).update(before["metadata"].get("annotations", {}))


def servers(api: ApiServer, name: str = "spicedb") -> list[Object]:
    """The pods of the servers."""
    labels = selector_labels(name, Component.SERVER)
    return [pod for pod in api.of("pods") if labels.items() <= pod["metadata"].get("labels", {}).items()]


def server(name: str, labels: Mapping[str, str], template: Object | None = None, **status: Any) -> Object:
    """A ready server that no controller made."""
    ready = {"podIP": "10.0.9.9", "conditions": [{"type": "Ready", "status": "True"}]}
    metadata = {"name": name, "labels": dict(labels), "creationTimestamp": "2030-01-01T00:00:00Z"}
    spec = {**(template or {}).get("spec", {}), "nodeName": "node-1"}
    return {"metadata": metadata, "spec": spec, "status": {**ready, **status}}


def waiting(reason: str, message: str = "", *, name: str = "", **more: Any) -> Object:
    """The status of a pod whose container waits."""
    state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
    return {"containerStatuses": [{**({"name": name} if name else {}), "state": state, **more}]}


def helm_revision(
    api: ApiServer,
    number: int,
    status: str = "deployed",
    release: str = "release",
    *,
    data: Object | None = None,
    created: str = "2030-01-01T00:00:00Z",
    namespace: str = NAMESPACE,
) -> Object:
    """Adds a revision of a Helm release, and makes the one before it an older one."""
    for secret in api.of("secrets", namespace):
        labels = secret["metadata"].get("labels", {})
        if status == "deployed" and (labels.get("name"), labels.get("status")) == (release, "deployed"):
            labels["status"] = "superseded"
    labels = {"owner": "helm", "name": release, "version": str(number), "status": status}
    metadata = {"name": f"sh.helm.release.v1.{release}.v{number}", "labels": labels, "creationTimestamp": created}
    return api.put("secrets", {"metadata": metadata, "type": "helm.sh/release.v1", "data": data or {}}, namespace)


def helm_keeps(api: ApiServer, *manifests: Object) -> None:
    """Adds the Secret in which Helm keeps revision 1 with these objects."""
    content = json.dumps({"manifest": yaml.safe_dump_all(manifests)}).encode()
    data = base64.b64encode(base64.b64encode(gzip.compress(content))).decode()
    helm_revision(api, 1, data={"release": data})


def migration_job(api: ApiServer, *conditions: Object, **status: Any) -> Object:
    """Adds a migration Job, and its pod with a status and a log. Returns the Job."""
    labels = selector_labels("spicedb", Component.MIGRATION)
    container = {"name": "migrate", "image": "spicedb:v1.56.0", "command": ["spicedb", "migrate", "head"]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    metadata = {"name": "spicedb-migration", "labels": labels, "creationTimestamp": "2030-01-01T00:00:00Z"}
    job = {"metadata": metadata, "spec": {"template": template}, "status": {"conditions": [*conditions]}}
    pod_labels = {**labels, "batch.kubernetes.io/job-name": "spicedb-migration"}
    api.put("pods", {**server("migrate-0", pod_labels, template), "status": status})
    api.logs["migrate-0"] = '{"level":"info","message":"migrating"}'
    return api.put("jobs", job)
