"""When each object of a release is applied. The only place that knows how a way of delivery says so."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from attrs import frozen


class Delivery(Enum):
    """Who applies the manifests."""

    HELM = "helm"
    """Helm 3.18 or later, or Helm 4: the migration and the clean-up are Helm hooks."""


@frozen
class Hook:
    """An object that is applied at a moment of its own and is not part of the release."""

    moments: tuple[str, ...]
    weight: int
    """Helm applies the hooks of one moment in the order of their weights, and waits for each."""
    delete: tuple[str, ...]
    log: tuple[str, ...] = ()
    """When Helm prints the log of the hook's pods."""


_BEFORE = ("pre-install", "pre-upgrade")
_AFTER = ("post-install", "post-upgrade")
_LOG = ("hook-failed", "hook-succeeded")

MIGRATION_IDENTITY = Hook(_BEFORE, -5, ("before-hook-creation", "hook-succeeded"))
"""The migration's own ServiceAccount: the release's does not exist yet when the migration runs."""
MIGRATION = Hook(_BEFORE, 0, ("before-hook-creation",), _LOG)
"""Kept when it ends, so that its status and log can be read; the clean-up removes it once all went well."""
CLEANUP = Hook(_AFTER, 0, ("before-hook-creation", "hook-succeeded"), ("hook-failed",))
"""before-hook-creation too: a clean-up that failed must not block the next upgrade."""


def hook_annotations(delivery: Delivery, hook: Hook) -> Mapping[str, str]:
    """What makes an object a hook for ``delivery``."""
    assert delivery is Delivery.HELM
    annotations = {
        "helm.sh/hook": ",".join(hook.moments),
        "helm.sh/hook-weight": str(hook.weight),
        "helm.sh/hook-delete-policy": ",".join(hook.delete),
    }
    if hook.log:
        annotations["helm.sh/hook-output-log-policy"] = ",".join(hook.log)
    return annotations
