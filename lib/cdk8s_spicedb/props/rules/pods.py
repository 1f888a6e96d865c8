"""What pods get in addition: names that do not collide, and placement that leaves nodes for the Jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import Problem
from ...labels import COMPONENT, VERSION, Component, selector_labels
from ..backup import BackupProps
from ..fields import Problems, Rules
from ..fieldtypes import redact, show
from ..jobs import CleanupProps, MigrationProps, PermissionTest, SchemaProps
from ..pod import KEYS, PodProps, PodSettings, combined
from ..server import ServerProps
from ..spicedb import SpiceDBProps
from ..types import not_of_yaml

VOLUMES = ("backup", "ca", "datastore", "integrity", "schema", "tls")
"""Names of the volumes of this package. It mounts each one at a folder of that name in ``/etc/spicedb``."""
CONTAINERS = ("finish-backup", "kubectl", "migrate", "prepare-backup", "spicedb", "try-volume", "zed")
_OWN: Mapping[str, Sequence[str]] = {
    "extra_volumes": VOLUMES,
    "extra_volume_mounts": tuple(f"/etc/spicedb/{name}" for name in VOLUMES),
    "init_containers": CONTAINERS,
    "extra_containers": CONTAINERS,
}
_Objects = Sequence[Mapping[str, Any]]


def names_are_unique(
    extra_volumes: _Objects, extra_volume_mounts: _Objects, init_containers: _Objects, extra_containers: _Objects
) -> Problems:
    lists = (extra_volumes, extra_volume_mounts, init_containers, extra_containers)
    for (field, key), items in zip(KEYS.items(), lists, strict=True):
        seen: set[str] = set()
        for number, item in enumerate(items):
            name, path = str(item[key]).rstrip("/"), f"{field}[{number}].{key}"
            if name in _OWN[field]:
                allowed = f"another {key} than {', '.join(_OWN[field])}, which this package uses"
                yield Problem(path, show(name), allowed, f"choose another {key}")
            elif name in seen:
                yield Problem(path, show(name), f"a {key} that no other item has", "remove one of them, or rename it")
            seen.add(name)
    yield from _in_both(init_containers, extra_containers, "extra_containers")


def _in_both(init_containers: _Objects, extra_containers: _Objects, field: str) -> Problems:
    both = {item["name"] for item in init_containers} & {item["name"] for item in extra_containers}
    for name in sorted(both):
        allowed = "a name that no container of {init_containers} has"
        yield Problem(field, show(name), allowed, "rename one of them")


def _kinds(*parts: PodSettings | None) -> Mapping[str, PodSettings]:
    """The kinds of pods that the release has, by their names. Takes all of them, the servers first."""
    return {each.value: own for each, own in zip(Component, parts, strict=True) if own}


def containers_of_pods_differ(
    pods: PodSettings,
    server: ServerProps,
    migration: MigrationProps,
    cleanup: CleanupProps,
    schema: SchemaProps | None,
    test: PermissionTest | None,
    backup: BackupProps | None,
) -> Problems:
    """Those of all pods, and those of one kind."""
    for part, own in _kinds(server, migration, cleanup, schema, test, backup).items():
        yield from _in_both(pods.init_containers, own.extra_containers, f"{part}.extra_containers")
        yield from _in_both(own.init_containers, pods.extra_containers, f"{part}.init_containers")


def objects_fit_into_manifests(
    extra_volumes: _Objects,
    extra_volume_mounts: _Objects,
    init_containers: _Objects,
    extra_containers: _Objects,
    affinity: Mapping[str, Any],
) -> Problems:
    values = (extra_volumes, extra_volume_mounts, init_containers, extra_containers, affinity)
    for field, value in zip((*KEYS, "affinity"), values, strict=True):
        for path, found in not_of_yaml(value, field):
            allowed = "texts, numbers, true, false, {None}, and lists and mappings of them, with texts as keys"
            yield Problem(path, redact(found), allowed, 'quote it, as in "2001-01-01"')


def pods_are_of_every_kind(pods: PodSettings) -> Problems:
    """Python would also take the props of one kind, of which all pods have only a part."""
    if isinstance(pods, PodProps):
        allowed = "PodSettings(…), which all kinds of pods have"
        yield Problem("pods", f"{type(pods).__name__}(…)", allowed, "move the rest to server, migration or cleanup")


def mounts_have_volumes(
    pods: PodSettings,
    server: ServerProps,
    migration: MigrationProps,
    cleanup: CleanupProps,
    schema: SchemaProps | None,
    test: PermissionTest | None,
    backup: BackupProps | None,
) -> Problems:
    for part, own in {"pods": pods, **_kinds(server, migration, cleanup, schema, test, backup)}.items():
        for number, mount in enumerate(own.extra_volume_mounts):
            volumes = {volume["name"] for volume in (*pods.extra_volumes, *own.extra_volumes)}
            if mount["name"] not in volumes.union(VOLUMES):
                allowed = "the name of one of {extra_volumes}" + (f": {', '.join(sorted(volumes))}" if volumes else "")
                path = f"{part}.extra_volume_mounts[{number}].name"
                yield Problem(path, show(mount["name"]), allowed, "add the volume, or use the name of one")


# ---------------------------------------------------------------- placement

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def selects(selector: object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches labels. None matches nothing, an empty one everything."""
    if not isinstance(selector, Mapping):
        return False
    if any(labels.get(key) != value for key, value in _mapping(selector.get("matchLabels")).items()):
        return False
    return all(_matches(expression, labels) for expression in _mappings(selector.get("matchExpressions")))


