"""The migration: a Job that brings the datastore's schema to what the new servers need, before they start."""

from __future__ import annotations

from typing import Any

from cdk8s import ApiObject
from constructs import Construct

from .env import argument, arguments, container_env
from .hooks import MIGRATION, MIGRATION_IDENTITY, hook_annotations
from .labels import Component, object_name
from .objects import Objects
from .props import SpiceDBProps, require_migration
from .template import Manifest, container, pod_template, termination_log
from .warning import warn_of_phase


class Migration(Construct):
    """The migration of one SpiceDB; usable alone, beside servers that something else runs.

    Raises `InvalidProps` before it adds anything, also when there is nothing to migrate.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_migration(props)
        super().__init__(scope, id)
        warn_of_phase(props)
        objects = Objects(self, props, Component.MIGRATION)
        identity = props.migration_identity
        if identity:
            hook = hook_annotations(props.delivery, MIGRATION_IDENTITY)
            objects.add_service_account({**identity, **hook})
        self.job: ApiObject = objects.add(
            "Job", {"spec": _job(props)}, annotations=hook_annotations(props.delivery, MIGRATION)
        )
        """The Job, as the cdk8s object; patch it for what has no prop."""


def _job(props: SpiceDBProps) -> Manifest:
    migration, files = props.migration, props.datastore.files()
    env = props.datastore.env(uri=migration.datastore_uri, migrate=True)
    program = {"command": _command(props), "args": _arguments(props), "env": container_env(env)}
    template = pod_template(
        props,
        Component.MIGRATION,
        migration,
        [container("migrate", props.full_image, migration, files=files, **program)],
        files=files,
        restartPolicy=migration.restart_policy,
        serviceAccountName=object_name(props.name, Component.MIGRATION) if props.migration_identity else None,
    )
    return {
        "backoffLimit": migration.backoff_limit,
        "activeDeadlineSeconds": migration.active_deadline_seconds,
        "template": template,
    }


def _command(props: SpiceDBProps) -> list[str]:
    """The form that every release takes; ``datastore migrate`` exists only since 1.30."""
    migration = props.migration
    if migration.target_phase is None:
        return ["spicedb", "migrate", migration.target]
    phase = argument("phase", migration.target_phase.value)
    return ["spicedb", "migrate", *([migration.target] if migration.target_migration else []), phase]


def _arguments(props: SpiceDBProps) -> list[str]:
    migration = props.migration
    settings: dict[str, Any] = {
        "log-level": migration.log_level or props.server.log_level,
        "log-format": props.server.log_format,
        "migration-timeout": migration.migration_timeout,
        "migration-backfill-batch-size": migration.backfill_batch_size,
        "termination-log-path": termination_log(props),
    }
    return arguments(settings)
