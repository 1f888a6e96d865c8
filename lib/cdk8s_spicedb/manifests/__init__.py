"""What is rendered of props: Kubernetes objects as plain values, free of cdk8s."""

from .cleanup import cleanup_manifests
from .client import schema_manifests, test_manifests
from .migration import migration_manifests
from .release import release_manifests
from .server import server_manifests
from .template import Manifest

__all__ = [
    "Manifest",
    "cleanup_manifests",
    "migration_manifests",
    "release_manifests",
    "schema_manifests",
    "server_manifests",
    "test_manifests",
]
