"""Adds manifests to the construct tree.

They are plain values in Kubernetes' own names rather than cdk8s-plus's typed structs: those end at Kubernetes 1.27,
and each nested struct of theirs crosses into JavaScript by itself, where a value crosses once.
"""

from __future__ import annotations

from collections.abc import Iterable

from cdk8s import ApiObject, ApiObjectMetadata, JsonPatch
from constructs import Construct

from .manifests import Manifest
from .props import SpiceDBProps


def is_checked(scope: Construct, props: SpiceDBProps) -> bool:
    """Whether ``scope`` was made from these very props, and has checked them for its parts."""
    return getattr(scope, "props", None) is props


def add(scope: Construct, manifests: Iterable[Manifest]) -> dict[str, ApiObject]:
    """Adds objects to a construct, and gives the first of each kind."""
    added: dict[str, ApiObject] = {}
    for manifest in manifests:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        found = _add(scope, (f"{kind}-{name}" if kind in added else kind).lower(), **manifest)
        added.setdefault(kind, found)
    return added


def _add(
    scope: Construct,
    id: str,
    apiVersion: str,  # noqa: N803
    kind: str,
    metadata: Manifest,
    **fields: object,
) -> ApiObject:
    added = ApiObject(scope, id, api_version=apiVersion, kind=kind, metadata=ApiObjectMetadata(**metadata))
    added.add_json_patch(*(JsonPatch.add(f"/{name}", value) for name, value in fields.items()))
    return added
