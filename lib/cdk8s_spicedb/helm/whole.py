"""The manifests from which templates are made.

They have everything that values can switch on. What values can change in many places has a name of `names` there.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs

from ..labels import COMPONENT, Component
from ..manifests import Manifest
from ..manifests.metadata import Objects
from ..manifests.patch import require_matches
from ..manifests.release import objects_of
from ..props import MigrationProps, ServerProps, SpiceDBProps
from ..props.patch import Patch
from .names import ACCOUNT, FULLNAME, IDENTITY


def whole_manifests(props: SpiceDBProps) -> dict[Component, list[Manifest]]:
    """The manifests of each component."""
    whole = attrs.evolve(
        props,
        name=FULLNAME,
        hook_logs=True,
        server=_server(props),
        migration=_migration(props) if props.datastore.migrates else props.migration,
        cleanup=attrs.evolve(props.cleanup, enabled=None),
        service_account_annotations={IDENTITY: ""},
        patches=[_patch(patch, props.name) for patch in props.patches],
    )
    account = Objects(whole, Component.SERVER).service_account(whole.service_account_annotations)
    manifests, found = [account, *objects_of(whole)], dict[Component, list[Manifest]]()
    require_matches(props, [_named(manifest, props.name) for manifest in manifests])
    for manifest in manifests:
        found.setdefault(Component(manifest["metadata"]["labels"][COMPONENT]), []).append(manifest)
    return found


def _named(manifest: Manifest, name: str) -> Manifest:
    """The kind and the name of an object, as users know them."""
    return {"kind": manifest["kind"], "metadata": {"name": manifest["metadata"]["name"].replace(FULLNAME, name)}}


def _server(props: SpiceDBProps) -> ServerProps:
    server = attrs.evolve(
        props.server,
        service_account=ACCOUNT,
        disruption_budget=props.server.disruption_budget or 1,
        schema_mode=_if_taken(props, "experimental-schema-mode", "read-legacy-write-legacy"),
        datastore_migration_phase=_if_taken(props, "datastore-migration-phase", "phase"),
        allowed_migrations=_if_taken(props, "datastore-allowed-migrations", ("revision",)),
    )
    if props.datastore.max_replicas == 1:
        return server
    autoscaling = server.autoscaling
    if autoscaling is None:
        return attrs.evolve(server, replicas=2)
    return attrs.evolve(server, autoscaling=attrs.evolve(autoscaling, min_replicas=2, max_replicas=3))


def _migration(props: SpiceDBProps) -> MigrationProps:
    return attrs.evolve(
        props.migration,
        enabled=True,
        migration_timeout=_if_taken(props, "migration-timeout", timedelta(seconds=1)),
        backfill_batch_size=_if_taken(props, "migration-backfill-batch-size", 1),
    )


def _if_taken(props: SpiceDBProps, flag: str, value: Any) -> Any:
    """A value for a flag, if the datastore migrates and the release has the flag."""
    return value if props.datastore.migrates and props.releases.takes(flag, props.version) else None


def _patch(patch: Patch, name: str) -> Patch:
    """A patch for the object whose name begins with the one that stands for an expression."""
    if patch.name is None or not (patch.name == name or patch.name.startswith(f"{name}-")):
        return patch
    return attrs.evolve(patch, name=f"{FULLNAME}{patch.name.removeprefix(name)}")
