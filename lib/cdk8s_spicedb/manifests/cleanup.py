"""The clean-up: a Job that deletes the finished migration once the release is up."""

from __future__ import annotations

from ..delivery import CLEANUP
from ..labels import Component, object_name, selector_text
from ..props import SpiceDBProps
from .manifest import Manifest
from .metadata import Objects, api_rule
from .network import network_policy
from .template import pod_template


def cleanup_manifests(props: SpiceDBProps) -> list[Manifest]:
    """The Job, and the right to list Jobs and to delete only this release's migration."""
    objects, cleanup = Objects(props, Component.CLEANUP), props.cleanup
    migration = object_name(props.name, Component.MIGRATION)
    rules = (
        api_rule("jobs", "list", group="batch"),
        api_rule("jobs", "delete", group="batch", name=migration),
    )
    command = [
        "kubectl",
        "delete",
        "jobs",
        f"--selector={selector_text(props.name, Component.MIGRATION)}",
        # A failed migration stays, with its log. So do Jobs with the same labels that kubectl applied before.
        f"--field-selector=metadata.name={migration},status.successful=1",
        # To wait for the deletion, the clean-up would need the right to watch Jobs.
        "--wait=false",
    ]
    template = pod_template(
        objects,
        cleanup,
        {"name": "kubectl", "image": cleanup.image, "command": command},
        token=True,
        restartPolicy="Never",
        serviceAccountName=objects.name,
    )
    return [
        objects.service_account(),
        *objects.role(*rules),
        *network_policy(objects),
        objects.job(CLEANUP, template, retries=3, deadline=cleanup.active_deadline_seconds),
    ]
