"""One namespace of a Kubernetes cluster. Objects are plain values, as in manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

import httpx2
from attrs import evolve, field, frozen
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ConfigError

from ..errors import SpiceDBError
from ..manifests.objects import Manifest
from .poll import CLOCK, Clock, Deadline
from .text import redacted

MANAGER = "cdk8s-spicedb"
"""Field manager of the objects that this package applies."""
_ATTEMPT_SECONDS = 10.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 2.0
_APPLY = "application/apply-patch+yaml"
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class ClusterError(SpiceDBError):
    """A request to Kubernetes failed. ``status`` is the HTTP status; None if there was no answer."""

    def __init__(self, text: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(redacted(text))


class NotFound(ClusterError):  # noqa: N818 (the names of these say what Kubernetes answered)
    """The cluster has no such object, or no such kind of object."""


class Forbidden(ClusterError):  # noqa: N818
    """You have no right to the request, or an admission policy refuses it."""


class Conflict(ClusterError):  # noqa: N818
    """The object exists already, or somebody changed it since it was read."""


class Unreachable(ClusterError):  # noqa: N818
    """The API server did not answer, or what answered was not the API server."""


_BY_STATUS: Mapping[int, type[ClusterError]] = {
    httpx2.codes.NOT_FOUND: NotFound,
    httpx2.codes.FORBIDDEN: Forbidden,
    httpx2.codes.CONFLICT: Conflict,
}


@frozen
class Kind:
    """A kind of object, as manifests name it."""

    api_version: str
    kind: str

    @classmethod
    def of(cls, manifest: Manifest) -> Kind:
        """The kind of an object."""
        return cls(manifest["apiVersion"], manifest["kind"])

    @property
    def group(self) -> str:
        """The API group. Empty for the core group."""
        return self.api_version.rpartition("/")[0]


CONFIG_MAP = Kind("v1", "ConfigMap")
DEPLOYMENT = Kind("apps/v1", "Deployment")
ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice")
EVENT = Kind("v1", "Event")
JOB = Kind("batch/v1", "Job")
LEASE = Kind("coordination.k8s.io/v1", "Lease")
NAMESPACE = Kind("v1", "Namespace")
POD = Kind("v1", "Pod")
REPLICA_SET = Kind("apps/v1", "ReplicaSet")
RESOURCE_QUOTA = Kind("v1", "ResourceQuota")
SECRET = Kind("v1", "Secret")


@frozen
class _Resource:
    """The name of a kind in paths."""

    plural: str
    namespaced: bool


_BUILT_IN = {
    CONFIG_MAP: _Resource("configmaps", True),
    DEPLOYMENT: _Resource("deployments", True),
    ENDPOINT_SLICE: _Resource("endpointslices", True),
    EVENT: _Resource("events", True),
    JOB: _Resource("jobs", True),
    LEASE: _Resource("leases", True),
    NAMESPACE: _Resource("namespaces", False),
    POD: _Resource("pods", True),
    REPLICA_SET: _Resource("replicasets", True),
    RESOURCE_QUOTA: _Resource("resourcequotas", True),
    SECRET: _Resource("secrets", True),
}
"""Kinds that every cluster has, so that nobody need ask for their names."""


@frozen
class Cluster:
    """One namespace of a Kubernetes cluster, used through an HTTP client that is passed in."""

    client: httpx2.Client = field(repr=False)
    """Client of the API server, with its address and credentials."""
    namespace: str
    """Namespace of the objects."""
    context: str | None = None
    """Context of the kubeconfig, for programs that this package runs."""
    patience_seconds: float = 0
    """Time for which requests are repeated while the API server cannot be reached. Defaults to 0."""
    clock: Clock = field(default=CLOCK, repr=False, eq=False)
    """The time for everything that waits."""
    _resources: dict[str, dict[str, _Resource]] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def connect(
        cls, *, namespace: str | None = None, context: str | None = None, patience_seconds: float = 0
    ) -> Cluster:
        """Connects as kubectl does: with the file in ``KUBECONFIG``, ``~/.kube/config``, or the account of the pod.

        ``namespace`` and ``context`` default to those of the kubeconfig. Raises `ClusterError` if there is none.
        """
        try:
            config = KubeConfig.from_env().get(context)
        except (ConfigError, OSError, KeyError) as error:
            raise ClusterError(f"cannot read the kubeconfig: {error}; set KUBECONFIG or --context") from None
        if config is None:
            raise ClusterError("the kubeconfig has no current context; set one with --context")
        parameters = client_adapter.ConnectionParams(timeout=httpx2.Timeout(_ATTEMPT_SECONDS))
        client = client_adapter.Client(config, parameters)
        return cls(client, namespace or config.namespace, context, patience_seconds)

    def patient(self, seconds: float) -> Cluster:
        """The same namespace, with requests that are repeated while the API server cannot be reached."""
        return evolve(self, patience_seconds=seconds)

    # ------------------------------------------------------------ objects

    def get(self, kind: Kind, name: str) -> Manifest | None:
        """One object. None if there is none of that name."""
        try:
            return cast(Manifest, self._json("GET", self._path(kind, name)))
        except NotFound:
            return None

    def find(self, kind: Kind, *, labels: str = "", fields: str = "", everywhere: bool = False) -> list[Manifest]:
        """Objects of a kind that selectors match, in the namespace or everywhere. Each one has its kind."""
        params = {"labelSelector": labels, "fieldSelector": fields}
        found = self._json("GET", self._path(kind, everywhere=everywhere), params=params)
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in found["items"] or ()]

    def find_metadata(self, kind: Kind, *, labels: str = "", everywhere: bool = False) -> list[Manifest]:
        """What `find` returns, but only the metadata: the data of Secrets stays on the server."""
        path, headers = self._path(kind, everywhere=everywhere), {"Accept": _METADATA_ONLY}
        return list(self._json("GET", path, params={"labelSelector": labels}, headers=headers)["items"] or ())

    def apply(self, manifest: Manifest, *, manager: str = MANAGER, dry_run: bool = False) -> Manifest:
        """Creates or changes an object by server-side apply, and returns the result. Takes over fields of others."""
        params = {"fieldManager": manager, "force": "true", **_dry(dry_run)}
        path = self._path(Kind.of(manifest), manifest["metadata"]["name"])
        return cast(Manifest, self._json("PATCH", path, params=params, json=manifest, headers={"Content-Type": _APPLY}))

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Creates an object. Raises `Conflict` if it exists."""
        params = {"fieldManager": MANAGER, **_dry(dry_run)}
        return cast(Manifest, self._json("POST", self._path(Kind.of(manifest)), params=params, json=manifest))

    def replace(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Replaces an object. Raises `Conflict` if somebody changed it since it was read."""
        path = self._path(Kind.of(manifest), manifest["metadata"]["name"])
        params = {"fieldManager": MANAGER, **_dry(dry_run)}
        return cast(Manifest, self._json("PUT", path, params=params, json=manifest))

    def delete(self, kind: Kind, name: str) -> None:
        """Deletes an object and what it owns. Does nothing if there is none."""
        with suppress(NotFound):
            self._json("DELETE", self._path(kind, name), params={"propagationPolicy": "Background"})

    # ------------------------------------------------------------ pods and rights

    def log(self, pod: str, container: str, *, tail: int | None = None, previous: bool = False) -> str:
        """The log of a container, or of the one before its restart. Empty if it has none."""
        params = {"container": container, "tailLines": str(tail or ""), "previous": "true" if previous else ""}
        try:
            return self._request("GET", f"{self._path(POD, pod)}/log", params=params).text
        except ClusterError as error:
            if error.status in (httpx2.codes.NOT_FOUND, httpx2.codes.BAD_REQUEST):
                return ""
            raise

    def ask_pod(self, pod: str, port: int, path: str, *, tls: bool = False) -> str:
        """The answer of a pod's HTTP port, through the API server. Asks once: an error can be the pod's own."""
        name = f"{'https:' if tls else ''}{pod}:{port}"
        return self.patient(0)._request("GET", f"{self._path(POD, name)}/proxy/{path}").text

    def may(self, verb: str, kind: Kind, *, subresource: str = "") -> bool:
        """Whether the user of this client has a right in the namespace."""
        attributes = {
            "namespace": self.namespace,
            "verb": verb,
            "group": kind.group,
            "resource": self.resource(kind).plural,
            "subresource": subresource,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self._json("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=review)
        return bool(answer["status"]["allowed"])

    def has(self, kind: Kind) -> bool:
        """Whether the cluster has a kind of object."""
        return kind in _BUILT_IN or kind.kind in self._resources_of(kind.api_version)

    # ------------------------------------------------------------ requests

    def resource(self, kind: Kind) -> _Resource:
        """The name of a kind in paths. Of kinds that not every cluster has, by the cluster's own list. Raises
        `NotFound` if the cluster has none."""
        found = _BUILT_IN.get(kind) or self._resources_of(kind.api_version).get(kind.kind)
        if found is None:
            raise NotFound(f"the cluster has no {kind.kind} of {kind.api_version}", httpx2.codes.NOT_FOUND)
        return found

    def _resources_of(self, api_version: str) -> dict[str, _Resource]:
        if api_version not in self._resources:
            prefix = "apis" if "/" in api_version else "api"
            try:
                items = self._json("GET", f"/{prefix}/{api_version}")["resources"]
            except NotFound:
                items = []
            self._resources[api_version] = {
                item["kind"]: _Resource(item["name"], item["namespaced"]) for item in items if "/" not in item["name"]
            }
        return self._resources[api_version]

    def _path(self, kind: Kind, name: str = "", *, everywhere: bool = False) -> str:
        resource = self.resource(kind)
        parts = ["apis" if kind.group else "api", kind.api_version]
        if resource.namespaced and not everywhere:
            parts += ["namespaces", self.namespace]
        return "/" + "/".join([*parts, resource.plural, *([name] if name else [])])

    def _json(self, method: str, path: str, **options: Any) -> Any:
        response = self._request(method, path, **options)
        answer: Any = None
        with suppress(ValueError):
            answer = response.json()
        if not isinstance(answer, dict):
            raise Unreachable(f"the answer of {self.client.base_url} to {method} {path} is no JSON object")
        return answer

    def _request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """The answer to a request. Repeats it while the API server is away, for as long as the patience lasts."""
        options["params"] = {name: value for name, value in options.get("params", {}).items() if value}
        deadline, pause = Deadline.after(self.clock, self.patience_seconds), _FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._attempt(method, path, options)
            except ClusterError as error:
                if not isinstance(error, Unreachable) and error.status not in _TEMPORARY:
                    raise
                if deadline.left < pause:
                    raise
            self.clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _attempt(self, method: str, path: str, options: Mapping[str, Any]) -> httpx2.Response:
        try:
            response = self.client.request(method, path, **options)
        except httpx2.TransportError as error:
            raise Unreachable(f"cannot reach the API server at {self.client.base_url}: {_text(error)}") from None
        if response.is_error:
            kind = _BY_STATUS.get(response.status_code, ClusterError)
            raise kind(_message(response), response.status_code)
        return response


_TEMPORARY = (httpx2.codes.TOO_MANY_REQUESTS, httpx2.codes.SERVICE_UNAVAILABLE, httpx2.codes.GATEWAY_TIMEOUT)


def _dry(dry_run: bool) -> Mapping[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _message(response: httpx2.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text.strip() or f"HTTP status {response.status_code}"


def items_of(value: Any, *path: str) -> Iterator[Any]:
    """The items of a list inside an object. No items if a part of the path is missing."""
    for name in path:
        value = (value or {}).get(name)
    yield from value or ()
