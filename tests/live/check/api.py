"""A small API server for tests: a few kinds of objects, rights, and what it refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx2
from attrs import define, field

from cdk8s_spicedb import PostgreSQL, SecretKey, SpiceDBProps
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.live.cluster import Cluster

Object = dict[str, Any]
NAMESPACE = "authz"
_PLURALS = {
    "v1": {
        "ConfigMap": "configmaps",
        "Event": "events",
        "Namespace": "namespaces",
        "Pod": "pods",
        "ResourceQuota": "resourcequotas",
        "Secret": "secrets",
        "Service": "services",
        "ServiceAccount": "serviceaccounts",
    },
    "apps/v1": {"Deployment": "deployments", "ReplicaSet": "replicasets"},
    "batch/v1": {"Job": "jobs"},
    "coordination.k8s.io/v1": {"Lease": "leases"},
    "discovery.k8s.io/v1": {"EndpointSlice": "endpointslices"},
    "policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
    "rbac.authorization.k8s.io/v1": {"Role": "roles", "RoleBinding": "rolebindings"},
}
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@define
class Api:
    """The API server. ``refuse`` gets the method and the body of each change."""

    objects: dict[tuple[str, str], Object] = field(factory=dict)
    denied: set[tuple[str, str]] = field(factory=set)
    """Verbs and resources that the user has no right to."""
    refuse: Callable[[str, Object], tuple[int, str] | None] = lambda _, __: None
    created: list[Object] = field(factory=list)
    """Objects that were created, and not only in a dry run."""
    deleted: list[str] = field(factory=list)
    on_create: Callable[[Object], None] = lambda _: None

    def cluster(self) -> Cluster:
        client = httpx2.Client(transport=httpx2.MockTransport(self.answer), base_url="https://cluster")
        return Cluster(client, NAMESPACE)

    def add(self, plural: str, name: str, **content: Any) -> None:
        metadata = {"name": name, "namespace": NAMESPACE, **content.pop("metadata", {})}
        self.objects[plural, name] = {"metadata": metadata, **content}

    def secret(self, name: str, values: Mapping[str, str], kind: str = "Opaque") -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.add("secrets", name, data=data, type=kind)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        path, body = request.url.path, json.loads(request.content or b"{}")
        if path == _REVIEWS:
            return _ok({"status": {"allowed": _asked(body) not in self.denied}})
        parts = path.strip("/").split("/")
        version = "/".join(parts[1:2] if parts[0] == "api" else parts[1:3])
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        if not rest:
            return self._kinds(version)
        if rest[0] == "namespaces" and len(rest) > 2:
            rest = rest[2:]
        name = rest[1] if len(rest) > 1 else ""
        return self._object(request, rest[0], name, body)

    def _kinds(self, version: str) -> httpx2.Response:
        if version not in _PLURALS:
            return _status(404, "the server could not find the requested resource")
        kinds = _PLURALS[version].items()
        namespaced = [{"name": plural, "kind": kind, "namespaced": kind != "Namespace"} for kind, plural in kinds]
        return _ok({"resources": namespaced})

    def _object(self, request: httpx2.Request, plural: str, name: str, body: Object) -> httpx2.Response:
        verb = {"GET": "get" if name else "list", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
        if (verb[request.method], plural) in self.denied:
            return _status(403, f'{plural} is forbidden: User "u" cannot {verb[request.method]} resource "{plural}"')
        if request.method == "GET":
            return self._get(request, plural, name)
        if request.method == "DELETE":
            self.deleted.append(name)
            return _ok({})
        refused = self.refuse(request.method, body)
        if refused:
            return _status(*refused)
        if "dryRun" not in request.url.params:
            self.created.append(body)
            self.on_create(body)
        return _ok(body)

    def _get(self, request: httpx2.Request, plural: str, name: str) -> httpx2.Response:
        if name:
            found = self.objects.get((plural, name))
            return _ok(found) if found else _status(404, f'{plural} "{name}" not found')
        items = [each for (kind, _), each in self.objects.items() if kind == plural]
        selector = request.url.params.get("labelSelector", "")
        wanted = dict(part.split("=") for part in selector.split(",") if part)
        found_items = [each for each in items if wanted.items() <= each["metadata"].get("labels", {}).items()]
        return _ok({"items": found_items or (None if "Partial" in request.headers["accept"] else [])})


def _asked(review: Object) -> tuple[str, str]:
    asked = review["spec"]["resourceAttributes"]
    part = f"/{asked['subresource']}" if asked.get("subresource") else ""
    return asked["verb"], asked["resource"] + part


def _ok(content: Object) -> httpx2.Response:
    return httpx2.Response(200, json=content)


def _status(code: int, message: str) -> httpx2.Response:
    return httpx2.Response(code, json={"kind": "Status", "message": message})


def props(version: str = "v1.56.0", **fields: Any) -> SpiceDBProps:
    """SpiceDB on PostgreSQL, with two keys of one Secret."""
    return SpiceDBProps(version=version, datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")), **fields)


def api(**fields: Any) -> Api:
    """A cluster with the namespace and the Secret of `props`."""
    made = Api(**fields)
    made.add("namespaces", NAMESPACE)
    made.secret("spicedb", {"preshared-key": "key", "datastore-uri": "postgresql://u:hidden@h/d"})
    return made


def texts(findings: Sequence[Finding], level: Level | None = None) -> list[str]:
    """Findings as text, those of one level or all."""
    return [f"{each.subject}: {each.text}" for each in findings if level in (None, each.level)]
