"""A Kubernetes API server in memory, for all tests of what talks to a cluster.

It knows Kubernetes' rules by itself: kinds, paths, wording, selectors, rights and server-side apply are written down
here, in ``fieldsets.py`` and in ``selectors.py``, from the documentation of Kubernetes. It must not use tables or
functions of the package, so that a test fails if the package has them wrong. What the server does not know, such as a
watch, fails loudly.

    api = ApiServer()
    api.put("secrets", {"metadata": {"name": "spicedb"}, "data": {}})    # a state
    api.deny("pods/log", "get")                                          # rights
    api.fail(matches("create", "jobs"), 503)                             # faults
    api.on(matches("create", "jobs"), lambda _, job: ...)                # what a controller does
    status(api.cluster(), "spicedb")
    assert api.count("create", "jobs") == 1                              # what was asked
"""

from __future__ import annotations

import copy
import json
import pickle
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

import httpx2
from attrs import define, evolve, field, frozen

from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.kubeconfig import Kubeconfig
from cdk8s_spicedb.live.poll import CLOCK, Clock

from .apierrors import REASONS, ApiError, conflict, invalid, not_found, refusal
from .apikinds import RESOURCES, Resource
from .fast_yaml import load
from .fieldsets import ApplyConflictError, DuplicateKeyError, Fields, apply, track
from .selectors import matches_fields, matches_labels, unsupported

Object = dict[str, Any]
NAMESPACE = "authz"


_APPLY, _MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
_SET_BY_THE_SERVER = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "managedFields")
_REVIEWS = "selfsubjectaccessreviews"
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_IMMUTABLE = {
    "deployments": (("spec", "selector"),),
    "jobs": (("spec", "selector"), ("spec", "template"), ("spec", "completionMode")),
    "rolebindings": (("roleRef",),),
}
Key = tuple[str, str, str, str]
"""Group with version, plural, namespace and name."""


@frozen
class Request:
    """A request that reached the server."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any = None
    content_type: str = ""
    accept: str = ""
    verb: str = ""
    """Kubernetes' verb, such as ``list``. Empty for what is no object."""
    resource: str = ""
    """The plural of the kind, such as ``pods``."""
    name: str = ""
    namespace: str = ""
    subresource: str = ""
    rest: str = ""
    """What follows the subresource."""

    @property
    def dry_run(self) -> bool:
        return self.query.get("dryRun") == "All"


CHANGES = ("create", "update", "patch", "delete")
"""The verbs that change an object."""
Match = Callable[[Request], bool]
Answer = int | tuple[int, str] | Exception | type[Exception] | httpx2.Response | None


def matches(verb: str = "", resource: str = "", name: str = "", *, dry_run: bool | None = None) -> Match:
    """Requests with this verb for this resource, such as ``pods`` or ``pods/log``, and object. Empty: any.

    ``verb`` may be ``change``: create, update, patch or delete an object. A question about rights is no change.
    """
    verbs = CHANGES if verb == "change" else (verb,)

    def match(request: Request) -> bool:
        full = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
        return (
            (not verb or request.verb in verbs)
            and not (verb == "change" and request.resource == _REVIEWS)
            and resource in ("", full)
            and name in ("", request.name)
            and dry_run in (None, request.dry_run)
        )

    return match


@define
class _Fault:
    match: Match
    answer: Answer | Callable[[Request], Answer]
    times: int | None


