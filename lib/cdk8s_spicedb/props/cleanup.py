"""Settings of the clean-up."""

from __future__ import annotations

from attrs import frozen

from .pod import PodProps, Resources, default_resources
from .types import PinnedImage, Seconds


@frozen(kw_only=True)
class CleanupProps(PodProps):
    """The Job that deletes the finished migration Job when the new servers are up."""

    enabled: bool | None = None
    """Whether to delete a finished migration. Defaults to True. If False, the Job stays until the next release. With
    ``Delivery.KUBECTL``, it defaults to False, because Kubernetes deletes the Job itself
    (``MigrationProps.ttl_seconds_after_finished``)."""
    image: PinnedImage = "registry.k8s.io/kubectl:v1.34.4"
    """Image with ``kubectl`` on its path, by tag or digest. Defaults to the official image, which has no shell. Its
    kubectl may be one minor version older or newer than the cluster."""
    active_deadline_seconds: Seconds = 120
    """Time limit of the clean-up, in seconds (``activeDeadlineSeconds``). Defaults to 120, enough for one API call and
    the pull of an image."""
    resources: Resources = default_resources("10m", "32Mi", limits=("1", "128Mi"))
    """Resources of the clean-up. Defaults to requests of 10m CPU, 32Mi memory and 64Mi disk for logs, and limits of 1
    CPU, 128Mi memory and 1Gi disk. Helm waits for the clean-up, and kubectl is slow to start with less CPU."""
