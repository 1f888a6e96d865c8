"""The Jobs: the migration, its clean-up, and those that write the schema and test permission checks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import Any

import attrs

from ..delivery import CLEANUP, MIGRATION_IDENTITY, SCHEMA, TEST, Hook
from ..labels import JOB_INDEX, SCHEMA_CHECKSUM, Component, object_name, selector_text
from ..props import MigrationProps, SpiceDBProps
from ..props.fields import camel, manifest_of
from ..props.flags import TERMINATION_LOG, Setting, argument, arguments, duration, flag_of, settings_of
from ..props.jobs import ClientProps, PermissionTest, SchemaProps
from ..props.secrets import EnvVar, SecretFiles, container_env
from ..props.server import LOG_FORMAT, LOG_LEVEL
from .network import network_policy
from .objects import Manifest, Objects, api_rule
from .pods import GRPC, RELEASE_CHECK, offline_settings, pod_template, service_port, termination_log

_SCHEMA_FOLDER, SCHEMA_FILE = "/etc/spicedb/schema", "schema.zed"


def schema_manifests(props: SpiceDBProps, schema: SchemaProps) -> list[Manifest]:
    """The ConfigMap with the schema, unless one exists, and the Job that writes it."""
    objects = Objects(props, Component.SCHEMA)
    items = [{"key": schema.config_map_key, "path": SCHEMA_FILE}]
    source = {"name": schema.config_map, "items": items} if schema.config_map else {"name": objects.name}
    template = zed_template(
        objects,
        schema,
        ["zed", "schema", "write", f"{_SCHEMA_FOLDER}/{SCHEMA_FILE}"],
        mounts=[{"name": "schema", "mountPath": _SCHEMA_FOLDER, "readOnly": True}],
        volumes=[{"name": "schema", "configMap": source}],
        # Without hooks, a hash of its spec names the Job: another schema must make another Job.
        annotations={SCHEMA_CHECKSUM: hashlib.sha256(schema.text.encode()).hexdigest()} if schema.text else {},
    )
    job = _job(objects, schema, SCHEMA, template, retries=6)
    own = [objects.make("v1", "ConfigMap", data={SCHEMA_FILE: schema.text})] if schema.text else []
    return [*own, *network_policy(objects), job]


def schema_read_manifests(props: SpiceDBProps, client: ClientProps) -> list[Manifest]:
    """A Job that prints the schema to its log, as JSON. It is not part of a release."""
    objects = Objects(props, Component.SCHEMA)
    template = zed_template(objects, client, ["zed", "schema", "read", "--json"])
    return [*network_policy(objects), _job(objects, client, SCHEMA, template, retries=2)]


def test_manifests(props: SpiceDBProps, test: PermissionTest) -> list[Manifest]:
    """The Job that ``helm test`` runs. Each of its pods makes one check."""
    objects = Objects(props, Component.TEST)
    resource = f"{test.resource}:helm-test-$(JOB_COMPLETION_INDEX)"
    # Pods of an indexed Job have this variable, but Kubernetes expands it in arguments only if it is declared as well.
    index = {"fieldRef": {"fieldPath": f"metadata.annotations['{JOB_INDEX}']"}}
    template = zed_template(
        objects,
        test,
        ["zed", "permission", "check", resource, test.permission, f"{test.subject}:helm-test", "--consistency-full"],
        env=[{"name": "JOB_COMPLETION_INDEX", "valueFrom": index}],
    )
    indexed = {"completionMode": "Indexed", "completions": test.checks, "parallelism": 4}
    job = _job(objects, test, TEST, template, retries=0, **indexed)
    return [*network_policy(objects), job]


def _job(
    objects: Objects, client: ClientProps, hook: Hook, template: Manifest, *, retries: int, **spec: Any
) -> Manifest:
    """A Job that runs ``zed``. ``spec`` are more fields of the Job's spec."""
    props = objects.props
    # Without hooks, the Job starts together with the migration, so its time limit includes the migration's.
    waits = 0 if props.delivery.has_hooks or not props.migrates else props.migration.active_deadline_seconds
    deadline = client.active_deadline_seconds + waits
    return objects.job(hook, template, retries, deadline, ttl=props.delivery.migration_ttl_seconds, **spec)


def zed_template(
    objects: Objects,
    client: ClientProps,
    command: list[str],
    *,
    env: Sequence[Manifest] = (),
    mounts: Sequence[Manifest] = (),
    **more: Any,
) -> Manifest:
    """The template of pods that run ``zed`` with the preshared key. ``more`` is what `pod_template` takes."""
    props = objects.props
    ca = [SecretFiles("ca", "/etc/spicedb/ca", {"ca.crt": client.ca})] if client.ca else []
    container = {
        "name": "zed",
        "image": client.image,
        "command": command,
        "args": _zed_arguments(props, client, ca),
        "env": [*env, *container_env([EnvVar("ZED_TOKEN", props.preshared_key)])],
        "volumeMounts": mounts,
    }
    account = client.service_account or props.pods.service_account
    name = str(account) if account else None
    return pod_template(objects, client, container, files=ca, restartPolicy="Never", serviceAccountName=name, **more)


