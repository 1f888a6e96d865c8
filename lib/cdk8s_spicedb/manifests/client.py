"""Jobs that connect to the servers: one writes the schema, one tests permission checks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..delivery import SCHEMA, TEST, Hook
from ..labels import Component
from ..props import SpiceDBProps
from ..props.client import ClientProps, PermissionTest, SchemaProps
from ..props.flags import EnvVar, argument, container_env
from ..props.secrets import SecretFiles
from .manifest import Manifest
from .metadata import Objects
from .network import network_policy
from .ports import GRPC, NUMBERS
from .template import pod_template

_SCHEMA_FOLDER, _SCHEMA_FILE = "/etc/spicedb/schema", "schema.zed"
_PARALLEL_CHECKS = 4


def schema_manifests(props: SpiceDBProps, schema: SchemaProps) -> list[Manifest]:
    """The ConfigMap with the schema, and the Job that writes it."""
    objects = Objects(props, Component.SCHEMA)
    job = _job(
        objects,
        schema,
        SCHEMA,
        ["zed", "schema", "write", f"{_SCHEMA_FOLDER}/{_SCHEMA_FILE}"],
        mounts=[{"name": "schema", "mountPath": _SCHEMA_FOLDER, "readOnly": True}],
        volumes=[{"name": "schema", "configMap": {"name": objects.name}}],
        # Without hooks, a hash of its spec names the Job: another schema must make another Job.
        annotations={"checksum/schema": hashlib.sha256(schema.text.encode()).hexdigest()},
        retries=6,
    )
    return [objects.make("v1", "ConfigMap", data={_SCHEMA_FILE: schema.text}), *network_policy(objects), job]


def schema_read_manifests(props: SpiceDBProps, client: ClientProps) -> list[Manifest]:
    """A Job that prints the schema to its log. It is not part of a release."""
    objects = Objects(props, Component.SCHEMA)
    job = _job(objects, client, SCHEMA, ["zed", "schema", "read"], retries=2)
    return [*network_policy(objects), job]


def test_manifests(props: SpiceDBProps, test: PermissionTest) -> list[Manifest]:
    """The Job that ``helm test`` runs. Each of its pods makes one check."""
    objects = Objects(props, Component.TEST)
    resource = f"{test.resource}:helm-test-$(JOB_COMPLETION_INDEX)"
    # Pods of an indexed Job have this variable, but Kubernetes expands it in arguments only if it is declared as well.
    index = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}
    job = _job(
        objects,
        test,
        TEST,
        ["zed", "permission", "check", resource, test.permission, f"{test.subject}:helm-test", "--consistency-full"],
        env=[{"name": "JOB_COMPLETION_INDEX", "valueFrom": index}],
        retries=0,
        completionMode="Indexed",
        completions=test.checks,
        parallelism=_PARALLEL_CHECKS,
    )
    return [*network_policy(objects), job]


def _job(
    objects: Objects,
    client: ClientProps,
    hook: Hook,
    command: list[str],
    *,
    retries: int,
    env: Sequence[Manifest] = (),
    mounts: Sequence[Manifest] = (),
    volumes: Sequence[Manifest] = (),
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Manifest:
    """A Job that runs ``zed`` with the preshared key. ``spec`` are more fields of the Job's spec."""
    props = objects.props
    ca = [SecretFiles("ca", "/etc/spicedb/ca", {"ca.crt": client.ca})] if client.ca else []
    container = {
        "name": "zed",
        "image": client.image,
        "command": command,
        "args": _arguments(props, client, ca),
        "env": [*env, *container_env([EnvVar("ZED_TOKEN", props.preshared_key)])],
        "volumeMounts": mounts,
    }
    template = pod_template(
        objects, client, container, files=ca, annotations=annotations, volumes=volumes, restartPolicy="Never"
    )
    # Without hooks, the Job starts together with the migration, so its time limit includes the migration's.
    waits = 0 if props.delivery.has_hooks or not props.migrates else props.migration.active_deadline_seconds
    deadline = client.active_deadline_seconds + waits
    return objects.job(hook, template, retries, deadline, ttl=props.delivery.migration_ttl_seconds, **spec)


def _arguments(props: SpiceDBProps, client: ClientProps, ca: list[SecretFiles]) -> list[str]:
    tls = [argument("certificate-path", folder.path("ca.crt")) for folder in ca]
    if client.hostname:
        tls.append(argument("hostname-override", client.hostname))
    return [
        argument("endpoint", f"{props.name}:{NUMBERS[GRPC]}"),
        *(tls if props.server.grpc_tls else ["--insecure"]),
        "--skip-version-check",
        argument("log-format", "json"),
    ]
