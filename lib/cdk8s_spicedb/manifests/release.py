"""Everything of one SpiceDB."""

from __future__ import annotations

from ..props import SpiceDBProps
from .cleanup import cleanup_manifests
from .migration import migration_manifests
from .server import server_manifests
from .template import Manifest


def release_manifests(props: SpiceDBProps) -> list[Manifest]:
    """The objects of one SpiceDB in the order in which they are of use: the migration, the servers, the clean-up."""
    migration = migration_manifests(props) if props.migrates else []
    return [*migration, *server_manifests(props), *(cleanup_manifests(props) if props.cleans_up else [])]
