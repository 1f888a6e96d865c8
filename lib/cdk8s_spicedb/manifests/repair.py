"""The Job that repairs a database into which a dump was restored. It is not part of a release."""

from __future__ import annotations

import secrets

from attrs import evolve

from ..delivery import Delivery
from ..errors import SpiceDBError
from ..labels import OWN
from ..props import SpiceDBProps
from ..props.flags import TERMINATION_LOG, Setting, arguments
from ..props.server import LOG_FORMAT, LOG_LEVEL
from ..versions import is_version, version_order
from .jobs import migration_manifests
from .objects import Manifest
from .pods import RELEASE_CHECK, offline_settings, termination_log

_OLDEST = "v1.28.0"
"""The first release of SpiceDB that can repair."""
_SECONDS = 6 * 60 * 60
"""Time limit of the repair, in seconds. It needs some seconds for each million of ids, and can begin again."""


def repair_job(props: SpiceDBProps) -> Manifest:
    """A Job that repairs the transaction ids of a PostgreSQL into which a dump was restored, for `kubectl create`.

    Its pod is the migration's with another command: the same image, connection, ServiceAccount and security settings,
    and the same labels, so that network policies treat it in the same way. Raises `SpiceDBError` if the datastore needs
    no repair, or if SpiceDB cannot repair it.
    """
    operation = _operation(props)
    # Without hooks, Kubernetes deletes it some time after its end.
    manifests = migration_manifests(evolve(props, delivery=Delivery.KUBECTL))
    (job,) = (manifest for manifest in manifests if manifest["kind"] == "Job")
    template = job["spec"]["template"]
    container, *others = template["spec"]["containers"]
    repairs = {
        **container,
        "name": "repair",
        "command": ["spicedb", "datastore", "repair", operation],
        "args": arguments(_settings(props)),
    }
    spec = {**template["spec"], "restartPolicy": "Never", "containers": [repairs, *others]}
    name = f"{props.name}-repair-{secrets.token_hex(3)}"
    # The labels of the migration would make it one.
    job["metadata"] = {"name": name, "labels": {**props.labels, **OWN}}
    job["spec"] = {**job["spec"], "activeDeadlineSeconds": _SECONDS, "template": {**template, "spec": spec}}
    return job


def _operation(props: SpiceDBProps) -> str:
    datastore = props.datastore
    if datastore.repair is None:
        raise SpiceDBError(f"with the engine {datastore.engine}, a restored database needs no repair")
    if is_version(props.version) and version_order(props.version) < version_order(_OLDEST):
        raise SpiceDBError(f"SpiceDB {props.version} cannot repair a database: set version to {_OLDEST} or later")
    if getattr(datastore, "credentials_provider", None) and props.migration.datastore_uri is None:
        raise SpiceDBError(
            "SpiceDB's repair does not get its password from AWS: set migration.datastoreUri to a Secret and key with "
            "a URI that has a password"
        )
    return datastore.repair


def _settings(props: SpiceDBProps) -> dict[str, Setting]:
    return {
        LOG_LEVEL: props.migration.log_level or props.server.log_level,
        LOG_FORMAT: props.server.log_format,
        RELEASE_CHECK: offline_settings(props).get(RELEASE_CHECK),
        TERMINATION_LOG: termination_log(props),
    }
