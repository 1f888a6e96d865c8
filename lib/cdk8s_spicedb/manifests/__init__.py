"""Renders props as Kubernetes objects: plain values, without cdk8s."""

from .jobs import cleanup_manifests as cleanup_manifests
from .jobs import migration_manifests as migration_manifests
from .jobs import schema_manifests as schema_manifests
from .jobs import test_manifests as test_manifests
from .objects import Manifest as Manifest
from .release import release_manifests as release_manifests
from .server import server_manifests as server_manifests