def _zed_arguments(props: SpiceDBProps, client: ClientProps, ca: list[SecretFiles]) -> list[str]:
    tls: dict[str, Setting] = {
        flag_of(ClientProps, "ca"): [folder.path("ca.crt") for folder in ca],
        flag_of(ClientProps, "hostname"): client.hostname,
    }
    return [
        argument("endpoint", f"{props.name}:{service_port(props, GRPC)}"),
        *(arguments(tls) if props.server.grpc_tls else ["--insecure"]),
        "--skip-version-check",
        # zed's flag has the same name as SpiceDB's.
        argument(LOG_FORMAT, "json"),
    ]


def migration_checksum(migration: MigrationProps) -> str:
    """A digest of the migration's settings only.

    Settings with their default value do not count. So a new setting in a later version of this package restarts no
    servers. A chart computes the same digest from its values.
    """
    text = json.dumps(changed_settings(migration), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def changed_settings(migration: MigrationProps) -> dict[str, Any]:
    """The settings that differ from their default, as plain values by their names in files."""
    defaults = MigrationProps()
    return {
        camel(name): plain(value)
        for name, value in attrs.asdict(migration, recurse=False).items()
        if value != getattr(defaults, name)
    }


def plain(value: Any) -> Any:
    """A prop as YAML and JSON hold it, with the names of Kubernetes."""
    if attrs.has(type(value)):
        value = manifest_of(value)
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return list(map(plain, value))
    if isinstance(value, Enum):
        return value.value
    return duration(value) if isinstance(value, timedelta) else value


def cleanup_manifests(props: SpiceDBProps) -> list[Manifest]:
    """The Job, and the right to list Jobs and to delete only this release's migration."""
    objects, cleanup = Objects(props, Component.CLEANUP), props.cleanup
    migration = object_name(props.name, Component.MIGRATION)
    rules = api_rule("jobs", "list", group="batch"), api_rule("jobs", "delete", group="batch", name=migration)
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
    container = {"name": "kubectl", "image": cleanup.image, "command": command}
    given = cleanup.service_account or props.pods.service_account
    account = str(given or objects.name)
    template = pod_template(objects, cleanup, container, token=True, restartPolicy="Never", serviceAccountName=account)
    return [
        *([] if given else [objects.service_account()]),
        *objects.role(*rules, account=account),
        *network_policy(objects),
        objects.job(CLEANUP, template, retries=3, deadline=cleanup.active_deadline_seconds),
    ]


def migration_manifests(props: SpiceDBProps) -> list[Manifest]:
    """The Job, and its own ServiceAccount if it has one."""
    objects, migration, files = Objects(props, Component.MIGRATION), props.migration, props.datastore.files()
    container = {
        "name": "migrate",
        "image": props.full_image,
        "command": _command(props),
        "args": _arguments(props),
        "env": container_env(props.datastore.env(uri=migration.datastore_uri, migrate=True)),
    }
    account = props.migration_service_account
    template = pod_template(
        objects, migration, container, files=files, restartPolicy=migration.restart_policy, serviceAccountName=account
    )
    retries, deadline = migration.retries, migration.active_deadline_seconds
    job = objects.job(migration.moment, template, retries, deadline, ttl=props.migration_ttl_seconds)
    hook = props.delivery.annotations(MIGRATION_IDENTITY) if migration.hook else {}
    identity = props.migration_identity
    accounts = [objects.service_account({**identity, **hook})] if props.migration_has_account else []
    return [*network_policy(objects, hook), *accounts, job]


def _command(props: SpiceDBProps) -> list[str]:
    """The command in the form that every release has. ``datastore migrate`` exists only since 1.30."""
    migration, phase = props.migration, props.migration.target_phase
    target = [migration.target] if migration.target_migration or not phase else []
    flag = flag_of(MigrationProps, "target_phase")
    return ["spicedb", "migrate", *target, *arguments({flag: phase.value if phase else None})]


def _arguments(props: SpiceDBProps) -> list[str]:
    migration, server = props.migration, props.server
    own = {flag: setting for flag, setting in settings_of(migration).items() if setting is not None}
    settings: dict[str, Setting] = {
        LOG_LEVEL: server.log_level,
        LOG_FORMAT: server.log_format,
        **own,
        RELEASE_CHECK: offline_settings(props).get(RELEASE_CHECK),
        TERMINATION_LOG: termination_log(props),
    }
    return [*arguments(settings), *migration.extra_args]
