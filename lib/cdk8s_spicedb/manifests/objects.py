"""Objects of one component: their names, labels, ServiceAccount and rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from ..delivery import Hook
from ..labels import HELM_HOOK_LOGS, Component, object_name, selector_labels
from ..props import SpiceDBProps
from .patches import Manifest as Manifest
from .patches import patched
from .patches import spec_with_pods as spec_with_pods


def omit_empty(fields: Manifest) -> Manifest:
    """The fields that are set: not None, and not an empty list or object."""
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


_RBAC = "rbac.authorization.k8s.io"


@frozen
class Objects:
    """Creates the objects of one component, with its name and labels."""

    props: SpiceDBProps
    component: Component

    @property
    def name(self) -> str:
        """The name of the component's objects."""
        return object_name(self.props.name, self.component)

    @property
    def selector(self) -> dict[str, str]:
        """The labels that select the component's pods."""
        return selector_labels(self.props.name, self.component)

    def make(
        self,
        api_version: str,
        kind: str,
        *,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> Manifest:
        """One object. ``fields`` are its top-level fields, except ``metadata``."""
        metadata = {
            "name": name or self.name,
            "labels": {**self.selector, **self.props.labels, **(labels or {})},
            "annotations": {**self.props.annotations, **(annotations or {})},
        }
        manifest = {"apiVersion": api_version, "kind": kind, "metadata": omit_empty(metadata), **fields}
        return patched(self.props, manifest)

    def job(
        self,
        hook: Hook,
        template: Manifest,
        retries: int,
        deadline: int,
        ttl: int | None = None,
        name: str | None = None,
        **spec: Any,
    ) -> Manifest:
        """A Job. If the delivery does not have its hook, its name ends in a hash of its spec. Times are in seconds."""
        delivery = self.props.delivery
        limits = {"backoffLimit": retries, "activeDeadlineSeconds": deadline, "ttlSecondsAfterFinished": ttl}
        spec = omit_empty({**limits, "template": template, **spec})
        annotations = {**delivery.annotations(hook), **delivery.job_annotations}
        if self.props.hook_logs is False:
            annotations.pop(HELM_HOOK_LOGS, None)
        job = self.make("batch/v1", "Job", name=name, spec=spec, annotations=annotations)
        job["metadata"]["name"] = delivery.job_name(job["metadata"]["name"], job["spec"], hook)
        return job

    def service_account(self, annotations: Mapping[str, str] | None = None) -> Manifest:
        """The component's ServiceAccount. Pods that need its token mount it themselves."""
        return self.make("v1", "ServiceAccount", automountServiceAccountToken=False, annotations=annotations)

    def role(self, *rules: Manifest, account: str | None = None) -> list[Manifest]:
        """A Role in the release's namespace, bound to ``account`` or to the component's own ServiceAccount, unless
        somebody else creates it."""
        if not self.props.rbac_create:
            return []
        reference = {"apiGroup": _RBAC, "kind": "Role", "name": self.name}
        subject = {"kind": "ServiceAccount", "name": account or self.name}
        return [
            self.make(f"{_RBAC}/v1", "Role", rules=list(rules)),
            self.make(f"{_RBAC}/v1", "RoleBinding", roleRef=reference, subjects=[subject]),
        ]


def api_rule(resource: str, *verbs: str, group: str = "", name: str | None = None) -> Manifest:
    """A rule of a Role. With ``name``, it allows access to that object only."""
    names = {"resourceNames": [name]} if name else {}
    return {"apiGroups": [group], "resources": [resource], **names, "verbs": list(verbs)}
