"""The programs that apply the manifests: what they are called, what they can do, and all differences between them."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal

from attrs import frozen

from . import labels


class When(Enum):
    """The time at which a hook runs: ``BEFORE`` the release's own objects change, ``WITH`` them, ``AFTER`` they are
    ready, or in a ``TEST`` by Helm."""

    BEFORE = "before"
    WITH = "with"
    AFTER = "after"
    TEST = "test"


@frozen
class Hook:
    """An object that is applied before or after the release, and is not part of it."""

    when: When
    order: int = 0
    """Order of hooks that run at the same time. Each one waits for the one before."""
    delete_on_success: bool = True
    """Whether the hook is deleted when it succeeds. It is always deleted before the next one of its name is created."""
    logs: tuple[str, ...] = ()
    """Events at which Helm prints the log of the hook's pods. Other programs do not print it."""


MIGRATION_IDENTITY = Hook(When.BEFORE, order=-5)
"""ServiceAccount of the migration. The one of the release does not exist yet when the migration runs."""
MIGRATION = Hook(When.BEFORE, delete_on_success=False, logs=("hook-failed", "hook-succeeded"))
"""Kept, so that you can read its status and log. The clean-up deletes it after the release succeeds."""
MIGRATION_WITH_RELEASE = Hook(When.WITH, order=1, delete_on_success=False)
"""Runs after objects without an order, such as a database, and before the servers. See `Delivery.after_migration`."""
SCHEMA = Hook(When.AFTER, order=-5, logs=("hook-failed",))
"""Runs before the clean-up, so that a release that fails keeps its migration."""
CLEANUP = Hook(When.AFTER, logs=("hook-failed",))
VOLUME = Hook(When.WITH)
"""Mounts the volume of the backups. Helm and Argo CD wait until a volume exists, and many exist only when a pod mounts
them."""
TEST = Hook(When.TEST, logs=("hook-failed",))

_HELM = {When.BEFORE: "pre-install,pre-upgrade", When.AFTER: "post-install,post-upgrade", When.TEST: "test"}
_ARGOCD = {When.BEFORE: "PreSync", When.WITH: "Sync", When.AFTER: "PostSync"}
_DAY_SECONDS = 86_400
DEFAULT_PROGRESS_DEADLINE_SECONDS = 600
"""``progressDeadlineSeconds`` defaults to it in Kubernetes."""


DeliveryName = Literal["helm", "argocd", "kubectl"]
"""The values of `Delivery`, which users may write instead of its members."""


class Delivery(Enum):
    """The program that applies the manifests."""

    HELM = "helm"
    """Helm 3.18 or later, or Helm 4, also by Flux's helm-controller. The migration and the clean-up are Helm hooks."""
    ARGOCD = "argocd"
    """Argo CD. The migration is a PreSync hook, and the clean-up a PostSync hook."""
    KUBECTL = "kubectl"
    """``kubectl apply``, or Flux's kustomize-controller, which apply everything at once. New servers become ready when
    the migration is done, and old ones serve until then. The name of the migration contains a hash of what it runs, so
    it runs again only if that changes. Kubernetes deletes it later, so there is no clean-up."""

    def next_command(self, folder: str, name: str, timeout: str) -> str:
        """What to do with a written folder: the chart or the manifests of a release."""
        # A path that begins with - would be an option.
        folder = shlex.quote(f"./{folder}" if folder.startswith("-") else folder)
        if self is Delivery.HELM:
            return f"helm upgrade --install {name} {folder} --wait --timeout {timeout}"
        if self is Delivery.ARGOCD:
            return f"commit {folder} to the repository of an Argo CD Application"
        return f"kubectl apply --filename {folder}"

    @property
    def has_hooks(self) -> bool:
        """Whether objects can be applied before and after the release."""
        return self is not Delivery.KUBECTL

    def has(self, hook: Hook) -> bool:
        """Whether the object is a hook, for which the release waits before it goes on. A chart has none that run with
        the release: with ``--wait``, Helm waits for the servers first, and these wait for the migration."""
        return self is Delivery.ARGOCD or (self is Delivery.HELM and hook.when is not When.WITH)

    @property
    def is_chart(self) -> bool:
        """Whether the release is a Helm chart, which can have tests. Otherwise it is manifests."""
        return self is Delivery.HELM

    @property
    def uses_your_rights(self) -> bool:
        """Whether the objects are applied with the rights of the person who runs the program."""
        return self is not Delivery.ARGOCD

    @property
    def migration_ttl_seconds(self) -> int | None:
        """Time after which Kubernetes deletes a finished migration, if there is no clean-up."""
        return None if self.has_hooks else _DAY_SECONDS

    def annotations(self, hook: Hook) -> Mapping[str, str]:
        """The annotations that make an object a hook."""
        if not self.has(hook):
            return {}
        # A failed hook must not block the next release, so each hook is deleted before it is created again.
        if self is Delivery.ARGOCD:
            return {
                labels.ARGOCD_HOOK: _ARGOCD[hook.when],
                labels.ARGOCD_SYNC_WAVE: str(hook.order),
                labels.ARGOCD_HOOK_DELETE: "BeforeHookCreation" + (",HookSucceeded" if hook.delete_on_success else ""),
            }
        logs = {labels.HELM_HOOK_LOGS: ",".join(hook.logs)} if hook.logs else {}
        return {
            labels.HELM_HOOK: _HELM[hook.when],
            labels.HELM_HOOK_WEIGHT: str(hook.order),
            labels.HELM_HOOK_DELETE: "before-hook-creation" + (",hook-succeeded" if hook.delete_on_success else ""),
            **logs,
        }

    @property
    def job_annotations(self) -> Mapping[str, str]:
        """The annotations of every Job. Without hooks, a release with a new Job no longer has the one before, and Flux
        would delete that one, even if it runs."""
        return {} if self.has_hooks else {labels.FLUX_PRUNE: "disabled"}

    @property
    def kept(self) -> Mapping[str, str]:
        """The annotations of an object that stays when the release no longer has it, and when the release is deleted.

        Their meaning is documented by Helm (resource policies), Argo CD (sync options) and Flux's kustomize-controller
        (garbage collection). `kubectl delete` deletes the object anyway.
        """
        return {
            Delivery.HELM: {labels.HELM_KEEP: "keep"},
            Delivery.ARGOCD: {labels.ARGOCD_SYNC_OPTIONS: "Prune=false,Delete=false"},
            Delivery.KUBECTL: {labels.FLUX_PRUNE: "disabled"},
        }[self]

    @property
    def after_migration(self) -> Mapping[str, str]:
        """The annotations of an object that waits for a migration that runs with the release."""
        order = MIGRATION_WITH_RELEASE.order + 1
        return {labels.ARGOCD_SYNC_WAVE: str(order)} if self is Delivery.ARGOCD else {}

    def job_name(self, name: str, spec: Mapping[str, Any], hook: Hook) -> str:
        """The name of a Job. It changes with the spec unless it is a hook, because the spec of a Job is immutable."""
        if self.has(hook):
            return name
        # In a chart, Helm computes the same. It leaves letters as they are.
        text = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=self is not Delivery.HELM)
        # With seven digits, the suffix is no longer than -migration-cleanup, the longest of the others.
        return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:7]}"

    def progress_deadline_seconds(self, migration: Hook, migration_seconds: int) -> int | None:
        """Maximum time without progress of a roll-out. Servers also wait for a migration that is no hook."""
        return None if self.has(migration) else migration_seconds + DEFAULT_PROGRESS_DEADLINE_SECONDS


