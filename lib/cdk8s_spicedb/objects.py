"""Adds objects to the construct tree.

Objects are plain values in Kubernetes' own names rather than cdk8s-plus's typed structs: those end at Kubernetes 1.27,
and each nested struct of theirs crosses into JavaScript by itself, where a value crosses once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdk8s import ApiObject, ApiObjectMetadata, JsonPatch
from constructs import Construct

from .labels import Component, object_name, selector_labels
from .props import SpiceDBProps
from .template import Manifest

_VERSIONS = {
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
}


class Objects:
    """Adds the objects of one component, all with its name and labels, to a construct."""

    def __init__(self, scope: Construct, props: SpiceDBProps, component: Component) -> None:
        self._scope, self._props, self._component = scope, props, component
        self.name = object_name(props.name, component)

    def add(self, kind: str, fields: Mapping[str, Any], *, annotations: Mapping[str, str] | None = None) -> ApiObject:
        """Adds one object; ``fields`` are its top-level ones beside metadata."""
        metadata = ApiObjectMetadata(
            name=self.name,
            labels={**selector_labels(self._props.name, self._component), **self._props.labels},
            annotations={**self._props.annotations, **(annotations or {})},
        )
        added = ApiObject(
            self._scope, kind.lower(), api_version=_VERSIONS.get(kind, "v1"), kind=kind, metadata=metadata
        )
        added.add_json_patch(*(JsonPatch.add(f"/{name}", value) for name, value in fields.items()))
        return added

    def add_service_account(self, annotations: Mapping[str, str] | None = None) -> ApiObject:
        """Adds the component's ServiceAccount; pods that need its token ask for it themselves."""
        return self.add("ServiceAccount", {"automountServiceAccountToken": False}, annotations=annotations)

    def add_role(self, *rules: Manifest) -> None:
        """Adds a Role for the component's ServiceAccount, in the release's namespace alone."""
        self.add("Role", {"rules": list(rules)})
        subject = {"kind": "ServiceAccount", "name": self.name}
        self.add(
            "RoleBinding",
            {
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": self.name},
                "subjects": [subject],
            },
        )


def api_rule(resource: str, *verbs: str, group: str = "", name: str | None = None) -> Manifest:
    """A rule of a Role; with ``name``, for that object alone."""
    names = {"resourceNames": [name]} if name else {}
    return {"apiGroups": [group], "resources": [resource], **names, "verbs": list(verbs)}
