"""Pods that run for a moment, in which a release of SpiceDB tries a schema or says something. They are not part of a
release."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence

from attrs import evolve

from ..labels import Component
from ..props import ServerProps, SpiceDBProps
from ..props.flags import ENGINE, PRESHARED_KEY, Setting, arguments
from ..props.pod import without_contents
from ..props.secrets import container_env, variable
from ..props.server import LOG_FORMAT, LOG_LEVEL
from .objects import Manifest, Objects
from .pods import RELEASE_CHECK, offline_settings, pod_template

TRIAL = "trial"
"""Name of the container that tries a schema."""
_FOLDER = "/etc/spicedb/schema"
_SECONDS = 120


def trial_manifest(props: SpiceDBProps, schema: str) -> Manifest:
    """A pod in which a server tries a schema in its own memory: it becomes ready, or it ends with the reason for which
    this release of SpiceDB rejects the schema. It is not part of a release, and gets no Secret."""
    props = evolve(props, pods=without_contents(props.pods))
    file, annotation = f"{_FOLDER}/schema.json", "cdk8s-spicedb/schema"
    settings: dict[str, Setting] = {
        ENGINE: "memory",
        "datastore-bootstrap-files": file,
        LOG_LEVEL: "error",
        LOG_FORMAT: "json",
        **offline_settings(evolve(props, server=ServerProps())),
    }
    container = {
        "name": TRIAL,
        "image": props.full_image,
        "command": ["spicedb", "serve"],
        "args": arguments(settings),
        # A server needs a key. Nobody uses this one.
        "env": container_env([variable(PRESHARED_KEY, secrets.token_hex(16))]),
        "readinessProbe": {"grpc": {"port": ServerProps().grpc_port}, "periodSeconds": 1, "timeoutSeconds": 2},
        "volumeMounts": [{"name": "schema", "mountPath": _FOLDER, "readOnly": True}],
    }
    item = {"path": "schema.json", "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}
    template = pod_template(
        Objects(props, Component.SCHEMA),
        without_contents(props.migration),
        container,
        annotations={annotation: _bootstrap(schema)},
        volumes=[{"name": "schema", "downwardAPI": {"items": [item]}}],
        restartPolicy="Never",
    )
    return lone_pod(template, f"{props.name}-schema")


def program_manifest(props: SpiceDBProps, words: Sequence[str]) -> Manifest:
    """A pod in which the program of the release runs with these words, and ends. It gets no Secret and no datastore."""
    props = evolve(props, pods=without_contents(props.pods))
    container = {
        "name": TRIAL,
        "image": props.full_image,
        "command": [*words],
        "env": container_env([variable(RELEASE_CHECK, "true")]),
    }
    objects = Objects(props, Component.SCHEMA)
    template = pod_template(objects, without_contents(props.migration), container, restartPolicy="Never")
    return lone_pod(template, f"{props.name}-program")


def _bootstrap(schema: str) -> str:
    """A YAML file from which SpiceDB loads a schema. JSON is YAML, apart from control characters and line breaks."""
    text = json.dumps({"schema": schema}, ensure_ascii=False)
    return re.sub("[\x7f-\x9f\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def lone_pod(template: Manifest, name: str, seconds: int = _SECONDS) -> Manifest:
    """A pod of a template that runs at most for so many seconds, with a name of its own that begins with ``name``."""
    metadata = {**template["metadata"], "name": f"{name}-{secrets.token_hex(3)}"}
    # If the process that waits for it is killed, it ends by itself.
    spec = {**template["spec"], "activeDeadlineSeconds": seconds, "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
