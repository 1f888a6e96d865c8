"""Applies the user's patches to objects. A patch cannot remove what the release needs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from typing import Any

from ..errors import InvalidProps, Problem
from ..labels import CHECKSUM, COMPONENT, HOOKS, INSTANCE, NAME, Component
from ..props import SpiceDBProps
from ..props.patch import Patch, PatchOperation
from ..props.rules.arguments import props_of_flags
from ..text import some_of

Manifest = dict[str, Any]


def patched(props: SpiceDBProps, manifest: Manifest) -> Manifest:
    """An object with the patches applied. Raises `InvalidProps` if one does not fit."""
    where = f"{manifest['kind']} {manifest['metadata']['name']}"
    for path, operation in operations_for(props, manifest["kind"], manifest["metadata"]["name"]):
        found = _applied(operation, manifest)
        if isinstance(found, str):
            fix = "look at the object in dist/; for volumes, containers and placement, use props"
            raise _invalid(props, path, operation, f"an operation that fits {where}: {found}", fix)
        other = next(_other_forms(manifest, found), None)
        if other:
            fix = "write lists and objects as in a manifest; to leave a field out, use remove"
            raise _invalid(props, path, operation, f"an operation that keeps the form of {other} in {where}", fix)
        lost = sorted(_needed(manifest).items() - _needed(found).items())
        if lost:
            fix = "use a prop, such as extra_volumes or pod_labels; or add one item, with a path that ends in /-"
            raise _invalid(props, path, operation, f"an operation that keeps {lost[0][0]} of {where}", fix)
        _require_unique(props, path, operation, where, manifest, found)
        manifest = found
    return manifest


def _other_forms(before: object, after: object, path: str = "") -> Iterator[str]:
    """The paths of lists and objects that are there, but are no longer lists or objects."""
    if isinstance(before, dict):
        if isinstance(after, dict):
            for key in before.keys() & after.keys():
                yield from _other_forms(before[key], after[key], f"{path}/{key}")
        else:
            yield path
    elif isinstance(before, list) and before:
        if isinstance(after, list):
            for number, item in enumerate(after):
                yield from _other_forms(before[min(number, len(before) - 1)], item, f"{path}/{number}")
        else:
            yield path


def _require_unique(
    props: SpiceDBProps, path: str, operation: PatchOperation, where: str, before: Manifest, after: Manifest
) -> None:
    """Raises `InvalidProps` if an operation adds what is there already, or an argument that a prop sets."""
    names = _names_in_pods(_template(after))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        allowed = f"an operation that leaves {twice[0]} of {where} only once"
        raise _invalid(props, path, operation, allowed, "use another name, or replace the one that is there")
    part = after["metadata"]["labels"][COMPONENT]
    if part not in (Component.SERVER.value, Component.MIGRATION.value):
        return
    owners = props_of_flags(part, props.server, type(props.datastore))
    given = _arguments(before)
    for argument in _arguments(after):
        flag = argument.removeprefix("--").partition("=")[0]
        if argument not in given and flag in owners:
            allowed = f"arguments of {where} that no prop sets; not --{flag}"
            raise _invalid(props, path, operation, allowed, f"use {owners[flag]}".replace("{", "").replace("}", ""))


def operations_for(props: SpiceDBProps, kind: str, name: str) -> Iterator[tuple[str, PatchOperation]]:
    """The operations on an object, each with its path in the props."""
    for number, patch in enumerate(props.patches):
        for step, operation in enumerate(patch.operations if patch.matches(kind, name) else ()):
            yield f"patches[{number}].operations[{step}]", operation


def _invalid(props: SpiceDBProps, path: str, operation: PatchOperation, allowed: str, fix: str) -> InvalidProps:
    """The error about an operation."""
    return InvalidProps(type(props).__name__, [Problem(path, f"{operation.op} {operation.path}", allowed, fix)])


_SHOWN = 6
"""How many objects an error names."""
_DEFAULTS = "/tolerations"
"""The end of the path of a list in which the package has only defaults, so that a patch may replace it."""


def _applied(operation: PatchOperation, manifest: Manifest) -> Manifest | str:
    """The object with an operation applied, or why it does not fit."""
    # Imported only if there are patches: the libraries take time to load.
    from jsonpatch import JsonPatch, JsonPatchException
    from jsonpointer import JsonPointerException, resolve_pointer

    try:
        before = resolve_pointer(manifest, operation.path, None)
        if operation.op == "add" and isinstance(before, list) and not operation.path.endswith(_DEFAULTS):
            return "the list exists, and add would replace it; end the path in /- to add an item, or use replace"
        found: Manifest = JsonPatch([deepcopy(operation.document())]).apply(manifest)
        return found
    except (JsonPatchException, JsonPointerException) as error:
        # The libraries show the whole object.
        return re.split(r" in \{| in \[|\{|\[", str(error).splitlines()[0])[0].strip()[:160]


def _needed(manifest: Manifest) -> Mapping[str, str]:
    """What the release needs of an object, each with its value. An empty value may change."""
    metadata, spec = _mapping(manifest.get("metadata")), _mapping(manifest.get("spec"))
    found = {"its apiVersion": str(manifest.get("apiVersion")), "its kind": str(manifest.get("kind"))}
    found |= {"its name": str(metadata.get("name"))}
    found |= _entries("label", metadata.get("labels"), NAME, INSTANCE, COMPONENT)
    found |= _entries("annotation", metadata.get("annotations"), *HOOKS)
    if "selector" in spec:
        found["its selector"] = str(spec["selector"])
    template = _template(manifest)
    metadata = _mapping(template.get("metadata"))
    found |= _entries("pods' label", metadata.get("labels"), NAME, INSTANCE, COMPONENT)
    found |= _entries("pods' annotation", metadata.get("annotations"), CHECKSUM)
    return {**found, **dict.fromkeys(_names_in_pods(template), "")}


def _names_in_pods(template: Mapping[str, Any]) -> list[str]:
    """What a pod template names. Kubernetes rejects a name that is there twice."""
    pod = _mapping(template.get("spec"))
    containers = _mappings(pod.get("containers"))
    first = containers[0] if containers else {}
    return [
        *(f"the volume {each.get('name')}" for each in _mappings(pod.get("volumes"))),
        *(f"the mount at {each.get('mountPath')}" for each in _mappings(first.get("volumeMounts"))),
        *(f"the variable {each.get('name')}" for each in _mappings(first.get("env"))),
        *(f"the container {each.get('name')}" for each in [*_mappings(pod.get("initContainers")), *containers]),
    ]


def _arguments(manifest: Manifest) -> list[str]:
    containers = _mappings(_mapping(_template(manifest).get("spec")).get("containers"))
    return [str(argument) for argument in (containers[0].get("args") or () if containers else ())]


def spec_with_pods(manifest: Manifest) -> Manifest:
    """The part of an object that may have a pod template: its spec, or the spec of the Jobs of a CronJob."""
    spec: Manifest = manifest.get("spec") or {}
    return spec_with_pods(spec["jobTemplate"] or {}) if "jobTemplate" in spec else spec


def _template(manifest: Manifest) -> Mapping[str, Any]:
    return _mapping(spec_with_pods(manifest).get("template"))


# A patch may have removed it.
def _mapping(value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return value or {}


def _mappings(value: list[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    return value or []


def _entries(what: str, entries: Mapping[str, str] | None, *keys: str) -> dict[str, str]:
    found = _mapping(entries)
    return {f"the {what} {key}": str(found[key]) for key in keys if key in found}


def require_matches(props: SpiceDBProps, manifests: Iterable[Manifest]) -> None:
    """Raises `InvalidProps` unless every patch matches an object."""
    objects = [(manifest["kind"], _name(manifest)) for manifest in manifests]
    problems = [
        Problem(
            f"patches[{number}]",
            f"{patch.kind} {patch.name or '(any)'}",
            f"an object of the release: {_some(patch, objects)}",
            "use the kind and the name of one of them",
        )
        for number, patch in enumerate(props.patches)
        if not any(patch.matches(kind, name) for kind, name in objects)
    ]
    if problems:
        raise InvalidProps(type(props).__name__, problems)


def _some(patch: Patch, objects: Sequence[tuple[str, str]]) -> str:
    """The objects that are most similar to the one that a patch names, and how many more there are."""
    names = [f"{kind} {name}" for kind, name in objects]
    near = get_close_matches(f"{patch.kind} {patch.name or ''}", names, _SHOWN, 0)
    return some_of([*near, *(name for name in names if name not in near)], _SHOWN)


def _name(manifest: Manifest) -> str:
    """An object's name as users know it, without the hash of a Job's spec."""
    name: str = manifest["metadata"]["name"]
    return re.sub("-[0-9a-f]{7}$", "", name) if manifest["kind"] == "Job" else name
