"""Compares two states of an object, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from attrs import evolve, frozen

from ..delivery import Applier
from ..labels import MARKS, VERSION
from ..manifests.objects import Manifest
from .apierror import ClusterError
from .cluster import MANAGER, Cluster, Kind, items_of
from .instance import Running
from .poll import parallel
from .released import apply_manager, find_released
from .text import HIDDEN, redacted, shown


class Change(Enum):
    """What happens to an object."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    UNCHANGED = "unchanged"


@frozen(kw_only=True)
class FieldDiff:
    """A field that differs."""

    path: str
    """Path of the field, such as ``spec.template.spec.containers[spicedb].args[--log-level]``."""
    before: Any
    """Value before. None if the field is not there."""
    after: Any
    """Value after. None if the field is not there."""


@frozen(kw_only=True)
class ObjectDiff:
    """An object, and its fields that differ."""

    kind: str
    """Kind of the object."""
    name: str
    """Name of the object."""
    change: Change
    """What happens to the object."""
    fields: Sequence[FieldDiff] = ()
    """Fields that differ. Values that may be secret are hidden."""


_SERVER_FIELDS = {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink", "namespace"}
_KEYS = ("name", "containerPort", "mountPath", "port", "topologyKey", "key", "path", "ip", "kind")
_ABSENT: Any = object()


def cleaned(manifest: Manifest) -> Manifest:
    """An object without what Kubernetes and the programs that apply objects add to it."""
    found = {name: value for name, value in manifest.items() if name != "status"}
    metadata = {name: value for name, value in manifest["metadata"].items() if name not in _SERVER_FIELDS}
    # A chart gives its objects the version, as it does their pods, where it is not a mark.
    found["metadata"] = _without_marks(metadata, VERSION)
    if "spec" in found:
        found["spec"] = _cleaned_spec(found["spec"])
    return found


def _cleaned_spec(spec: Any) -> Any:
    """A spec with a cleaned pod template or, in a CronJob, a cleaned Job template."""
    if not isinstance(spec, dict):
        return spec
    templates = {name: spec[name] for name in ("template", "jobTemplate") if isinstance(spec.get(name), dict)}
    return {**spec, **{name: _cleaned_template(template) for name, template in templates.items()}}


def _cleaned_template(template: Manifest) -> Manifest:
    found = {**template}
    if template.get("metadata"):
        metadata = {key: value for key, value in template["metadata"].items() if key != "creationTimestamp"}
        found["metadata"] = _without_marks(metadata)
    if "spec" in template:
        found["spec"] = _cleaned_spec(template["spec"])
    return found


def _without_marks(metadata: Manifest, *more: str) -> Manifest:
    kept = {
        part: {key: value for key, value in (metadata.get(part) or {}).items() if not key.startswith((*MARKS, *more))}
        for part in ("labels", "annotations")
    }
    return {name: kept.get(name, value) for name, value in metadata.items() if kept.get(name, True)}


def differences(before: Manifest | None, after: Manifest | None) -> list[FieldDiff]:
    """The fields that differ. None for an object that is not there."""
    secret = (before or after or {}).get("kind") == "Secret"
    one, two = (_ABSENT if each is None else cleaned(each) for each in (before, after))
    return [_field(*found, secret=secret) for found in _walk("", one, two)]


def compare(before: Manifest | None, after: Manifest | None) -> ObjectDiff:
    """What happens to an object of which at least one state is there."""
    manifest: Manifest = before or after or {}
    fields = differences(before, after)
    kept = Change.CHANGED if fields else Change.UNCHANGED
    change = Change.CREATED if before is None else Change.DELETED if after is None else kept
    return ObjectDiff(kind=manifest["kind"], name=manifest["metadata"]["name"], change=change, fields=tuple(fields))


def _field(path: str, before: Any, after: Any, *, secret: bool) -> FieldDiff:
    hidden = secret and path.startswith(("data", "stringData"))
    values = (None if value is _ABSENT else value for value in (before, after))
    one, two = (HIDDEN if hidden and value is not None else shown(path, value) for value in values)
    return FieldDiff(path=redacted(path), before=one, after=two)


def _walk(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if before is not _ABSENT and before == after:
        return
    one, two = _members(before, after), _members(after, before)
    if one is None or two is None or not (one or two):
        if path not in ("apiVersion", "kind", "metadata.name") or _ABSENT not in (before, after):
            yield path, before, after
        return
    found: list[tuple[str, Any, Any]] = []
    for key in {**one, **two}:
        found += _walk(join(path, key), one.get(key, _ABSENT), two.get(key, _ABSENT))
    yield from found
    if not found and before is not _ABSENT and after is not _ABSENT:
        yield path, before, after  # No member differs, but their order does.


def _members(value: Any, other: Any) -> Mapping[str, Any] | None:
    """The members of an object or a list by key. None: the value has none, and is compared as a whole."""
    if value is _ABSENT:
        return {} if other is not _ABSENT and _members(other, {}) else None
    if isinstance(value, dict):
        return value if isinstance(other, dict) or other is _ABSENT else None
    return by_key(value) if isinstance(value, list) else None


def by_key(items: Sequence[Any]) -> dict[str, Any] | None:
    """The items of a list by what names them. None: the list is compared as a whole."""
    if items and all(isinstance(item, str) and item.startswith("--") for item in items):
        found = {f"[{flag}]": value for flag, _, value in (item.partition("=") for item in items)}
        return found if len(found) == len(items) else None
    if not items or not all(isinstance(item, dict) for item in items):
        return None if items else {}
    for key in _KEYS:
        named = {f"[{item[key]}]": item for item in items if key in item}
        if len(named) == len(items):
            return named
    return {f"[{number}]": item for number, item in enumerate(items)}


def join(path: str, key: str) -> str:
    """The path of a member."""
    if key.startswith("["):
        return f"{path}{key}"
    if "." in key or "/" in key:
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


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


def find_drift(cluster: Cluster, running: Running, release: str | None) -> Drift:
    """What differs from what was released, by a server-side dry run that changes nothing. ``release`` is the
    name of Helm's release.

    Fields that Kubernetes, an autoscaler or the release itself does not set count only if a person set them.
    """
    try:
        released = find_released(cluster, running, release)
        if released.objects is None:
            return Drift(known=False, reason=released.reason)
        found = parallel(lambda each: _object(cluster, each, running.applier), released.objects)
    except ClusterError as error:
        reason = f"{error}; comparing needs the right to get and patch the objects of the release"
        return Drift(known=False, reason=reason)
    return Drift(known=True, objects=tuple(each for each in found if each.change is not Change.UNCHANGED))


def _object(cluster: Cluster, released: Manifest, applier: Applier) -> ObjectDiff:
    live = cluster.get(Kind.of(released), released["metadata"]["name"])
    if live is None:
        return compare(released, None)
    manager = apply_manager(live, applier.field_manager or MANAGER)
    diff = compare(cluster.apply(released, manager=manager, dry_run=True), live)
    seen = [field.path for field in diff.fields]
    added = [each for each in _added(live, released, manager) if each.path not in seen]
    return evolve(diff, change=Change.CHANGED, fields=(*diff.fields, *added)) if added else diff


def _added(live: Manifest, released: Manifest, manager: str) -> Iterator[FieldDiff]:
    """Fields that people set, and that the release does not have."""
    own = {path for path, _, _ in _walk("", _ABSENT, cleaned(released))}
    prefixes: set[str] = set()
    for entry in items_of(live, "metadata", "managedFields"):
        if not entry.get("subresource") and entry["manager"] not in {*_PROGRAMS, manager}:
            prefixes.update(_owned(entry.get("fieldsV1", {}), live, ""))
    for path, _, value in _walk("", _ABSENT, cleaned(live)):
        if path not in own and any(path == each or path.startswith((f"{each}.", f"{each}[")) for each in prefixes):
            yield _field(path, None, value, secret=live["kind"] == "Secret")


def _owned(fields: Manifest, value: Any, path: str) -> Iterator[str]:
    """The paths of the fields in a ``fieldsV1``, as in `FieldDiff`."""
    members = {key: inner for key, inner in fields.items() if key != "."}
    if not members and path:
        yield path
    for key, inner in members.items():
        found = _member(key, value)
        if found is not None:
            yield from _owned(inner, found[1], join(path, found[0]))


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
