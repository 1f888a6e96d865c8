"""The migration: a Job that migrates the datastore before the new servers start."""

from __future__ import annotations

from typing import Any

from ..delivery import MIGRATION, MIGRATION_IDENTITY
from ..labels import Component
from ..props import SpiceDBProps
from ..props.flags import EnvVar, argument, arguments, container_env
from .manifest import Manifest
from .metadata import Objects
from .network import network_policy
from .telemetry import offline_settings
from .template import pod_template, termination_log


def migration_manifests(props: SpiceDBProps) -> list[Manifest]:
    """The Job, and its own ServiceAccount if it has one."""
    objects, migration, files = Objects(props, Component.MIGRATION), props.migration, props.datastore.files()
    own_env = [EnvVar(name, value) for name, value in migration.env.items()]
    env = [*props.datastore.env(uri=migration.datastore_uri, migrate=True), *own_env]
    template = pod_template(
        objects,
        migration,
        {
            "name": "migrate",
            "image": props.full_image,
            "command": _command(props),
            "args": _arguments(props),
            "env": container_env(env),
        },
        files=files,
        restartPolicy=migration.restart_policy,
        serviceAccountName=props.migration_service_account,
    )
    job = objects.job(
        MIGRATION,
        template,
        retries=migration.backoff_limit,
        deadline=migration.active_deadline_seconds,
        ttl=props.migration_ttl_seconds,
    )
    hook = props.delivery.annotations(MIGRATION_IDENTITY)
    identity = props.migration_identity
    account = [objects.service_account({**identity, **hook})] if identity else []
    return [*network_policy(objects, hook), *account, job]


def _command(props: SpiceDBProps) -> list[str]:
    """The command in the form that every release has. ``datastore migrate`` exists only since 1.30."""
    migration = props.migration
    phase = [argument("phase", migration.target_phase.value)] if migration.target_phase else []
    target = [migration.target] if migration.target_migration or not phase else []
    return ["spicedb", "migrate", *target, *phase]


def _arguments(props: SpiceDBProps) -> list[str]:
    migration = props.migration
    settings: dict[str, Any] = {
        "log-level": migration.log_level or props.server.log_level,
        "log-format": props.server.log_format,
        "migration-timeout": migration.migration_timeout,
        "migration-backfill-batch-size": migration.backfill_batch_size,
        **offline_settings(props, "skip-release-check"),
        "termination-log-path": termination_log(props),
    }
    return [*arguments(settings), *migration.extra_args]
