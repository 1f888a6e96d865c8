"""Renders props as Kubernetes objects: plain values, without cdk8s."""

from __future__ import annotations

from ..props import SpiceDBProps
from .backup import backup_manifests as backup_manifests
from .jobs import cleanup_manifests as cleanup_manifests
from .jobs import migration_manifests as migration_manifests
from .jobs import schema_manifests as schema_manifests
from .jobs import test_manifests as test_manifests
from .objects import Manifest as Manifest
from .patches import require_matches
from .server import server_manifests as server_manifests


def release_manifests(props: SpiceDBProps) -> list[Manifest]:
    """The objects of one SpiceDB in the order of their use: migration, servers, schema, clean-up, backup, test.

    Raises `InvalidProps` if a patch matches none of them, or does not fit.
    """
    manifests = objects_of(props)
    require_matches(props, manifests)
    return manifests


def objects_of(props: SpiceDBProps) -> list[Manifest]:
    """The objects of one SpiceDB, also if a patch matches none of them."""
    return [
        *(migration_manifests(props) if props.migrates else []),
        *server_manifests(props),
        *(schema_manifests(props, props.schema) if props.schema else []),
        *(cleanup_manifests(props) if props.cleans_up else []),
        *(backup_manifests(props, props.backup) if props.backup else []),
        *(test_manifests(props, props.test) if props.test else []),
    ]
