"""Drift: what somebody changed in the cluster since the release."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from ...manifests.manifest import Manifest
from ..cluster import DEPLOYMENT, MANAGER, Cluster, ClusterError, Kind, items_of
from ..compare import Change, FieldDiff, ObjectDiff, by_key, compare, join, leaves
from ..parallel import parallel
from ..redact import HIDDEN, shown
from .released import apply_manager, find_released, helm_release_of
from .running import Applier, Running

_PROGRAMS = {
    MANAGER,
    "Go-http-client",
    "argocd-application-controller",
    "argocd-controller",
    "helm",
    "helm-controller",
    "kube-controller-manager",
    "kubectl-client-side-apply",
    "kubectl-last-applied",
    "kustomize-controller",
}
"""Field managers of programs that apply releases, and of Kubernetes itself."""


@frozen(kw_only=True)
class Drift:
    """What differs from what was released."""

    known: bool
    """Whether the release could be compared."""
    reason: str = ""
    """Why it could not be compared."""
    objects: Sequence[ObjectDiff] = ()
    """Objects that differ, each with the released value (before) and the one in the cluster (after) of its fields."""


def find_drift(cluster: Cluster, running: Running) -> Drift:
    """What differs from what was released, by a server-side dry run that changes nothing.

    Fields that Kubernetes, an autoscaler or the release itself does not set count only if a person set them.
    """
    try:
        released = find_released(cluster, running, helm_release_of(cluster.get(DEPLOYMENT, running.name)))
        if released.objects is None:
            return Drift(known=False, reason=released.reason)
        found = parallel(lambda each: _object(cluster, each, running.applier), released.objects)
    except ClusterError as error:
        return Drift(known=False, reason=_reason(error))
    return Drift(known=True, objects=tuple(each for each in found if each.change is not Change.UNCHANGED))


def _reason(error: ClusterError) -> str:
    return f"{error}; comparing needs the right to get and patch the objects of the release"


def _object(cluster: Cluster, released: Manifest, applier: Applier) -> ObjectDiff:
    live = cluster.get(Kind.of(released), released["metadata"]["name"])
    if live is None:
        return compare(released, None)
    manager = apply_manager(live, "helm" if applier is Applier.HELM else MANAGER)
    diff = compare(cluster.apply(released, manager=manager, dry_run=True), live)
    seen = [field.path for field in diff.fields]
    added = [each for each in _added(live, released, manager) if each.path not in seen]
    fields = (*diff.fields, *added)
    change = Change.CHANGED if fields else Change.UNCHANGED
    return ObjectDiff(kind=diff.kind, name=diff.name, change=change, fields=fields)


def _added(live: Manifest, released: Manifest, manager: str) -> Iterator[FieldDiff]:
    """Fields that people set, and that the release does not have."""
    values, own = leaves(live), set(leaves(released))
    prefixes: set[str] = set()
    for entry in items_of(live, "metadata", "managedFields"):
        if entry.get("subresource") or entry["manager"] in {*_PROGRAMS, manager}:
            continue
        prefixes.update(_owned(entry.get("fieldsV1", {}), live, ""))
    for path, value in values.items():
        if path not in own and any(path == each or path.startswith((f"{each}.", f"{each}[")) for each in prefixes):
            secret = live["kind"] == "Secret" and path.startswith("data")
            yield FieldDiff(path=path, before=None, after=HIDDEN if secret else shown(path, value))


def _owned(fields: Manifest, value: Any, path: str) -> Iterator[str]:
    """The paths of the fields in a ``fieldsV1``, as in `FieldDiff`."""
    members = [(key, inner) for key, inner in fields.items() if key != "."]
    if not members and path:
        yield path
    for key, inner in members:
        found = _member(key, value)
        if found is not None:
            name, member = found
            yield from _owned(inner, member, join(path, name))


def _member(key: str, value: Any) -> tuple[str, Any] | None:
    """The name and value of a member that a part of ``fieldsV1`` means. None if the object no longer has it."""
    kind, _, name = key.partition(":")
    if kind == "f" and isinstance(value, dict) and name in value:
        return name, value[name]
    if kind == "k" and isinstance(value, list):
        wanted = json.loads(name)
        for number, item in enumerate(value):
            if all(item.get(field) == part for field, part in wanted.items()):
                return list(by_key(value) or ())[number], item
    return None