class Applier(Enum):
    """The program that applied a release."""

    HELM = "helm"
    ARGOCD = "argocd"
    FLUX = "flux"
    KUBECTL = "kubectl"
    """kubectl, or any other program that leaves no trace of its own."""
    OPERATOR = "operator"
    """The SpiceDB operator."""

    @property
    def title(self) -> str:
        """What it is called."""
        return _APPLIERS[self][0]

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """The deliveries that it applies. None for the operator, which makes its own objects."""
        return _APPLIERS[self][1]

    @property
    def applies_commits(self) -> bool:
        """Whether a commit changes the release. A command that changed it would be undone."""
        return self in (Applier.ARGOCD, Applier.FLUX)

    @property
    def keeps_history(self) -> bool:
        """Whether it keeps each revision of the release, in Secrets with the name that it knows the release by."""
        return self is Applier.HELM

    @property
    def field_manager(self) -> str | None:
        """The field manager of what it applies. None if that is not known."""
        return "helm" if self is Applier.HELM else None

    def of(self, name: str | None) -> str:
        """The program, and the name by which it knows the release."""
        return f"{_OBJECTS.get(self, self.title)} {name}" if name else self.title


_APPLIERS: Mapping[Applier, tuple[str, Sequence[Delivery]]] = {
    Applier.HELM: ("Helm", (Delivery.HELM,)),
    Applier.ARGOCD: ("Argo CD", (Delivery.ARGOCD,)),
    Applier.FLUX: ("Flux", (Delivery.HELM, Delivery.KUBECTL)),
    Applier.KUBECTL: ("kubectl", (Delivery.KUBECTL,)),
    Applier.OPERATOR: ("the SpiceDB operator", ()),
}
_OBJECTS = {Applier.HELM: "Helm release", Applier.OPERATOR: "the SpiceDB operator, SpiceDBCluster"}


@frozen
class Misfit:
    """Why the delivery of a file does not fit the program that applied the release."""

    text: str
    """What is wrong."""
    fix: str
    """What to do."""
    certain: bool = True
    """Whether it is wrong in any case. Argo CD can track objects so that it leaves no trace in them."""


def misfit(delivery: Delivery, applier: Applier) -> Misfit | None:
    """Why the delivery of a file does not fit the program that applied the release. None if it fits."""
    if delivery in applier.deliveries:
        return None
    text = f"the file has delivery: {delivery.value}, but the release was applied with {applier.title}"
    fix = f"set delivery: {' or '.join(each.value for each in applier.deliveries)} in the file"
    if not applier.deliveries:
        return Misfit(text, "move the release to this package first, as the documentation describes")
    if (delivery, applier) == (Delivery.ARGOCD, Applier.KUBECTL):
        return Misfit(text, f"go on if Argo CD tracks objects by label; otherwise {fix}", certain=False)
    return Misfit(text, fix)


_SIGNS = (
    (Applier.FLUX, "labels", labels.FLUX_HELM),
    (Applier.FLUX, "labels", labels.FLUX_KUSTOMIZE),
    (Applier.ARGOCD, "annotations", labels.ARGOCD_TRACKING),
    (Applier.HELM, "annotations", labels.HELM_RELEASE),
)
"""Labels and annotations of programs that apply objects. Each value begins with the program's name for the release."""


def applied_by(metadata: Mapping[str, Any]) -> tuple[Applier, str | None]:
    """The program that applied an object, by its metadata, and that program's name for what it applied."""
    owners = {owner["kind"]: owner["name"] for owner in metadata.get("ownerReferences", ())}
    cluster = owners.get("SpiceDBCluster") or metadata.get("labels", {}).get(labels.OPERATOR_CLUSTER)
    if cluster is not None:
        return Applier.OPERATOR, cluster
    for applier, part, key in _SIGNS:
        if key in metadata.get(part, {}):
            return applier, metadata[part][key].partition(":")[0]
    return Applier.KUBECTL, None
