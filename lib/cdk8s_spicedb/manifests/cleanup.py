"""The clean-up: a Job that removes the finished migration once the release is up."""

from __future__ import annotations

from ..delivery import CLEANUP
from ..labels import Component, object_name, selector_text
from ..props import SpiceDBProps
from .metadata import Objects, api_rule
from .network import network_policy
from .template import Manifest, container, pod_template


def cleanup_manifests(props: SpiceDBProps) -> list[Manifest]:
    """The Job, and its right to list Jobs and to delete this release's migration, nothing else."""
    objects = Objects(props, Component.CLEANUP)
    rules = (
        api_rule("jobs", "list", group="batch"),
        api_rule("jobs", "delete", group="batch", name=object_name(props.name, Component.MIGRATION)),
    )
    spec, annotations = _job(props, objects.name), props.delivery.annotations(CLEANUP)
    return [
        objects.service_account(),
        *objects.role(*rules),
        *network_policy(props, objects, Component.CLEANUP),
        objects.make("Job", {"spec": spec}, annotations=annotations),
    ]


def _job(props: SpiceDBProps, service_account: str) -> Manifest:
    command = [
        "kubectl",
        "delete",
        "jobs",
        f"--selector={selector_text(props.name, Component.MIGRATION)}",
        # Only those that succeeded: a failed one stays as evidence.
        "--field-selector=status.successful=1",
        # Waiting for the deletion would need the right to watch Jobs.
        "--wait=false",
    ]
    template = pod_template(
        props,
        Component.CLEANUP,
        props.cleanup,
        [container("kubectl", props.cleanup.image, props.cleanup, command=command)],
        token=True,
        restartPolicy="Never",
        serviceAccountName=service_account,
    )
    return {"backoffLimit": 3, "activeDeadlineSeconds": props.cleanup.active_deadline_seconds, "template": template}
