"""The clean-up."""

from __future__ import annotations

from attrs import field, frozen

from ..checks import flag, optional, whole_number
from .image import image_check
from .pod import RESOURCES, PodProps, Resources, default_resources


@frozen(kw_only=True)
class CleanupProps(PodProps):
    """The Job that removes the finished migration Job once the release is up."""

    enabled: bool | None = field(default=None, metadata=optional(flag()))
    """Whether a finished migration is removed. Default: yes; without it the Job stays until the next release. No with
    ``Delivery.KUBECTL``, where Kubernetes removes it (``MigrationProps.ttl_seconds_after_finished``)."""
    image: str = field(default="registry.k8s.io/kubectl:v1.34.4", metadata=image_check(complete=True))
    """An image with ``kubectl`` on its path, by tag or digest. Default: the official one, which has no shell; one minor
    version off the cluster's is fine."""
    active_deadline_seconds: int = field(default=120, metadata=whole_number(1, 86400, unit="seconds"))
    """When Kubernetes ends the clean-up, in seconds (``activeDeadlineSeconds``). Default: 120, for one call of the API
    and the pull of an image."""
    resources: Resources = field(
        default=default_resources("10m", "32Mi", most=("1", "128Mi")),
        metadata=RESOURCES,
    )
    """What the clean-up asks for and may use. Default: 10m CPU and 32Mi memory, at most 1 CPU, because Helm waits for
    it and kubectl is slow to start with less, and 128Mi, and 64Mi to 1Gi of the node's disk, for logs."""
