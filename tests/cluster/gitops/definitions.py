"""CustomResourceDefinitions of the controllers. The controllers' own ones are much larger, and check more."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lab.cluster import Object

FREE: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
"""The schema of an object with any fields."""


def definition(
    plural: str, kind: str, version: str, schema: Object, *, labels: Mapping[str, str] | None = None, status: bool
) -> Object:
    """A definition of a kind. ``plural`` contains the group. ``status`` makes the status a subresource."""
    name, _, group = plural.partition(".")
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": plural, "labels": dict(labels or {})},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": name, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [{**served, "subresources": {"status": {}}} if status else served],
        },
    }
