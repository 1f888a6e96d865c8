"""What the objects of a component have in common: its name and labels, its ServiceAccount and its rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..labels import Component, object_name, selector_labels
from ..props import SpiceDBProps
from .patch import patched
from .template import Manifest

_VERSIONS = {
    "Deployment": "apps/v1",
    "GRPCRoute": "gateway.networking.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Ingress": "networking.k8s.io/v1",
    "Job": "batch/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
}


class Objects:
    """Makes the objects of one component, all with its name and labels."""

    def __init__(self, props: SpiceDBProps, component: Component) -> None:
        self._props, self._component = props, component
        self.name = object_name(props.name, component)

    def make(
        self,
        kind: str,
        fields: Mapping[str, Any],
        *,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> Manifest:
        """One object; ``fields`` are its top-level ones beside metadata."""
        metadata: Manifest = {
            "name": name or self.name,
            "labels": {**selector_labels(self._props.name, self._component), **self._props.labels, **(labels or {})},
        }
        annotations = {**self._props.annotations, **(annotations or {})}
        if annotations:
            metadata["annotations"] = annotations
        manifest = {"apiVersion": _VERSIONS.get(kind, "v1"), "kind": kind, "metadata": metadata, **fields}
        return patched(self._props, manifest)

    def service_account(self, annotations: Mapping[str, str] | None = None) -> Manifest:
        """The component's ServiceAccount; pods that need its token ask for it themselves."""
        return self.make("ServiceAccount", {"automountServiceAccountToken": False}, annotations=annotations)

    def role(self, *rules: Manifest, account: str | None = None) -> list[Manifest]:
        """A Role for the component's ServiceAccount, or for another, in the release's namespace alone."""
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": self.name}
        subject = {"kind": "ServiceAccount", "name": account or self.name}
        return [
            self.make("Role", {"rules": list(rules)}),
            self.make("RoleBinding", {"roleRef": reference, "subjects": [subject]}),
        ]


def api_rule(resource: str, *verbs: str, group: str = "", name: str | None = None) -> Manifest:
    """A rule of a Role; with ``name``, for that object alone."""
    names = {"resourceNames": [name]} if name else {}
    return {"apiGroups": [group], "resources": [resource], **names, "verbs": list(verbs)}
