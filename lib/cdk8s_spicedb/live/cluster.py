"""One namespace of a Kubernetes cluster. Objects are plain values, as in manifests."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from operator import attrgetter
from typing import Any
from urllib.parse import quote

import httpx2
from attrs import evolve, field, frozen

from ..manifests.objects import Manifest
from .apierror import SHAPE, ClusterError, NotFound, OddAnswer, Unreachable, reads
from .connection import connect
from .http import WRITE_SECONDS, Answer, Api
from .kubeconfig import Kubeconfig, read_kubeconfig
from .poll import CLOCK, Clock

MANAGER = "cdk8s-spicedb"
"""Field manager of the objects that this package applies."""
PATIENCE_SECONDS = 10
"""How long a command repeats a request while the API server cannot be reached."""
CHANGE_PATIENCE_SECONDS = 120
"""The same, for a command that changes a release."""
_POD_SECONDS, _LEAVE_SECONDS = 5.0, 3.0
"""Time for a question to a pod, and for each request before the command ends."""
_MOST_LOG_BYTES, _MOST_PAGE_BYTES = 4 << 20, 16 << 20
"""Longest log, and longest answer of a pod."""
_APPLY = "application/apply-patch+yaml"
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


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
    def type_meta(self) -> dict[str, str]:
        """How a manifest begins."""
        return {"apiVersion": self.api_version, "kind": self.kind}

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
NODE = Kind("v1", "Node")
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
    NODE: _Resource("nodes", False),
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
    kubeconfig: Kubeconfig | None = field(default=None, repr=False)
    """The context that the client uses, for programs that this package runs. Defaults to what they find themselves."""
    patience_seconds: float = 0
    """Time for which requests are repeated while the API server cannot be reached. Defaults to 0."""
    clock: Clock = field(default=CLOCK, repr=False, eq=False)
    """The time for everything that waits."""
    most_seconds: float = WRITE_SECONDS
    """Maximum time for one request. Requests that only read have 10 s."""
    _resources: dict[str, dict[str, _Resource]] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def connect(
        cls,
        *,
        namespace: str | None = None,
        context: str | None = None,
        kubeconfig: str | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Clock = CLOCK,
    ) -> Cluster:
        """Connects as kubectl does: with the file ``kubeconfig``, or else with the files in ``KUBECONFIG``,
        ``~/.kube/config``, or the account of the pod.

        ``namespace`` and ``context`` default to those of the kubeconfig. They are chosen once: a later change of the
        current context changes nothing. Raises `ClusterError` if there is none.
        """
        config = read_kubeconfig(context, kubeconfig)
        return cls(connect(config), namespace or config.namespace, config, patience_seconds, clock)

    def patient(self, seconds: float) -> Cluster:
        """The same namespace, with requests that are repeated while the API server cannot be reached."""
        return evolve(self, patience_seconds=seconds)

    def for_changes(self) -> Cluster:
        """The same namespace, for a command that changes a release: it waits longer while the API server is away."""
        return self.patient(max(self.patience_seconds, CHANGE_PATIENCE_SECONDS))

    def leaving(self) -> Cluster:
        """The same namespace, for what is done last: no request takes long or is repeated, or waits for its turn."""
        return evolve(self, patience_seconds=0, most_seconds=_LEAVE_SECONDS, clock=CLOCK)

    @property
    def context(self) -> str | None:
        """Name of the context of the kubeconfig. None: there is none, as in a pod."""
        return self.kubeconfig.context if self.kubeconfig else None

    @property
    def place(self) -> str:
        """The cluster, in words: its context and its API server."""
        server = str(self.client.base_url).rstrip("/")
        return f"context {self.context} ({server})" if self.context else server

    def options(self, context: str = "--context") -> str:
        """The options of a command line for this namespace. ``context`` is the name of the option for the context."""
        of_context = [context, self.context] if self.context else []
        of_file = ["--kubeconfig", self.kubeconfig.file] if self.kubeconfig and self.kubeconfig.file else []
        return shlex.join(["--namespace", self.namespace, *of_context, *of_file])

    # ------------------------------------------------------------ objects

    def get(self, kind: Kind, name: str) -> Manifest | None:
        """One object. None if there is none of that name."""
        try:
            found = self._api.json("GET", self._path(kind, name))
        except NotFound:
            return None
        if not _is_named(found):
            raise OddAnswer(f"the answer of {self.place} is not a {kind.kind}: a proxy may have answered")
        return found

    def find(self, kind: Kind, *, labels: str = "", fields: str = "", everywhere: bool = False) -> list[Manifest]:
        """Objects of a kind that selectors match, in the namespace or everywhere. Each one has its kind."""
        params = {"labelSelector": labels, "fieldSelector": fields}
        found = self._list(kind, everywhere, params=params)
        return [{**kind.type_meta, **item} for item in found]

    def find_metadata(self, kind: Kind, *, labels: str = "", everywhere: bool = False) -> list[Manifest]:
        """What `find` returns, but only the metadata: the data of Secrets stays on the server."""
        return self._list(kind, everywhere, params={"labelSelector": labels}, headers={"Accept": _METADATA_ONLY})

    def _list(self, kind: Kind, everywhere: bool, **options: Any) -> list[Manifest]:
        items = self._api.json("GET", self._path(kind, everywhere=everywhere), **options).get("items") or []
        if not isinstance(items, list):
            raise self._api.odd(f"a list of {kind.kind}s")
        # What has no name is no object, and must not hide the others.
        return [item for item in items if isinstance(item, dict) and _is_named(item)]

    def apply(self, manifest: Manifest, *, manager: str = MANAGER, dry_run: bool = False) -> Manifest:
        """Creates or changes an object by server-side apply, and returns the result. Takes over fields of others."""
        params = {"fieldManager": manager, "force": "true", **_dry(dry_run)}
        path = self._path(Kind.of(manifest), manifest["metadata"]["name"])
        return self._api.json("PATCH", path, params=params, json=manifest, headers={"Content-Type": _APPLY})

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Creates an object. Raises `Conflict` if it exists, and `Unreachable` if it is not known whether it was
        created."""
        params = {"fieldManager": MANAGER, **_dry(dry_run)}
        path = self._path(Kind.of(manifest))
        return self._api.json("POST", path, params=params, json=manifest, repeats=dry_run)

    def replace(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Replaces an object. Raises `Conflict` if somebody changed it since it was read."""
        path = self._path(Kind.of(manifest), manifest["metadata"]["name"])
        params = {"fieldManager": MANAGER, **_dry(dry_run)}
        return self._api.json("PUT", path, params=params, json=manifest)

    def delete(self, kind: Kind, name: str, *, only: Manifest | None = None) -> None:
        """Deletes an object and what it owns. Does nothing if there is none. ``only`` is the object that was read: if
        somebody has changed or replaced it, this raises `Conflict`."""
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        if only is not None:
            metadata = only["metadata"]
            options["preconditions"] = {key: metadata[key] for key in ("uid", "resourceVersion") if key in metadata}
        with suppress(NotFound):
            self._api.json("DELETE", self._path(kind, name), json=options)

    # ------------------------------------------------------------ pods and rights

    def log(self, pod: str, container: str, *, tail: int | None = None, previous: bool = False) -> str:
        """The log of a container, or of the one before its restart: at most 4 MiB. Empty if it has none."""
        params = {
            "container": container,
            "tailLines": str(tail or ""),
            "previous": "true" if previous else "",
            "limitBytes": str(_MOST_LOG_BYTES),
        }
        try:
            path = f"{self._path(POD, pod)}/log"
            return self._api.request("GET", path, _text, params=params, most=_MOST_LOG_BYTES, cut=True)
        except ClusterError as error:
            if error.status in (httpx2.codes.NOT_FOUND, httpx2.codes.BAD_REQUEST):
                return ""
            raise

    def ask_pod(self, pod: str, port: int, path: str, *, tls: bool = False) -> str:
        """The answer of a pod's HTTP port, through the API server. Asks once: an error can be the pod's own."""
        name, once = f"{pod}:{port}", evolve(self, patience_seconds=0, most_seconds=_POD_SECONDS)
        whole = f"{once._path(POD)}/{'https:' if tls else ''}{_segment(name)}/proxy/{path}"
        return once._api.request("GET", whole, _text, most=_MOST_PAGE_BYTES)

    @reads("whether you have a right")
    def may(self, verb: str, kind: Kind, *, subresource: str = "", name: str = "") -> bool:
        """Whether the user of this client has a right in the namespace: for all objects of a kind, or for one."""
        attributes = {
            "namespace": self.namespace,
            "verb": verb,
            "group": kind.group,
            "resource": self.resource(kind).plural,
            "subresource": subresource,
            "name": name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return bool(self._api.json("POST", path, json=review, repeats=True)["status"]["allowed"])

    def now(self) -> datetime:
        """The API server's time, which the timestamps of objects also use. Falls back to this machine's time if the
        answer has no ``Date`` header."""
        try:
            date = parsedate_to_datetime(self._api.request("GET", "/version", attrgetter("date")))
            return date.astimezone(timezone.utc)
        except Unreachable:
            raise
        except (ClusterError, *SHAPE):
            return self.clock.now()

    def has(self, kind: Kind) -> bool:
        """Whether the cluster has a kind of object."""
        return kind in _BUILT_IN or kind.kind in self._resources_of(kind.api_version)

    # ------------------------------------------------------------ requests

    @property
    def _api(self) -> Api:
        return Api(self.client, self.patience_seconds, self.clock, self.most_seconds)

    def resource(self, kind: Kind) -> _Resource:
        """The name of a kind in paths. Of kinds that not every cluster has, by the cluster's own list. Raises
        `NotFound` if the cluster has none."""
        found = _BUILT_IN.get(kind) or self._resources_of(kind.api_version).get(kind.kind)
        if found is None:
            raise NotFound(f"the cluster has no {kind.kind} of {kind.api_version}", httpx2.codes.NOT_FOUND)
        return found

    @reads("the cluster's list of kinds")
    def _resources_of(self, api_version: str) -> dict[str, _Resource]:
        if api_version not in self._resources:
            prefix = "apis" if "/" in api_version else "api"
            try:
                items = self._api.json("GET", f"/{prefix}/{api_version}")["resources"]
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
            parts += ["namespaces", _segment(self.namespace)]
        return "/" + "/".join([*parts, resource.plural, *([_segment(name)] if name else [])])


def _is_named(item: Manifest) -> bool:
    metadata = item.get("metadata")
    return isinstance(metadata, dict) and isinstance(metadata.get("name"), str)


def _segment(name: str) -> str:
    """A name as part of a path. Raises `NotFound` if no object can have it, by Kubernetes' rule for names in paths."""
    if name in (".", "..") or re.search("[/%]", name):
        raise NotFound(f"no object can have the name {name!r}", httpx2.codes.NOT_FOUND)
    return quote(name, safe=":")


def _text(answer: Answer) -> str:
    return answer.content.decode(errors="replace")


def _dry(dry_run: bool) -> Mapping[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def items_of(value: Any, *path: str) -> Iterator[Any]:
    """The items of a list inside an object. No items if a part of the path is missing."""
    for name in path:
        value = (value or {}).get(name)
    yield from value or ()
