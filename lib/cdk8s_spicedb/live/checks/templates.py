"""The pods of a release, as its Deployment and its Jobs describe them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from ...labels import COMPONENT, Component
from ...manifests.manifest import Manifest
from ...props import SpiceDBProps

SETTINGS = {
    Component.SERVER: "server",
    Component.MIGRATION: "migration",
    Component.CLEANUP: "cleanup",
    Component.SCHEMA: "schema",
    Component.TEST: "test",
}
"""The part of the file that describes the pods of a component."""


@frozen
class PodTemplate:
    """The pod template of a Deployment or a Job."""

    component: Component
    owner: str
    """Kind and name of the object, such as ``Deployment spicedb``."""
    template: Manifest

    @property
    def spec(self) -> Manifest:
        """The spec of the pods."""
        return dict(self.template["spec"])

    @property
    def settings(self) -> str:
        """The part of the file that describes these pods."""
        return SETTINGS[self.component]

    @property
    def images(self) -> Sequence[str]:
        """The images of all containers."""
        containers = [*self.spec.get("initContainers", ()), *self.spec["containers"]]
        return tuple(container["image"] for container in containers)


def pod_templates(manifests: Iterable[Manifest]) -> Iterator[PodTemplate]:
    """The pod templates of a release."""
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "Job"):
            metadata = manifest["metadata"]
            component = Component(metadata["labels"][COMPONENT])
            yield PodTemplate(component, f"{manifest['kind']} {metadata['name']}", manifest["spec"]["template"])


def restricted_container(props: SpiceDBProps) -> Mapping[str, Any]:
    """The security settings of a container of a short-lived pod: those of the ``restricted`` Pod Security Standard."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        **({} if props.openshift else {"runAsUser": 65532}),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
