"""The servers: Deployment, Services, ServiceAccount, and the Role by which they find each other."""

from __future__ import annotations

from collections.abc import Iterable

from cdk8s import ApiObject, ApiObjectMetadata, JsonPatch
from constructs import Construct

from ..manifests import Manifest, cleanup_manifests, migration_manifests, server_manifests
from ..props import SpiceDBProps, require, require_cleanup, require_migration
from ..props.rules.warnings import phase_warning, target_warning, version_warning, warn


def require_once(scope: Construct, props: SpiceDBProps) -> None:
    """Checks props, unless ``scope`` is a construct of this package that has checked the same props."""
    if getattr(scope, "_checked", None) is not props:
        require(props)


def add(scope: Construct, manifests: Iterable[Manifest]) -> dict[str, ApiObject]:
    """Adds objects to a construct. Returns the first of each kind."""
    added: dict[str, ApiObject] = {}
    for manifest in manifests:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        found = _add(scope, (f"{kind}-{name}" if kind in added else kind).lower(), **manifest)
        added.setdefault(kind, found)
    return added


def _add(
    scope: Construct,
    id: str,
    apiVersion: str,  # noqa: N803
    kind: str,
    metadata: Manifest,
    **fields: object,
) -> ApiObject:
    added = ApiObject(scope, id, api_version=apiVersion, kind=kind, metadata=ApiObjectMetadata(**metadata))
    added.add_json_patch(*(JsonPatch.add(f"/{name}", value) for name, value in fields.items()))
    return added


class Server(Construct):
    """The servers of one SpiceDB.

    Raises `InvalidProps` before it adds anything.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        super().__init__(scope, id)
        warn(props, version_warning(props))
        added = add(self, server_manifests(props))
        self.service: ApiObject = added["Service"]
        """The Service, a cdk8s object. Patch it for settings that have no prop."""
        self.deployment: ApiObject = added["Deployment"]
        """The Deployment, a cdk8s object. Patch it for settings that have no prop."""


class Cleanup(Construct):
    """The clean-up of one SpiceDB. You can use it alone, with a `Migration`.

    Its ServiceAccount may only list Jobs and delete this release's migration. Raises `InvalidProps` before it adds
    anything, also if the clean-up or the migration is disabled, or the delivery has no hooks.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        require_cleanup(props)
        super().__init__(scope, id)
        self.job: ApiObject = add(self, cleanup_manifests(props))["Job"]
        """The Job, a cdk8s object. Patch it for settings that have no prop."""


class Migration(Construct):
    """The migration of one SpiceDB. You can use it alone, with servers that something else runs.

    Raises `InvalidProps` before it adds anything, also if the engine has no schema or the migration is disabled.
    """

    def __init__(self, scope: Construct, id: str, props: SpiceDBProps) -> None:
        require_once(scope, props)
        require_migration(props)
        super().__init__(scope, id)
        phase = props.migration.target_phase
        warn(props, target_warning(props), phase_warning(phase.value) if phase else None)
        self.job: ApiObject = add(self, migration_manifests(props))["Job"]
        """The Job, a cdk8s object. Patch it for settings that have no prop."""
