"""Applies what users change in objects."""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import deepcopy

from ..errors import InvalidProps, Problem
from ..props import SpiceDBProps
from .template import Manifest


def patched(props: SpiceDBProps, manifest: Manifest) -> Manifest:
    """An object with the user's changes. Raises `InvalidProps` where one does not fit."""
    if not props.patches:
        return manifest
    # Whoever patches nothing does not wait for the libraries that do.
    from jsonpatch import JsonPatch, JsonPatchException
    from jsonpointer import JsonPointerException

    kind, name = manifest["kind"], manifest["metadata"]["name"]
    for number, patch in enumerate(props.patches):
        for step, operation in enumerate(patch.operations if patch.matches(kind, name) else ()):
            try:
                manifest = JsonPatch([deepcopy(operation.document())]).apply(manifest)
            except (JsonPatchException, JsonPointerException) as error:
                path = f"patches[{number}].operations[{step}]"
                allowed = f"one that fits {kind} {name}: {error}"
                problem = Problem(path, f"{operation.op} {operation.path}", allowed, "look at the object in dist/")
                raise InvalidProps(type(props).__name__, [problem]) from None
    return manifest


def require_matches(props: SpiceDBProps, manifests: Iterable[Manifest]) -> None:
    """Raises `InvalidProps` unless every patch is for an object that there is."""
    there = [(manifest["kind"], _plain(manifest)) for manifest in manifests]
    found = [
        Problem(
            f"patches[{number}]",
            f"{patch.kind} {patch.name or '(any)'}",
            "an object that there is: " + ", ".join(f"{kind} {name}" for kind, name in there),
            "name one of them",
        )
        for number, patch in enumerate(props.patches)
        if not any(patch.matches(kind, name) for kind, name in there)
    ]
    if found:
        raise InvalidProps(type(props).__name__, found)


def _plain(manifest: Manifest) -> str:
    """An object's name without the hash of what it runs, as users know it."""
    name: str = manifest["metadata"]["name"]
    return re.sub("-[0-9a-f]{7}$", "", name) if manifest["kind"] == "Job" else name
