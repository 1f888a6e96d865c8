"""The rights that you need to apply a release and to upgrade it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from ...delivery import Delivery
from ...manifests.manifest import Manifest
from ..cluster import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    EVENT,
    JOB,
    LEASE,
    POD,
    REPLICA_SET,
    SECRET,
    Cluster,
    Kind,
)
from ..finding import Finding
from ..parallel import parallel

_SUBJECT = "Rights"
_HOOKS = ("helm.sh/hook", "argocd.argoproj.io/hook")


@frozen
class Need:
    """Verbs that are needed for a kind of object, or for a part of it."""

    kind: Kind
    verbs: tuple[str, ...]
    subresource: str = ""


def needs(delivery: Delivery, manifests: Sequence[Manifest]) -> list[Need]:
    """The rights to apply a release, to watch it, and to upgrade it in steps. Each kind is there once."""
    verbs: dict[tuple[Kind, str], dict[str, None]] = {}
    for need in (*_to_apply(delivery, manifests), *_to_upgrade()):
        verbs.setdefault((need.kind, need.subresource), {}).update(dict.fromkeys(need.verbs))
    return [Need(kind, tuple(names), part) for (kind, part), names in verbs.items()]


def _to_apply(delivery: Delivery, manifests: Sequence[Manifest]) -> Iterator[Need]:
    # Argo CD applies the objects by its own rights.
    applies = delivery is not Delivery.ARGOCD
    for manifest in manifests:
        kind = Kind.of(manifest)
        yield Need(kind, ("get", "list", "create", "patch") if applies else ("get", "list"))
        is_hook = any(name in manifest["metadata"].get("annotations", {}) for name in _HOOKS)
        if applies and (is_hook or kind == JOB):
            yield Need(kind, ("delete",))
        if delivery is Delivery.HELM:
            yield Need(kind, ("watch",))  # Helm 4 waits for all objects in this way, and Helm 3 for hooks.
    if delivery is Delivery.HELM:
        yield Need(REPLICA_SET, ("watch",))
        yield Need(POD, ("watch",))
        yield Need(SECRET, ("get", "list", "create", "update", "delete"))  # Helm keeps its releases in Secrets.


def _to_upgrade() -> Iterator[Need]:
    yield Need(DEPLOYMENT, ("get", "list"))
    yield Need(REPLICA_SET, ("get", "list"))  # Helm and kubectl find the new servers by it.
    yield Need(POD, ("get", "list"))
    yield Need(POD, ("get",), "log")
    yield Need(EVENT, ("list",))
    yield Need(ENDPOINT_SLICE, ("list",))
    yield Need(LEASE, ("get", "create", "update", "patch", "delete"))
    yield Need(CONFIG_MAP, ("get", "create", "update", "patch", "delete"))


def right_findings(cluster: Cluster, delivery: Delivery, manifests: Sequence[Manifest]) -> Iterator[Finding]:
    """One finding for each kind of object without a right, or one that all rights are there."""
    wanted = [need for need in needs(delivery, manifests) if cluster.has(need.kind)]
    metrics = Need(POD, ("get",), "proxy")
    pairs = [(need, verb) for need in (*wanted, metrics) for verb in need.verbs]
    allowed = parallel(lambda pair: cluster.may(pair[1], pair[0].kind, subresource=pair[0].subresource), pairs)
    refused: dict[Need, list[str]] = {}
    for (need, verb), is_allowed in zip(pairs, allowed, strict=True):
        if not is_allowed:
            refused.setdefault(need, []).append(verb)
    no_metrics = refused.pop(metrics, None)
    for need, verbs in refused.items():
        text = f"you have no right to {', '.join(verbs)} {_resource(cluster, need)}"
        yield Finding.failure(_SUBJECT, text, f"add to your Role: {_rule(cluster, need, verbs)}")
    if not refused:
        yield Finding.ok(_SUBJECT, f"you have all {len(pairs) - 1} rights that the release and its upgrades need")
    if no_metrics:
        text = "you have no right to get pods/proxy, so an upgrade cannot watch the metrics of the servers"
        yield Finding.warning(_SUBJECT, text, f"add to your Role: {_rule(cluster, metrics, no_metrics)}")


def _resource(cluster: Cluster, need: Need) -> str:
    name = _part(cluster, need)
    return f"{name}.{need.kind.group}" if need.kind.group and not need.subresource else name


def _rule(cluster: Cluster, need: Need, verbs: Sequence[str]) -> str:
    """A rule of a Role, as YAML."""
    listed = ", ".join(f'"{verb}"' for verb in verbs)
    return f'{{apiGroups: ["{need.kind.group}"], resources: ["{_part(cluster, need)}"], verbs: [{listed}]}}'


def _part(cluster: Cluster, need: Need) -> str:
    plural = cluster.resource(need.kind).plural
    return f"{plural}/{need.subresource}" if need.subresource else plural
