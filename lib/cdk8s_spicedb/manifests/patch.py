"""Applies the users' patches to objects."""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import deepcopy

from ..errors import InvalidProps, Problem
from ..props import SpiceDBProps
from .manifest import Manifest


def patched(props: SpiceDBProps, manifest: Manifest) -> Manifest:
    """An object with the patches applied. Raises `InvalidProps` if one does not fit."""
    if not props.patches:
        return manifest
    # Imported only if there are patches: the libraries take time to load.
    from jsonpatch import JsonPatch, JsonPatchException
    from jsonpointer import JsonPointerException

    kind, name = manifest["kind"], manifest["metadata"]["name"]
    for number, patch in enumerate(props.patches):
        for step, operation in enumerate(patch.operations if patch.matches(kind, name) else ()):
            try:
                manifest = JsonPatch([deepcopy(operation.document())]).apply(manifest)
            except (JsonPatchException, JsonPointerException) as error:
                path = f"patches[{number}].operations[{step}]"
                allowed = f"an operation that fits {kind} {name}: {error}"
                problem = Problem(path, f"{operation.op} {operation.path}", allowed, "look at the object in dist/")
                raise InvalidProps(type(props).__name__, [problem]) from None
    return manifest


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
