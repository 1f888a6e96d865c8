"""An API server that keeps what it gets, for tests of commands that change a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from attrs import define, field

from cdk8s_spicedb import PostgreSQL, SecretKey, SpiceDBProps
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.manifests import release_manifests

Object = dict[str, Any]
NAMESPACE = "authz"
_KINDS = {
    "v1": ("ConfigMap", "Event", "Namespace", "Pod", "ResourceQuota", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("Deployment", "ReplicaSet"),
    "batch/v1": ("Job",),
    "coordination.k8s.io/v1": ("Lease",),
    "discovery.k8s.io/v1": ("EndpointSlice",),
}
_HELM = {"meta.helm.sh/release-name": "release", "meta.helm.sh/release-namespace": NAMESPACE}
POD_ADDRESS = "10.0.0.1"


@define
class Store:
    """The API server."""

    objects: dict[tuple[str, str], Object] = field(factory=dict)
    """Objects by the plural of their kind and by their name."""
    logs: dict[str, str] = field(factory=dict)
    metrics: dict[str, str] = field(factory=dict)
    away: bool = False
    """Whether the API server cannot be reached."""
    requests: list[tuple[str, str]] = field(factory=list)
    on_change: Callable[[str, str, Object], None] = lambda *_: None
    """Called with the method, the plural and the object, after each change."""
    _version: int = 0

    def cluster(self, patience_seconds: float = 0) -> Cluster:
        client = httpx2.Client(transport=httpx2.MockTransport(self._answer), base_url="https://cluster")
        return Cluster(client, NAMESPACE, patience_seconds=patience_seconds)

    def put(self, plural: str, content: Object) -> Object:
        """Adds or replaces an object."""
        self._version += 1
        metadata = {"namespace": NAMESPACE, **content["metadata"], "resourceVersion": str(self._version)}
        self.objects[plural, metadata["name"]] = {**content, "metadata": metadata}
        return self.objects[plural, metadata["name"]]

    def get(self, plural: str, name: str) -> Object:
        return self.objects[plural, name]

    def of(self, plural: str) -> list[Object]:
        return [each for (kind, _), each in self.objects.items() if kind == plural]

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if self.away:
            raise httpx2.ConnectError("connection refused")
        self.requests.append((request.method, request.url.path))
        parts = request.url.path.strip("/").split("/")
        version = "/".join(parts[1:2] if parts[0] == "api" else parts[1:3])
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        if not rest:
            kinds = [{"name": plural(kind), "kind": kind, "namespaced": True} for kind in _KINDS.get(version, ())]
            return _ok({"resources": kinds}) if kinds else _refused(404, "no such version")
        rest = rest[2:] if rest[0] == "namespaces" and len(rest) > 2 else rest
        if len(rest) > 2:
            return self._of_pod(rest[1], rest[2])
        return self._object(request, rest[0], rest[1] if len(rest) > 1 else "")

    def _of_pod(self, pod: str, what: str) -> httpx2.Response:
        found = self.logs.get(pod) if what == "log" else self.metrics.get(pod.partition(":")[0])
        return _refused(404, "no such pod") if found is None else httpx2.Response(200, text=found)

    def _object(self, request: httpx2.Request, kind: str, name: str) -> httpx2.Response:
        if request.method == "GET" and not name:
            return _ok({"items": [each for each in self.of(kind) if _selected(each, request)]})
        body = json.loads(request.content or b"{}")
        name = name or body["metadata"]["name"]
        current = self.objects.get((kind, name))
        if request.method in ("GET", "DELETE", "PUT") and current is None:
            return _refused(404, f'{kind} "{name}" not found')
        if request.method == "POST" and current is not None:
            return _refused(409, f'{kind} "{name}" already exists')
        if request.method == "PUT" and current is not None and _version(body) != _version(current):
            return _refused(409, "the object has been modified")
        if request.method == "GET" and current is not None:
            return _ok(current)
        if request.method == "DELETE" and current is not None:
            del self.objects[kind, name]
            self.on_change("DELETE", kind, current)
            return _ok({})
        stored = self.put(kind, {**(current or {}), **body})
        self.on_change(request.method, kind, stored)
        return _ok(stored)


def plural(kind: str) -> str:
    """The name of a kind in paths."""
    return f"{kind.lower()}s"


def _version(each: Object) -> str | None:
    version: str | None = each["metadata"].get("resourceVersion")
    return version


def _selected(each: Object, request: httpx2.Request) -> bool:
    selector = request.url.params.get("labelSelector", "")
    wanted = dict(part.split("=") for part in selector.split(",") if part)
    labels: Object = each["metadata"].get("labels", {})
    return wanted.items() <= labels.items()


def _ok(content: Object) -> httpx2.Response:
    return httpx2.Response(200, json=content)


def _refused(code: int, message: str) -> httpx2.Response:
    return httpx2.Response(code, json={"kind": "Status", "message": message})


def props(version: str = "v1.56.0", **fields: Any) -> SpiceDBProps:
    """SpiceDB on PostgreSQL."""
    return SpiceDBProps(version=version, datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")), **fields)


def deploy(store: Store, settings: SpiceDBProps, *, helm: bool = True) -> None:
    """Makes the servers of the props run, ready, with their endpoints."""
    (deployment,) = [each for each in release_manifests(settings) if each["kind"] == "Deployment"]
    before = store.objects.get(("deployments", settings.name))
    generation = (before["metadata"]["generation"] if before else 0) + 1
    annotations = {**(_HELM if helm else {}), "deployment.kubernetes.io/revision": str(generation)}
    count = settings.replicas
    numbers = ("replicas", "updatedReplicas", "availableReplicas")
    status = {**dict.fromkeys(numbers, count), "observedGeneration": generation}
    metadata = {**deployment["metadata"], "generation": generation, "annotations": annotations}
    store.put("deployments", {**deployment, "metadata": metadata, "status": status})
    template = deployment["spec"]["template"]
    labels = {**template["metadata"]["labels"], "pod-template-hash": str(generation)}
    replica_set = {"name": f"{settings.name}-{generation}", "labels": labels, "annotations": annotations}
    store.put("replicasets", {"metadata": replica_set, "spec": {"template": template}})
    for number in range(count):
        store.put("pods", server(f"{settings.name}-{number}", labels, template))
    slice_labels = {"kubernetes.io/service-name": settings.name}
    endpoints = [{"addresses": [POD_ADDRESS], "conditions": {"ready": True}}]
    store.put("endpointslices", {"metadata": {"name": settings.name, "labels": slice_labels}, "endpoints": endpoints})


def server(name: str, labels: Object, template: Object | None = None, **status: Any) -> Object:
    """A ready server."""
    ready = {"podIP": POD_ADDRESS, "conditions": [{"type": "Ready", "status": "True"}]}
    metadata = {"name": name, "labels": labels, "creationTimestamp": "2030-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": (template or {}).get("spec", {}), "status": {**ready, **status}}


def helm_revision(store: Store, number: int, status: str = "deployed") -> None:
    """Adds a revision of the Helm release, and makes the one before it an older one."""
    for secret in store.of("secrets"):
        if secret["metadata"]["labels"]["status"] == "deployed" and status == "deployed":
            secret["metadata"]["labels"]["status"] = "superseded"
    labels = {"owner": "helm", "name": "release", "version": str(number), "status": status}
    metadata = {"name": f"sh.helm.release.v1.release.v{number}", "labels": labels, "creationTimestamp": "2030"}
    store.put("secrets", {"metadata": metadata, "data": {}})


@contextmanager
def unreachable(store: Store) -> Iterator[None]:
    """The API server is away."""
    store.away = True
    yield
    store.away = False