@define
class ApiServer:
    """A cluster with the namespace `NAMESPACE`, and all rights."""

    requests: list[Request] = field(factory=list)
    """All requests that reached the server, oldest first."""
    resources: list[Resource] = field(factory=lambda: list(RESOURCES))
    """The kinds that the cluster has."""
    logs: dict[str, str] = field(factory=dict)
    """Logs by the name of the pod, or by pod/container, or by pod/container/previous."""
    pages: dict[str, str | Callable[[Request], str]] = field(factory=dict)
    """What a pod answers through the proxy, on each path: a text, or a function that makes one. ``*`` is every pod."""
    user: str = "me"
    away: bool = False
    """Whether the server cannot be reached."""
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    _objects: dict[Key, Object] = field(factory=dict)
    used: set[tuple[str, str, str]] = field(factory=set)
    """Rights that requests have used: a verb, a resource such as ``pods/log``, and the name of an object or nothing."""
    _denied: set[tuple[str, str]] = field(factory=set)
    _rules: list[Object] | None = None
    _only: set[str] | None = None
    _faults: list[_Fault] = field(factory=list)
    _hooks: list[tuple[bool, Match, Callable[[Request, Any], object]]] = field(factory=list)
    _version: int = 0
    _lock: threading.RLock = field(factory=threading.RLock)

    def __attrs_post_init__(self) -> None:
        self.put("namespaces", {"metadata": {"name": NAMESPACE}})

    # -------------------------------------------------------- how tests use it

    def client(self) -> httpx2.Client:
        """A client that reaches this server."""
        return httpx2.Client(transport=httpx2.MockTransport(self.answer), base_url="https://cluster")

    def cluster(
        self,
        namespace: str = NAMESPACE,
        patience_seconds: float = 0,
        clock: Clock = CLOCK,
        kubeconfig: Kubeconfig | None = None,
    ) -> Cluster:
        """The cluster, as the package sees it."""
        return Cluster(self.client(), namespace, kubeconfig, patience_seconds, clock)

    def copied(self) -> ApiServer:
        """Another server with the same objects, logs and pages. It has no faults, hooks, or missing rights."""
        made = ApiServer(logs=dict(self.logs), pages=dict(self.pages))
        made._objects, made._version = pickle.loads(pickle.dumps(self._objects)), self._version
        return made

    def put(self, resource: str, content: Object, namespace: str = NAMESPACE) -> Object:
        """Stores an object of a resource as it is, with its status, and whatever was there before.

        Metadata that a server sets is added if it is missing. Returns what is stored: to change it is to change the
        cluster.
        """
        kind = self._resource(resource)
        stored = {"apiVersion": kind.group_version, "kind": kind.kind, **copy.deepcopy(content)}
        if kind.namespaced:
            stored["metadata"] = {"namespace": namespace, **stored["metadata"]}
        before = self._objects.get(self._key(kind, stored))
        given = dict(stored["metadata"])
        self._finish(kind, stored, before)
        stored["metadata"].update(given, resourceVersion=stored["metadata"]["resourceVersion"])
        self._objects[self._key(kind, stored)] = stored
        return stored

    def load(self, *manifests: Object, namespace: str = NAMESPACE) -> None:
        """Stores objects by their ``apiVersion`` and ``kind``."""
        for manifest in manifests:
            self.put(self._by_kind(manifest).plural, manifest, namespace)

    def path_of(self, manifest: Object, namespace: str = NAMESPACE) -> str:
        """The path of an object."""
        kind = self._by_kind(manifest)
        where = f"/namespaces/{manifest['metadata'].get('namespace', namespace)}" if kind.namespaced else ""
        prefix = "apis" if kind.group else "api"
        return f"/{prefix}/{kind.group_version}{where}/{kind.plural}/{manifest['metadata']['name']}"

    def find(self, resource: str, name: str, namespace: str = NAMESPACE) -> Object | None:
        """The stored object. None if there is none."""
        kind = self._resource(resource)
        return self._objects.get((kind.group_version, kind.plural, namespace if kind.namespaced else "", name))

    def get(self, resource: str, name: str, namespace: str = NAMESPACE) -> Object:
        """The stored object. To change it is to change the cluster."""
        found = self.find(resource, name, namespace)
        if found is None:
            raise KeyError(f"there is no {resource} {name}")
        return found

    def has(self, resource: str, name: str, namespace: str = NAMESPACE) -> bool:
        """Whether an object is stored."""
        return self.find(resource, name, namespace) is not None

    def of(self, resource: str, namespace: str | None = None) -> list[Object]:
        """The stored objects of a resource, in order of namespace and name."""
        kind = self._resource(resource)
        keys = sorted(key for key in self._objects if key[:2] == (kind.group_version, kind.plural))
        return [self._objects[key] for key in keys if namespace in (None, key[2])]

    def remove(self, resource: str, name: str = "", namespace: str = NAMESPACE) -> None:
        """Removes an object, or all of a resource. An object that is not there is an error of the test."""
        for each in [self.get(resource, name, namespace)] if name else self.of(resource):
            del self._objects[self._key(self._resource(resource), each)]

    def deny(self, resource: str, *verbs: str) -> None:
        """Takes rights away: all, or these verbs. ``resource`` may be a subresource, such as ``pods/log``."""
        self._denied |= {(verb, resource) for verb in verbs or ("*",)}

    def allow(self, resource: str) -> None:
        """Gives the rights to a resource back."""
        self._denied = {each for each in self._denied if each[1] != resource}
        if self._only is not None:
            self._only.add(resource)

    def allow_only(self, *resources: str) -> None:
        """Takes the rights to all other resources away."""
        self._only = set(resources)

    def grant(self, *rules: Object) -> None:
        """Leaves the user only the rights of these rules of Roles."""
        self._rules = [*rules]

    def fail(self, match: Match, answer: Answer | Callable[[Request], Answer], times: int | None = 1) -> None:
        """Lets the next requests that match fail; each one, if ``times`` is None. They change nothing.

        The answer is a status, a status and a message, an exception such as `httpx2.ConnectError`, a whole response, or
        a function of the request that returns one of these, or None for no fault.
        """
        self._faults.append(_Fault(match, answer, times))

    def on(self, match: Match, call: Callable[[Request, Any], object], *, before: bool = False) -> None:
        """Calls a function after each request that matches and succeeded, or before each one that matches.

        It gets the request and the stored object, which is None if there is none or if it was a dry run. It may change
        the cluster. The answer to the request does not show what it changed afterwards.
        """
        self._hooks.append((before, match, call))

    def count(self, verb: str = "", resource: str = "", name: str = "", *, dry_run: bool | None = None) -> int:
        """The number of requests, as `matches` selects them."""
        return len(self.asked(verb, resource, name, dry_run=dry_run))

    def asked(
        self, verb: str = "", resource: str = "", name: str = "", *, dry_run: bool | None = None
    ) -> list[Request]:
        """The requests, as `matches` selects them."""
        return [*filter(matches(verb, resource, name, dry_run=dry_run), self.requests)]

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """The server is away."""
        self.away = True
        try:
            yield
        finally:
            self.away = False

    # -------------------------------------------------------- a request

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """What the server does, and answers."""
        if self.away:
            raise httpx2.ConnectError("connection refused")
        return self.answer_to(self.parsed(request))

    def answer_to(self, found: Request) -> httpx2.Response:
        """What the server does, and answers, when a request has reached it."""
        with self._lock:
            self.requests.append(found)
            for fault in self._faults:
                if fault.times != 0 and fault.match(found):
                    answer: Any = fault.answer
                    if callable(answer) and not isinstance(answer, type):
                        answer = answer(found)
                    if answer is not None:
                        fault.times = fault.times and fault.times - 1
                        return _failure(answer, found)
            try:
                return self._handled(found)
            except ApiError as error:
                return error.response

    def _handled(self, request: Request) -> httpx2.Response:
        self._gone = None
        self._call(request, before=True)
        response = self._routed(request)
        if not any(match(request) for early, match, _ in self._hooks if not early):
            return response
        # A copy, so that hooks do not change the answer.
        answered = httpx2.Response(response.status_code, content=response.content, headers=response.headers)
        self._call(request, before=False, created=answered)
        return answered

    def _call(self, request: Request, *, before: bool, created: httpx2.Response | None = None) -> None:
        hooks = [call for early, match, call in self._hooks if early is before and match(request)]
        if not hooks or request.resource not in {each.plural for each in self.resources}:
            return
        name = request.name
        if not name and created is not None and request.verb == "create":
            name = created.json()["metadata"]["name"]
        found = self._gone or (self.find(request.resource, name, request.namespace) if request.resource else None)
        for call in hooks:
            call(request, None if request.dry_run and not before else found)

    _gone: Object | None = None
    """The object that the request deleted."""

    def parsed(self, request: httpx2.Request) -> Request:
        """The request as the server understands it."""
        content_type = request.headers.get("content-type", "").partition(";")[0]
        text = request.content.decode()
        return self.understood(
            Request(
                method=request.method,
                path=request.url.path,
                query=dict(request.url.params),
                body=(load(text) if "yaml" in content_type else json.loads(text)) if text else None,
                content_type=content_type,
                accept=request.headers.get("accept", ""),
            )
        )

    def understood(self, parsed: Request) -> Request:
        """The request with what its method and path mean."""
        prefix, _, rest = parsed.path.strip("/").partition("/")
        parts = rest.split("/")[1 if prefix == "api" else 2 :]
        if prefix not in ("api", "apis") or not parts:
            return parsed
        namespace = ""
        if parts[0] == "namespaces" and len(parts) > 2 and parts[2] != "status":
            namespace, parts = parts[1], parts[2:]
        name, subresource = [*parts, "", ""][1:3]
        verbs = {"GET": "get" if name else "list", "POST": "create", "PUT": "update", "PATCH": "patch"}
        verbs["DELETE"] = "delete" if name else "deletecollection"
        return evolve(
            parsed,
            verb=verbs[parsed.method],
            resource=parts[0],
            name=name,
            namespace=namespace,
            subresource=subresource,
            rest="/".join(parts[3:]),
        )

    def _routed(self, request: Request) -> httpx2.Response:
        if request.path == "/version":
            said = {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
            return httpx2.Response(200, json=said, headers={"Date": format_datetime(self.now(), usegmt=True)})
        version = "/".join(request.path.strip("/").split("/")[1:][: 1 if request.path.startswith("/api/") else 2])
        if not request.resource:
            return self._discovery(version)
        if request.resource == _REVIEWS:
            return self._review(request.body)
        kinds = [each for each in self.resources if (each.group_version, each.plural) == (version, request.resource)]
        if not kinds:
            raise ApiError(404, "the server could not find the requested resource")
        self._require_right(request, kinds[0])
        if request.subresource and request.subresource not in kinds[0].subresources:
            raise ApiError(404, "the server could not find the requested resource")
        if request.subresource in ("log", "proxy"):
            return self._of_pod(request)
        if request.subresource not in ("", "status"):
            raise AssertionError(f"this server has no {request.subresource}: {request}")
        if request.verb == "list":
            return self._list(request, kinds[0])
        if request.verb == "get":
            return _ok(self._require(request, kinds[0]))
        if request.verb == "delete":
            return self._delete(request, kinds[0])
        return self._change(request, kinds[0])

    def _discovery(self, version: str) -> httpx2.Response:
        found = [each for each in self.resources if each.group_version == version]
        if not found:
            raise ApiError(404, "the server could not find the requested resource")
        listed = []
        for each in found:
            base = {"singularName": "", "namespaced": each.namespaced, "kind": each.kind}
            listed.append({**base, "name": each.plural, "singularName": each.kind.lower(), "verbs": list(_VERBS)})
            listed += [{**base, "name": f"{each.plural}/{part}", "verbs": ["get"]} for part in each.subresources]
        return _ok({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed})

    # -------------------------------------------------------- rights

    def may(self, verb: str, resource: str, group: str = "", name: str = "") -> bool:
        """Whether the user has a right."""
        if self._rules is not None and not any(_grants(rule, verb, resource, group, name) for rule in self._rules):
            return False
        if self._only is not None and resource.partition("/")[0] not in self._only:
            return False
        return not {(verb, resource), ("*", resource)} & self._denied

    def _review(self, review: Object) -> httpx2.Response:
        asked = review["spec"]["resourceAttributes"]
        part = f"/{asked['subresource']}" if asked.get("subresource") else ""
        allowed = self.may(asked["verb"], asked["resource"] + part, asked.get("group", ""), asked.get("name", ""))
        return httpx2.Response(201, json={**review, "status": {"allowed": allowed}})

    def _require_right(self, request: Request, kind: Resource, verb: str = "") -> None:
        resource, verb = f"{kind.plural}/{request.subresource}".rstrip("/"), verb or request.verb
        self.used.add((verb, resource, request.name))
        if self.may(verb, resource, kind.group, request.name):
            return
        name = f' "{request.name}"' if request.name else ""
        where = f'in the namespace "{request.namespace}"' if request.namespace else "at the cluster scope"
        raise ApiError(
            403,
            f'{kind.title}{name} is forbidden: User "{self.user}" cannot {verb} resource "{resource}" in API '
            f'group "{kind.group}" {where}',
        )

    # -------------------------------------------------------- reading

    def _require(self, request: Request, kind: Resource) -> Object:
        found = self._objects.get((kind.group_version, kind.plural, request.namespace, request.name))
        if found is None:
            raise not_found(kind, request.name)
        return found

    def _list(self, request: Request, kind: Resource) -> httpx2.Response:
        if request.query.get("watch") or request.query.get("continue"):
            raise AssertionError(f"this server has no watches and no pages: {request}")
        fields = request.query.get("fieldSelector", "")
        wrong = unsupported(kind.plural, fields)
        if wrong:
            raise ApiError(400, f"field label not supported: {wrong}")
        found = [
            each
            for each in self.of(kind.plural, request.namespace or None)
            if matches_labels(each["metadata"].get("labels") or {}, request.query.get("labelSelector", ""))
            and matches_fields(each, fields)
        ]
        metadata = {"resourceVersion": str(self._version)}
        if "as=PartialObjectMetadataList" in request.accept:
            of = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}
            items = [{**of, "metadata": each["metadata"]} for each in found]
            # Kubernetes has null there for an empty list.
            return _ok({**of, "kind": "PartialObjectMetadataList", "metadata": metadata, "items": items or None})
        items = [{name: each[name] for name in each if name not in ("apiVersion", "kind")} for each in found]
        return _ok({"apiVersion": kind.group_version, "kind": f"{kind.kind}List", "metadata": metadata, "items": items})

    def _of_pod(self, request: Request) -> httpx2.Response:
        name = request.name
        if request.subresource == "proxy":
            # NAME, NAME:PORT or SCHEME:NAME:PORT.
            parts = name.split(":")
            name = parts[-2] if len(parts) > 1 else name
        pod = self.find("pods", name, request.namespace)
        if pod is None:
            raise not_found(self._resource("pods"), name)
        if request.subresource == "log":
            return httpx2.Response(200, text=self._log(request, pod))
        page = self.pages.get(name, self.pages.get("*"))
        if page is None:
            address = f"{pod.get('status', {}).get('podIP', '10.0.0.1')}:{request.name.rpartition(':')[2]}"
            raise ApiError(503, f"error trying to reach service: dial tcp {address}: connect: connection refused")
        return httpx2.Response(200, text=page(request) if callable(page) else page)

    def _log(self, request: Request, pod: Object) -> str:
        name = pod["metadata"]["name"]
        spec = pod.get("spec", {})
        inits, usual = ([each["name"] for each in spec.get(part, ())] for part in ("initContainers", "containers"))
        container = request.query.get("container") or (usual[0] if len(usual) == 1 else "")
        if not container and usual:
            raise ApiError(
                400, f"a container name must be specified for pod {name}, choose one of: [{' '.join([*inits, *usual])}]"
            )
        if usual and container not in [*inits, *usual]:
            raise ApiError(400, f"container {container} is not valid for pod {name}")
        statuses = {each.get("name"): each for each in pod.get("status", {}).get("containerStatuses", ())}
        waiting = statuses.get(container, {}).get("state", {}).get("waiting")
        previous = request.query.get("previous") == "true"
        if previous and f"{name}/{container}/previous" not in self.logs:
            raise ApiError(400, f'previous terminated container "{container}" in pod "{name}" not found')
        if waiting and not previous and waiting.get("reason") != "CrashLoopBackOff":
            raise ApiError(400, f'container "{container}" in pod "{name}" is waiting to start: {waiting["reason"]}')
        text = self.logs.get(f"{name}/{container}", self.logs.get(name, ""))
        if previous:
            text = self.logs[f"{name}/{container}/previous"]
        tail, limit = request.query.get("tailLines"), request.query.get("limitBytes")
        if tail:
            text = "".join(text.splitlines(keepends=True)[-int(tail) :])
        return text.encode()[: int(limit)].decode(errors="ignore") if limit else text

    # -------------------------------------------------------- changing

    def _delete(self, request: Request, kind: Resource) -> httpx2.Response:
        found, options = self._require(request, kind), request.body or {}
        for name, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            wanted, is_ = options.get("preconditions", {}).get(name), found["metadata"][name]
            if wanted not in (None, is_):
                text = f"Precondition failed: {word} in precondition: {wanted}, {word} in object meta: {is_}"
                raise conflict(kind, request.name, text)
        if not request.dry_run:
            # Jobs keep their pods, unless the request says otherwise.
            usual = "Orphan" if kind.plural == "jobs" else "Background"
            policy = options.get("propagationPolicy") or request.query.get("propagationPolicy") or usual
            if found["metadata"].get("finalizers"):
                found["metadata"]["deletionTimestamp"] = self._time()
            else:
                self._remove(kind, found, orphan=policy == "Orphan")
                self._gone = found
        details = {"name": request.name, "kind": kind.plural, "uid": found["metadata"]["uid"]}
        return _ok({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})

    def _remove(self, kind: Resource, found: Object, *, orphan: bool) -> None:
        self._objects.pop(self._key(kind, found), None)
        uid = found["metadata"]["uid"]
        for each in list(self._objects.values()):
            owners = each["metadata"].get("ownerReferences", [])
            if any(owner.get("uid") == uid for owner in owners):
                each["metadata"]["ownerReferences"] = [owner for owner in owners if owner["uid"] != uid]
                if not orphan and not each["metadata"]["ownerReferences"]:
                    self._remove(self._by_kind(each), each, orphan=False)

    def _change(self, request: Request, kind: Resource) -> httpx2.Response:
        current = None
        if request.verb != "create":
            current = self._objects.get((kind.group_version, kind.plural, request.namespace, request.name))
        if request.verb == "patch" and request.content_type not in (_APPLY, _MERGE):
            raise ApiError(415, f"this server does not know patches of type {request.content_type}")
        if request.content_type == _APPLY and current is None:
            self._require_right(request, kind, "create")
        body = copy.deepcopy(request.body or {})
        self._require_fit(request, kind, body)
        result = self._result(request, kind, current, body)
        self._require_valid(kind, result, current)
        stored = self._finish(kind, result, current)
        if not request.dry_run:
            self._objects[self._key(kind, stored)] = stored
        return httpx2.Response(200 if current else 201, json=stored)

    def _require_fit(self, request: Request, kind: Resource, body: Object) -> None:
        """The body is of the kind, name and namespace of the path."""
        is_patch = request.content_type == _MERGE
        if (body.get("apiVersion"), body.get("kind")) != (kind.group_version, kind.kind) and not is_patch:
            raise ApiError(
                400,
                f"the object provided is unrecognized (must be of type {kind.kind}): "
                f"got {body.get('apiVersion')}, Kind={body.get('kind')}",
            )
        metadata = body.setdefault("metadata", {})
        if request.name and metadata.setdefault("name", request.name) != request.name:
            raise ApiError(
                400, f"the name of the object ({metadata['name']}) does not match the name on the URL ({request.name})"
            )
        if kind.namespaced:
            if metadata.setdefault("namespace", request.namespace) != request.namespace:
                raise ApiError(
                    400,
                    "the namespace of the provided object does not match the namespace sent on the request",
                )
            if not self.has("namespaces", request.namespace):
                raise not_found(self._resource("namespaces"), request.namespace)

    def _result(self, request: Request, kind: Resource, current: Object | None, body: Object) -> Object:
        """The object after a change."""
        rules, time = Fields(plain=kind.custom), self._time()
        manager = request.query.get("fieldManager", "")
        if request.content_type == _APPLY:
            return self._applied(request, kind, current, body)
        name = request.name or body["metadata"].get("name", "")
        if request.verb == "create":
            if not name and body["metadata"].get("generateName"):
                name = f"{body['metadata']['generateName']}{uuid.uuid4().hex[:5]}"
                body["metadata"]["name"] = name
            if not name:
                raise invalid(kind, "", "metadata.name: Required value: name or generateName is required")
            if self._objects.get(self._key(kind, body)) is not None:
                raise ApiError(409, f'{kind.title} "{name}" already exists', "AlreadyExists")
            if body["metadata"].pop("resourceVersion", ""):
                raise ApiError(400, "resourceVersion should not be set on objects to be created")
            body.pop("status", None)
            body["metadata"] = {key: each for key, each in body["metadata"].items() if key not in _SET_BY_THE_SERVER}
            track(rules, body, {"metadata": {}}, manager or "unknown", time)
            return body
        if current is None:
            raise not_found(kind, name)
        if request.verb == "patch":
            body = merge_patch(copy.deepcopy(current), request.body)
        self._require_version(kind, current, body)
        if request.subresource == "status":
            body = {**copy.deepcopy(current), "status": body.get("status", {})}
        else:
            body = {**body, **({"status": copy.deepcopy(current["status"])} if "status" in current else {})}
        body["metadata"]["managedFields"] = current["metadata"].get("managedFields", [])
        track(rules, body, current, manager or "unknown", time, request.subresource)
        return body

    def _applied(self, request: Request, kind: Resource, current: Object | None, body: Object) -> Object:
        manager = request.query.get("fieldManager", "")
        if not manager:
            raise ApiError(
                422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
            )
        if "managedFields" in body["metadata"]:
            raise ApiError(400, "metadata.managedFields must be nil")
        if request.subresource != "status":
            body.pop("status", None)
        if current is None and body["metadata"].get("resourceVersion"):
            raise not_found(kind, request.name)
        self._require_version(kind, current or body, body, optional=True)
        start = current or {"apiVersion": kind.group_version, "kind": kind.kind, "metadata": {}}
        rules, force = Fields(plain=kind.custom), request.query.get("force") == "true"
        try:
            return apply(rules, start, body, manager, self._time(), force=force)
        except ApplyConflictError as error:
            raise ApiError(409, str(error)) from None
        except DuplicateKeyError as error:
            text = f"failed to create typed patch object ({request.namespace}/{request.name}; {kind.group_version}, "
            raise ApiError(500, f"{text}Kind={kind.kind}): {error}") from None

    def _require_version(self, kind: Resource, current: Object, body: Object, *, optional: bool = False) -> None:
        """The object was not changed since it was read."""
        name, wanted = current["metadata"]["name"], body["metadata"].get("resourceVersion")
        if not wanted and not optional and (kind.custom or kind.plural == "leases"):
            text = "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update"
            raise invalid(kind, name, text)
        if wanted and wanted != current["metadata"].get("resourceVersion"):
            text = "the object has been modified; please apply your changes to the latest version and try again"
            raise conflict(kind, name, text)
        uid, is_ = body["metadata"].get("uid"), current["metadata"].get("uid")
        if uid and uid != is_:
            raise conflict(kind, name, f"Precondition failed: UID in precondition: {uid}, UID in object meta: {is_}")

    def _require_valid(self, kind: Resource, result: Object, current: Object | None) -> None:
        for path in _IMMUTABLE.get(kind.plural, ()) if current else ():
            before, after = _at(current, path), _at(result, path)
            # A server adds a selector to a Job by itself.
            if before != after and not (kind.plural == "jobs" and path[-1] == "selector" and after is None):
                name, value = result["metadata"]["name"], json.dumps(after, sort_keys=True)
                raise invalid(kind, name, f"{'.'.join(path)}: Invalid value: {value}: field is immutable")

    # -------------------------------------------------------- what a server adds

    def _finish(self, kind: Resource, content: Object, before: Object | None) -> Object:
        """Adds what the server sets: identity, times, generation, and a version that changes with the object."""
        metadata, was = content["metadata"], before["metadata"] if before else {}
        metadata["uid"] = was.get("uid") or str(uuid.uuid4())
        metadata["creationTimestamp"] = was.get("creationTimestamp") or self._time()
        if kind.has_generation:
            same = before is not None and _meant(content) == _meant(before)
            metadata["generation"] = was.get("generation", 0) + (not same)
        if "status" in kind.subresources and not kind.custom:
            content.setdefault("status", {})
        metadata["resourceVersion"] = was.get("resourceVersion", "")
        if before is None or content != before:
            self._version += 1
            metadata["resourceVersion"] = str(self._version)
        return content

    def _time(self) -> str:
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _resource(self, plural: str) -> Resource:
        for each in self.resources:
            if each.plural == plural:
                return each
        raise KeyError(f"this server has no {plural}: add them to `resources`")

    def _by_kind(self, content: Object) -> Resource:
        (found,) = [
            each
            for each in self.resources
            if (each.group_version, each.kind) == (content["apiVersion"], content["kind"])
        ]
        return found

    @staticmethod
    def _key(kind: Resource, content: Object) -> Key:
        metadata = content["metadata"]
        return (
            kind.group_version,
            kind.plural,
            metadata.get("namespace", "") if kind.namespaced else "",
            metadata["name"],
        )


def _grants(rule: Object, verb: str, resource: str, group: str, name: str) -> bool:
    """Whether a rule of a Role gives a right. One with names gives none to create: the name is not known then."""
    return (
        verb in rule["verbs"]
        and resource in rule["resources"]
        and group in rule["apiGroups"]
        and (not rule.get("resourceNames") or (verb != "create" and name in rule["resourceNames"]))
    )


def _failure(answer: Any, request: Request) -> httpx2.Response:
    if isinstance(answer, type) and issubclass(answer, Exception):
        raise answer(f"injected for {request.method} {request.path}")
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, int):
        return refusal(answer, f"injected: {REASONS.get(answer, answer)}")
    if isinstance(answer, tuple):
        return refusal(*answer)
    assert isinstance(answer, httpx2.Response)
    return answer


def _ok(content: Object) -> httpx2.Response:
    return httpx2.Response(200, json=content)


def merge_patch(value: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, each in patch.items():
        if each is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), each)
    return merged


def _meant(content: Object) -> Object:
    """An object without its metadata and status: a change of it is a new generation."""
    return {name: each for name, each in content.items() if name not in ("metadata", "status")}


def _at(content: Any, path: Sequence[str]) -> Any:
    for name in path:
        content = (content or {}).get(name)
    return content
