"""Adds manifests to the construct tree.

They are plain values in Kubernetes' own names rather than cdk8s-plus's typed structs: those end at Kubernetes 1.27,
and each nested struct of theirs crosses into JavaScript by itself, where a value crosses once.
"""

from __future__ import annotations

from collections.abc import Iterable

from cdk8s import ApiObject, ApiObjectMetadata, JsonPatch
from constructs import Construct

from .manifests import Manifest


def add(scope: Construct, manifests: Iterable[Manifest]) -> dict[str, ApiObject]:
    """Adds objects, no two of a kind, to a construct, and gives them by their kind."""
    return {manifest["kind"]: _add(scope, **manifest) for manifest in manifests}


def _add(scope: Construct, apiVersion: str, kind: str, metadata: Manifest, **fields: object) -> ApiObject:  # noqa: N803
    added = ApiObject(scope, kind.lower(), api_version=apiVersion, kind=kind, metadata=ApiObjectMetadata(**metadata))
    added.add_json_patch(*(JsonPatch.add(f"/{name}", value) for name, value in fields.items()))
    return added
