"""Renders props as Kubernetes objects: plain values, without cdk8s."""

from .cleanup import cleanup_manifests as cleanup_manifests
from .client import schema_manifests as schema_manifests
from .client import test_manifests as test_manifests
from .manifest import Manifest as Manifest
from .migration import migration_manifests as migration_manifests
from .release import release_manifests as release_manifests
from .server import server_manifests as server_manifests
