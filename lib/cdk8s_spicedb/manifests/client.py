"""Jobs that are clients of the servers: one writes the schema, one tests that permissions can be checked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ..delivery import SCHEMA, TEST
from ..labels import Component
from ..props import SpiceDBProps
from ..props.flags import EnvVar, argument, container_env
from ..props.secrets import SecretFiles
from .metadata import Objects
from .network import network_policy
from .ports import GRPC, NUMBERS
from .template import Manifest, container, omit_empty, pod_template

if TYPE_CHECKING:
    from ..props.client import ClientProps, PermissionTest, SchemaProps

_SCHEMA_FOLDER, _SCHEMA_FILE = "/etc/spicedb/schema", "schema.zed"
_AT_ONCE = 4


def schema_manifests(props: SpiceDBProps, schema: SchemaProps) -> list[Manifest]:
    """The ConfigMap with the schema, and the Job that writes it."""
    objects, delivery = Objects(props, Component.SCHEMA), props.delivery
    volume = {"name": "schema", "configMap": {"name": objects.name}}
    # So that another schema is another Job, where Jobs are told apart by what they run.
    checksum = {"checksum/schema": hashlib.sha256(schema.text.encode()).hexdigest()}
    template = _template(
        props,
        Component.SCHEMA,
        schema,
        ["zed", "schema", "write", f"{_SCHEMA_FOLDER}/{_SCHEMA_FILE}"],
        mount={"name": "schema", "mountPath": _SCHEMA_FOLDER, "readOnly": True},
        volume=volume,
        annotations=checksum,
    )
    job = objects.make("Job", {"spec": _job(props, schema, template)}, annotations=delivery.annotations(SCHEMA))
    job["metadata"]["name"] = delivery.job_name(objects.name, job["spec"])
    return [
        objects.make("ConfigMap", {"data": {_SCHEMA_FILE: schema.text}}),
        *network_policy(props, objects, Component.SCHEMA),
        job,
    ]


def test_manifests(props: SpiceDBProps, test: PermissionTest) -> list[Manifest]:
    """The Job that `helm test` runs: pods that make one check each."""
    objects = Objects(props, Component.TEST)
    resource = f"{test.resource}:helm-test-$(JOB_COMPLETION_INDEX)"
    # Kubernetes gives the variable to the pods of an indexed Job, but expands it only where it is declared as well.
    index = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}
    template = _template(
        props,
        Component.TEST,
        test,
        ["zed", "permission", "check", resource, test.permission, f"{test.subject}:helm-test", "--consistency-full"],
        env=[{"name": "JOB_COMPLETION_INDEX", "valueFrom": index}],
    )
    indexed = {"completionMode": "Indexed", "completions": test.checks, "parallelism": _AT_ONCE}
    job = {**_job(props, test, template), **indexed, "backoffLimit": 0}
    annotations = props.delivery.annotations(TEST)
    return [
        *network_policy(props, objects, Component.TEST),
        objects.make("Job", {"spec": job}, annotations=annotations),
    ]


def _job(props: SpiceDBProps, client: ClientProps, template: Manifest) -> Manifest:
    waits = 0 if props.delivery.has_hooks or not props.migrates else props.migration.active_deadline_seconds
    return {
        "backoffLimit": 6,
        "activeDeadlineSeconds": client.active_deadline_seconds + waits,
        **omit_empty({"ttlSecondsAfterFinished": props.delivery.migration_ttl_seconds}),
        "template": template,
    }


def _template(
    props: SpiceDBProps,
    component: Component,
    client: ClientProps,
    command: list[str],
    *,
    env: list[Manifest] | None = None,
    mount: Manifest | None = None,
    volume: Manifest | None = None,
    annotations: dict[str, str] | None = None,
) -> Manifest:
    files = (SecretFiles("ca", "/etc/spicedb/ca", {"ca.crt": client.ca}),) if client.ca else ()
    program: dict[str, Any] = {
        "command": command,
        "args": _arguments(props, client, files),
        "env": [*(env or []), *container_env([EnvVar("ZED_TOKEN", props.preshared_key)])],
    }
    found = container("zed", client.image, client, files=files, **program)
    template = pod_template(
        props, component, client, [found], files=files, annotations=annotations, restartPolicy="Never"
    )
    if mount and volume:
        found["volumeMounts"] = [mount, *found.get("volumeMounts", [])]
        template["spec"]["volumes"] = [volume, *template["spec"].get("volumes", [])]
    return template


def _arguments(props: SpiceDBProps, client: ClientProps, files: tuple[SecretFiles, ...]) -> list[str]:
    tls = [argument("certificate-path", file.path("ca.crt")) for file in files]
    if client.hostname:
        tls.append(argument("hostname-override", client.hostname))
    return [
        argument("endpoint", f"{props.name}:{NUMBERS[GRPC]}"),
        *(tls if props.server.grpc_tls else ["--insecure"]),
        "--skip-version-check",
        argument("log-format", "json"),
    ]
