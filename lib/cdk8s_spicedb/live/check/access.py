"""The rights that you need to apply a release and to upgrade it, and the Secrets that it reads."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import suppress

from attrs import frozen

from ...delivery import Delivery
from ...manifests.objects import Manifest
from ...props import SpiceDBProps, secret_keys
from ...props.secrets import SecretKey
from ..apierror import Forbidden
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
    items_of,
)
from ..poll import parallel
from ..released import is_hook
from .admission import pod_templates
from .finding import Finding

_SUBJECT = "Rights"


@frozen
class Need:
    """Verbs that are needed for a kind of object, or for a part of it."""

    kind: Kind
    verbs: tuple[str, ...]
    subresource: str = ""


def needs(delivery: Delivery, manifests: Sequence[Manifest]) -> list[Need]:
    """The rights to apply a release, to watch it, and to upgrade it in steps. Each kind is there once."""
    verbs: dict[tuple[Kind, str], dict[str, None]] = {}

    def need(kind: Kind, *names: str, subresource: str = "") -> None:
        verbs.setdefault((kind, subresource), {}).update(dict.fromkeys(names))

    applies = delivery.uses_your_rights  # Argo CD applies the objects by its own.
    for manifest in manifests:
        kind = Kind.of(manifest)
        need(kind, "get", "list", *(("create", "patch") if applies else ()))
        if applies and (is_hook(manifest) or kind == JOB):
            need(kind, "delete")
        if delivery.is_chart:
            need(kind, "watch")  # Helm 4 waits for all objects in this way, and Helm 3 for hooks.
    if delivery.is_chart:
        need(REPLICA_SET, "watch")
        need(POD, "watch")
        need(SECRET, "get", "list", "create", "update", "delete")  # Helm keeps its releases in Secrets.
    # To upgrade. Helm and kubectl find the new servers by their ReplicaSet.
    for kind in (DEPLOYMENT, REPLICA_SET, POD):
        need(kind, "get", "list")
    need(POD, "get", subresource="log")
    need(EVENT, "list")
    need(ENDPOINT_SLICE, "list")
    for kind in (LEASE, CONFIG_MAP):
        need(kind, "get", "create", "update", "patch", "delete")
    return [Need(kind, tuple(names), part) for (kind, part), names in verbs.items()]


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
        group = f".{need.kind.group}" if need.kind.group and not need.subresource else ""
        text = f"you have no right to {', '.join(verbs)} {_resource(cluster, need)}{group}"
        yield Finding.failure(_SUBJECT, text, f"add to your Role: {_rule(cluster, need, verbs)}")
    if not refused:
        yield Finding.ok(_SUBJECT, f"you have all {len(pairs) - 1} rights that the release and its upgrades need")
    if no_metrics:
        text = "you have no right to get pods/proxy, so an upgrade cannot watch the metrics of the servers"
        yield Finding.warning(_SUBJECT, text, f"add to your Role: {_rule(cluster, metrics, no_metrics)}")


def _rule(cluster: Cluster, need: Need, verbs: Sequence[str]) -> str:
    listed = ", ".join(f'"{verb}"' for verb in verbs)
    return f'{{apiGroups: ["{need.kind.group}"], resources: ["{_resource(cluster, need)}"], verbs: [{listed}]}}'


def _resource(cluster: Cluster, need: Need) -> str:
    plural = cluster.resource(need.kind).plural
    return f"{plural}/{need.subresource}" if need.subresource else plural


_RIGHT = 'to enable this check, add to your Role: {apiGroups: [""], resources: ["secrets"], verbs: ["get"]}'


def secret_findings(cluster: Cluster, props: SpiceDBProps, manifests: Sequence[Manifest]) -> Iterator[Finding]:
    """One finding for each Secret, and more for keys that are missing."""
    keys: dict[str, list[str]] = {}
    for key in secret_keys(props):
        keys.setdefault(str(key.name), []).append(key.key)
    # Other keys become files, which may end in a line break.
    in_variables = {
        SecretKey(reference["name"], reference["key"])
        for template in pod_templates(manifests)
        for container in template.containers
        for variable in items_of(container, "env")
        if (reference := variable.get("valueFrom", {}).get("secretKeyRef"))
    }
    for found in parallel(lambda item: _secret(cluster, *item, in_variables), keys.items()):
        yield from found
    yield from parallel(lambda name: _pull_secret(cluster, name), props.image_pull_secrets)
    ingress = props.server.ingress
    if ingress and ingress.tls_secret:
        subject, fix = f"Secret {ingress.tls_secret}", "create it, unless a program such as cert-manager does"
        with suppress(Forbidden):
            if cluster.get(SECRET, ingress.tls_secret):
                yield Finding.ok(subject, "exists, for the certificate of the Ingress")
            else:
                yield Finding.warning(subject, "does not exist; the Ingress needs it for its certificate", fix)


def _secret(cluster: Cluster, name: str, keys: Sequence[str], in_variables: set[SecretKey]) -> list[Finding]:
    subject, listed = f"Secret {name}", ", ".join(keys)
    try:
        secret = cluster.get(SECRET, name)
    except Forbidden:
        return [Finding.warning(subject, f"not checked for the keys {listed}: you have no right to get it", _RIGHT)]
    if secret is None:
        literals = " ".join(f"--from-literal={key}=VALUE" for key in keys)
        fix = f"create it: kubectl create secret generic {name} {cluster.options()} {literals}"
        return [Finding.failure(subject, f"does not exist; the release reads its keys {listed}", fix)]
    data, problems = secret.get("data") or {}, []
    fix = f"set it with `kubectl edit secret {name} {cluster.options()}`, base64-encoded"
    for key in keys:
        value = base64.b64decode(data.get(key) or "")
        if key not in data:
            text = f"has no key {key}; it has {', '.join(sorted(data)) or 'none'}"
            problems.append(Finding.failure(subject, text, f"{fix}, or name another key in the file"))
        elif not value:
            problems.append(Finding.failure(subject, f"has an empty value for {key}", fix))
        elif value.endswith(b"\n") and SecretKey(name, key) in in_variables:
            text = f"the value of {key} ends in a line break, which becomes part of it"
            without = "write the value without one: use `printf %s` or `echo -n`"
            problems.append(Finding.warning(subject, text, without))
    return problems or [Finding.ok(subject, f"has a value for {listed}")]


def _pull_secret(cluster: Cluster, name: str) -> Finding:
    subject = f"Secret {name}"
    try:
        secret = cluster.get(SECRET, name)
    except Forbidden:
        return Finding.warning(subject, "not checked: you have no right to get this image pull Secret", _RIGHT)
    create = (
        f"create it: kubectl create secret docker-registry {name} {cluster.options()} "
        "--docker-server=REGISTRY --docker-username=USER --docker-password=PASSWORD"
    )
    if secret is None:
        return Finding.failure(subject, "does not exist; the pods pull their images with it", create)
    if secret.get("type") not in ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"):
        return Finding.failure(subject, f"is no image pull Secret: its type is {secret.get('type')}", create)
    return Finding.ok(subject, "is an image pull Secret")
