"""The migration: a Job that brings the datastore's schema to what the new servers need, before they start."""

from __future__ import annotations

from typing import Any

from ..delivery import MIGRATION, MIGRATION_IDENTITY
from ..labels import Component
from ..props import SpiceDBProps
from ..props.flags import EnvVar, argument, arguments, container_env
from .metadata import Objects
from .network import network_policy
from .telemetry import silence
from .template import Manifest, container, omit_empty, pod_template, termination_log


def migration_manifests(props: SpiceDBProps) -> list[Manifest]:
    """The Job, and its ServiceAccount where it has one of its own."""
    objects, delivery = Objects(props, Component.MIGRATION), props.delivery
    identity = {**props.migration_identity, **delivery.annotations(MIGRATION_IDENTITY)}
    job = objects.make("Job", {"spec": _job(props)}, annotations=delivery.annotations(MIGRATION))
    job["metadata"]["name"] = delivery.job_name(objects.name, job["spec"])
    before = delivery.annotations(MIGRATION_IDENTITY)
    return [
        *network_policy(props, objects, Component.MIGRATION, before),
        *([objects.service_account(identity)] if props.migration_identity else []),
        job,
    ]


def _job(props: SpiceDBProps) -> Manifest:
    migration, files = props.migration, props.datastore.files()
    own = [EnvVar(name, value) for name, value in migration.env.items()]
    env = (*props.datastore.env(uri=migration.datastore_uri, migrate=True), *own)
    program = {"command": _command(props), "args": _arguments(props), "env": container_env(env)}
    template = pod_template(
        props,
        Component.MIGRATION,
        migration,
        [container("migrate", props.full_image, migration, files=files, **program)],
        files=files,
        restartPolicy=migration.restart_policy,
        serviceAccountName=props.migration_service_account,
    )
    return {
        "backoffLimit": migration.backoff_limit,
        "activeDeadlineSeconds": migration.active_deadline_seconds,
        **omit_empty({"ttlSecondsAfterFinished": props.migration_ttl_seconds}),
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
        **silence(props, "skip-release-check"),
        "termination-log-path": termination_log(props),
    }
    return [*arguments(settings), *migration.extra_args]
