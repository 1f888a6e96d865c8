"""A cluster for tests: objects by the plural name of their kind, and server-side apply."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.compare import by_key
from cdk8s_spicedb.live.released import KINDS

Object = dict[str, Any]
_KINDS = {(kind.api_version, kind.kind) for kind in KINDS if "." not in kind.api_version or "k8s" in kind.api_version}
_OTHERS = {
    ("v1", "Pod"),
    ("v1", "Event"),
    ("v1", "Secret"),
    ("batch/v1", "Job"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
}


_LOG = "first\nlast password=abc\n"


def plural_of(kind: str) -> str:
    """The name of a kind in paths."""
    return f"{kind[:-1]}ies" if kind.endswith("cy") else f"{kind.lower()}{'es' if kind.endswith('s') else 's'}".lower()


def cluster_of(**objects: list[Object]) -> Cluster:
    """A cluster with these objects by plural name. There is no right to other kinds. A change is only a dry run."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        version = path.removeprefix("/apis/").removeprefix("/api/")
        kinds = sorted(kind for api_version, kind in _KINDS | _OTHERS if api_version == version)
        if kinds:
            listed = [{"kind": kind, "name": plural_of(kind), "namespaced": True} for kind in kinds]
            return httpx2.Response(200, json={"resources": listed})
        if path.endswith("/log"):
            return httpx2.Response(200, text=_LOG)
        plural, _, name = path.rpartition("/authz/" if "/authz/" in path else "/")[2].partition("/")
        if plural not in objects:
            return httpx2.Response(403, json={"message": f"{plural} is forbidden"})
        return _answer(request, [each for each in objects[plural] if name in ("", each["metadata"].get("name"))], name)

    client = httpx2.Client(transport=httpx2.MockTransport(answer), base_url="https://cluster")
    return Cluster(client, "authz")


def _answer(request: httpx2.Request, found: list[Object], name: str) -> httpx2.Response:
    if request.method in ("PATCH", "PUT"):
        assert request.url.params["dryRun"] == "All"
        body = json.loads(request.content)
        live = found[0] if found and request.method == "PATCH" else {}
        return httpx2.Response(200, json=_merged(live, body))
    if not name:
        return httpx2.Response(200, json={"items": found})
    return httpx2.Response(200, json=found[0]) if found else httpx2.Response(404, json={"message": "not found"})


def _merged(live: Any, applied: Any) -> Any:
    """What server-side apply makes of a value. Items of lists are found by name."""
    if isinstance(live, dict) and isinstance(applied, dict):
        return {**live, **{key: _merged(live.get(key), value) for key, value in applied.items()}}
    if isinstance(live, list) and isinstance(applied, list) and all(isinstance(each, dict) for each in applied):
        one, two = by_key(live) or {}, by_key(applied) or {}
        return [_merged(one.get(key), two[key]) if key in two else one[key] for key in {**one, **two}]
    return applied
