"""Who applies the manifests, and how each is told what comes when: the only place that knows the differences."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from attrs import frozen


class When(Enum):
    """The moment of a hook: ``BEFORE`` the release's own objects change, ``AFTER`` they are up, or when somebody asks
    Helm for a ``TEST``."""

    BEFORE = "before"
    AFTER = "after"
    TEST = "test"


@frozen
class Hook:
    """An object that is applied at a moment of its own and is not part of the release."""

    when: When
    order: int = 0
    """The hooks of one moment are applied in this order, and each is waited for."""
    removed: bool = True
    """Whether it goes when it succeeded. Before the next of its name is made, each one goes."""
    logs: tuple[str, ...] = ()
    """When Helm prints the log of the hook's pods; nobody else does."""


MIGRATION_IDENTITY = Hook(When.BEFORE, order=-5)
"""The migration's own ServiceAccount: the release's does not exist yet when the migration runs."""
MIGRATION = Hook(When.BEFORE, removed=False, logs=("hook-failed", "hook-succeeded"))
"""Kept when it ends, so that its status and log can be read; the clean-up removes it once all went well."""
SCHEMA = Hook(When.AFTER, order=-5, logs=("hook-failed",))
"""Before the clean-up, so that nothing is removed where a release fails."""
CLEANUP = Hook(When.AFTER, logs=("hook-failed",))
TEST = Hook(When.TEST, logs=("hook-failed",))

_DAY = 86_400
_PATIENCE = 600
"""Kubernetes' own ``progressDeadlineSeconds``."""


class Delivery(Enum):
    """Who applies the manifests."""

    HELM = "helm"
    """Helm 3.18 or later, or Helm 4, also by Flux' helm-controller: the migration and the clean-up are Helm hooks."""
    ARGOCD = "argocd"
    """Argo CD: the migration is a PreSync hook and the clean-up a PostSync hook."""
    KUBECTL = "kubectl"
    """``kubectl apply``, or Flux' kustomize-controller: everything is applied at once. New servers turn ready when the
    migration is done, and old ones serve until then. The migration's name carries a hash of what it runs, so that
    applying again runs it only when that changes; Kubernetes removes it in the end, so there is no clean-up."""

    @property
    def has_hooks(self) -> bool:
        """Whether something can run before and after the release's own objects."""
        return self is not Delivery.KUBECTL

    @property
    def migration_ttl_seconds(self) -> int | None:
        """How long a migration that ended is kept where nobody removes it."""
        return None if self.has_hooks else _DAY

    def annotations(self, hook: Hook) -> Mapping[str, str]:
        """What makes an object a hook."""
        if self is Delivery.HELM:
            return _helm(hook)
        return _argocd(hook) if self is Delivery.ARGOCD else {}

    def job_name(self, name: str, spec: Mapping[str, Any]) -> str:
        """The name of a Job. What a Job runs can never be changed, and only hooks are replaced."""
        if self.has_hooks:
            return name
        text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
        # Seven digits as in Git, and no longer than the other suffixes.
        return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:7]}"

    def progress_deadline_seconds(self, migration_seconds: int) -> int | None:
        """How long a roll-out may stand still; with hooks it does not begin before the migration is done."""
        return None if self.has_hooks else migration_seconds + _PATIENCE


_HELM = {
    When.BEFORE: "pre-install,pre-upgrade",
    When.AFTER: "post-install,post-upgrade",
    When.TEST: "test",
}


def _helm(hook: Hook) -> dict[str, str]:
    annotations = {
        "helm.sh/hook": _HELM[hook.when],
        "helm.sh/hook-weight": str(hook.order),
        "helm.sh/hook-delete-policy": _policies("before-hook-creation", "hook-succeeded", hook),
    }
    return {**annotations, "helm.sh/hook-output-log-policy": ",".join(hook.logs)} if hook.logs else annotations


def _argocd(hook: Hook) -> dict[str, str]:
    return {
        "argocd.argoproj.io/hook": {When.BEFORE: "PreSync", When.AFTER: "PostSync"}[hook.when],
        "argocd.argoproj.io/sync-wave": str(hook.order),
        "argocd.argoproj.io/hook-delete-policy": _policies("BeforeHookCreation", "HookSucceeded", hook),
    }


def _policies(always: str, succeeded: str, hook: Hook) -> str:
    # Always, because a hook that failed must not block the next release.
    return f"{always},{succeeded}" if hook.removed else always
