"""Adds manifests to the construct tree.

They are plain values in Kubernetes' own names, not cdk8s-plus' typed structs. Those end at Kubernetes 1.27, and each of
their nested structs crosses into JavaScript by itself, where a plain value crosses once.
"""

from __future__ import annotations

from collections.abc import Iterable

from cdk8s import ApiObject, ApiObjectMetadata, JsonPatch
from constructs import Construct

from ..manifests import Manifest
from ..props import SpiceDBProps, require


def require_once(scope: Construct, props: SpiceDBProps) -> None:
    """Checks props, unless ``scope`` is a construct of this package that has checked the same props."""
    if getattr(scope, "_checked", None) is not props:
        require(props)


def add(scope: Construct, manifests: Iterable[Manifest]) -> dict[str, ApiObject]:
    """Adds objects to a construct. Returns the first of each kind."""
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
