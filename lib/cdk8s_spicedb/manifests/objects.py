"""Objects of one component: their names, labels, ServiceAccount and rights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from attrs import frozen

from ..delivery import Hook
from ..errors import InvalidProps, Problem
from ..labels import HELM_HOOK_LOGS, Component, object_name, selector_labels
from ..props import SpiceDBProps

Manifest = dict[str, Any]


def omit_empty(fields: Manifest) -> Manifest:
    """The fields that are set: not None, and not an empty list or object."""
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


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
        self, hook: Hook, template: Manifest, retries: int, deadline: int, ttl: int | None = None, **spec: Any
    ) -> Manifest:
        """A Job that is a hook. Without hooks, its name ends in a hash of its spec. Times are in seconds."""
        delivery = self.props.delivery
        limits = {"backoffLimit": retries, "activeDeadlineSeconds": deadline, "ttlSecondsAfterFinished": ttl}
        spec = omit_empty({**limits, "template": template, **spec})
        annotations = {**delivery.annotations(hook), **delivery.job_annotations}
        if self.props.hook_logs is False:
            annotations.pop(HELM_HOOK_LOGS, None)
        job = self.make("batch/v1", "Job", spec=spec, annotations=annotations)
        job["metadata"]["name"] = delivery.job_name(job["metadata"]["name"], job["spec"])
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