# Kubernetes itself says what is wrong with an object that has another form.
def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> _Objects:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, (list, tuple)) else []


def _matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = str(expression.get("key", "")), expression.get("values")
    values = values if isinstance(values, (list, tuple)) else ()
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(str(expression.get("operator", "")), False)


def _kept_apart(affinity: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a required anti-affinity keeps pods with these labels, in the same namespace, off the nodes."""
    terms = _mappings(_mapping(affinity.get("podAntiAffinity")).get(REQUIRED))
    return any(not term.get("namespaces") and selects(term.get("labelSelector"), labels) for term in terms)


def jobs_find_a_node(
    name: str,
    version: str,
    pods: PodSettings,
    server: ServerProps,
    migration: MigrationProps,
    cleanup: CleanupProps,
    schema: SchemaProps | None,
    test: PermissionTest | None,
    backup: BackupProps | None,
) -> Problems:
    """A required anti-affinity is symmetric. A server with one also keeps off its node what the rule selects."""
    servers, blocked = combined(pods, server), dict[str, list[str]]()
    for part, own in _kinds(None, migration, cleanup, schema, test, backup).items():
        if not (servers.affinity or own.affinity):
            continue
        job, component = combined(pods, own), Component(part)
        if _kept_apart(servers.affinity, _labels(name, version, component, job)):
            blocked.setdefault("server" if server.affinity else "pods", []).append(part)
        elif _kept_apart(job.affinity, _labels(name, version, Component.SERVER, servers)):
            blocked.setdefault(part if own.affinity else "pods", []).append(part)
    for whose, jobs in blocked.items():
        what = f"does not keep servers and Jobs ({', '.join(jobs)}) off the same node"
        allowed = f"a required podAntiAffinity that {what}: with a server on each node, a Job could start nowhere"
        fix = f"add {COMPONENT}: server to its labelSelector"
        yield Problem(f"{whose}.affinity", f"podAntiAffinity.{REQUIRED}", allowed, fix)


def _labels(name: str, version: str, component: Component, pod: PodSettings) -> Mapping[str, str]:
    return {**selector_labels(name, component), VERSION: version, **pod.pod_labels}


RULES: Rules = {
    PodSettings: (names_are_unique, objects_fit_into_manifests),
    SpiceDBProps: (
        pods_are_of_every_kind,
        mounts_have_volumes,
        containers_of_pods_differ,
        jobs_find_a_node,
    ),
}
