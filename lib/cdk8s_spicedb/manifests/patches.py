"""Applies the user's patches to objects. A patch cannot remove what the release needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from ..errors import InvalidProps, Problem
from ..labels import CHECKSUM, COMPONENT, HOOKS, INSTANCE, NAME
from ..props import SpiceDBProps
from ..props.patch import PatchOperation

Manifest = dict[str, Any]


def patched(props: SpiceDBProps, manifest: Manifest) -> Manifest:
    """An object with the patches applied. Raises `InvalidProps` if one does not fit."""
    for path, operation in operations_for(props, manifest["kind"], manifest["metadata"]["name"]):
        found = _applied(operation, manifest)
        if isinstance(found, str):
            kind, name = manifest["kind"], manifest["metadata"]["name"]
            allowed = f"an operation that fits {kind} {name}: {found}"
            fix = "look at the object in dist/; for volumes, containers and placement, use props"
            raise invalid(props, path, operation, allowed, fix)
        lost = sorted(_needed(manifest).items() - _needed(found).items())
        if lost:
            allowed = f"an operation that keeps {lost[0][0]} of {manifest['kind']} {manifest['metadata']['name']}"
            fix = "use a prop, such as extra_volumes or pod_labels; or add one item, with a path that ends in /-"
            raise invalid(props, path, operation, allowed, fix)
        manifest = found
    return manifest


def operations_for(props: SpiceDBProps, kind: str, name: str) -> Iterator[tuple[str, PatchOperation]]:
    """The operations on an object, each with its path in the props."""
    for number, patch in enumerate(props.patches):
        for step, operation in enumerate(patch.operations if patch.matches(kind, name) else ()):
            yield f"patches[{number}].operations[{step}]", operation


def invalid(props: SpiceDBProps, path: str, operation: PatchOperation, allowed: str, fix: str) -> InvalidProps:
    """The error about an operation."""
    return InvalidProps(type(props).__name__, [Problem(path, f"{operation.op} {operation.path}", allowed, fix)])


def _applied(operation: PatchOperation, manifest: Manifest) -> Manifest | str:
    """The object with an operation applied, or why it does not fit."""
    # Imported only if there are patches: the libraries take time to load.
    from jsonpatch import JsonPatch, JsonPatchException
    from jsonpointer import JsonPointerException, resolve_pointer

    try:
        if operation.op == "add" and isinstance(resolve_pointer(manifest, operation.path, None), list):
            return "the list exists, and add would replace it; end the path in /- to add an item, or use replace"
        found: Manifest = JsonPatch([deepcopy(operation.document())]).apply(manifest)
        return found
    except (JsonPatchException, JsonPointerException) as error:
        # The libraries show the whole object.
        return re.split(r" in \{| in \[|\{|\[", str(error).splitlines()[0])[0].strip()[:160]


def _needed(manifest: Manifest) -> Mapping[str, str]:
    """What the release needs of an object, each with its value. An empty value may change."""
    metadata, spec = manifest.get("metadata") or {}, manifest.get("spec") or {}
    found = {"its apiVersion": str(manifest.get("apiVersion")), "its kind": str(manifest.get("kind"))}
    found |= {"its name": str(metadata.get("name"))}
    found |= _entries("label", metadata.get("labels"), NAME, INSTANCE, COMPONENT)
    found |= _entries("annotation", metadata.get("annotations"), *HOOKS)
    if "selector" in spec:
        found["its selector"] = str(spec["selector"])
    template = spec.get("template")
    return {**found, **_needed_of_pods(template)} if isinstance(template, Mapping) else found


def _needed_of_pods(template: Mapping[str, Any]) -> dict[str, str]:
    metadata, pod = template.get("metadata") or {}, template.get("spec") or {}
    containers = pod.get("containers") or [{}]
    return {
        **_entries("pods' label", metadata.get("labels"), NAME, INSTANCE, COMPONENT),
        **_entries("pods' annotation", metadata.get("annotations"), CHECKSUM),
        **{f"the volume {each.get('name')}": "" for each in pod.get("volumes") or ()},
        **{f"the mount at {each.get('mountPath')}": "" for each in containers[0].get("volumeMounts") or ()},
        **{f"the variable {each.get('name')}": "" for each in containers[0].get("env") or ()},
        **{f"the container {each.get('name')}": "" for each in containers},
    }


def _entries(what: str, entries: Mapping[str, str] | None, *keys: str) -> dict[str, str]:
    return {f"the {what} {key}": str(entries[key]) for key in keys if entries and key in entries}


def require_matches(props: SpiceDBProps, manifests: Iterable[Manifest]) -> None:
    """Raises `InvalidProps` unless every patch matches an object."""
    objects = [(manifest["kind"], _name(manifest)) for manifest in manifests]
    problems = [
        Problem(
            f"patches[{number}]",
            f"{patch.kind} {patch.name or '(any)'}",
            "an object of the release: " + ", ".join(f"{kind} {name}" for kind, name in objects),
            "use the kind and the name of one of them",
        )
        for number, patch in enumerate(props.patches)
        if not any(patch.matches(kind, name) for kind, name in objects)
    ]
    if problems:
        raise InvalidProps(type(props).__name__, problems)


def _name(manifest: Manifest) -> str:
    """An object's name as users know it, without the hash of a Job's spec."""
    name: str = manifest["metadata"]["name"]
    return re.sub("-[0-9a-f]{7}$", "", name) if manifest["kind"] == "Job" else name
