"""The clean-up: a Job that removes the finished migration once the release is up."""

from __future__ import annotations

from cdk8s import ApiObject
from constructs import Construct

from .hooks import CLEANUP, hook_annotations
from .labels import Component, object_name, selector_text
from .objects import Objects, api_rule
from .props import SpiceDBProps, require_migration
from .template import Manifest, container, pod_template


class Cleanup(Construct):
    """The clean-up of one SpiceDB; usable alone, beside a `Migration`.

    Its ServiceAccount may list Jobs and delete this release's migration, nothing else. Raises `InvalidProps` before it
    adds anything, also when there is nothing to migrate.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_migration(props)
        super().__init__(scope, id)
        objects = Objects(self, props, Component.CLEANUP)
        objects.add_service_account()
        objects.add_role(
            api_rule("jobs", "list", group="batch"),
            api_rule("jobs", "delete", group="batch", name=object_name(props.name, Component.MIGRATION)),
        )
        self.job: ApiObject = objects.add(
            "Job", {"spec": _job(props, objects.name)}, annotations=hook_annotations(props.delivery, CLEANUP)
        )
        """The Job, as the cdk8s object; patch it for what has no prop."""


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
