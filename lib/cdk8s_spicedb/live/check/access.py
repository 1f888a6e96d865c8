"""The rights that you need to apply a release and to upgrade it, and the Secrets that it reads."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from attrs import frozen

from ...labels import Component, object_name
from ...manifests.objects import Manifest
from ...props import SpiceDBProps, needed_config_maps, secret_keys
from ...props.secrets import ConfigMapKey, SecretKey
from ..apierror import Forbidden
from ..cluster import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
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
from ..record import record_name
from ..released import is_hook
from .admission import pod_templates
from .finding import Finding

_SUBJECT = "Rights"


_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
_NAMED = ("get", "update", "patch", "delete")
"""Verbs that a rule can limit to objects by their names."""
_CLAIM = Kind("v1", "PersistentVolumeClaim")
_NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy")


@frozen
class Need:
    """Verbs that are needed for a kind of object, or for a part of it: a rule of a Role."""

    kind: Kind
    verbs: tuple[str, ...]
    subresource: str = ""
    names: tuple[str, ...] = ()
    """Names of the objects. Empty: all of the kind."""


def needs(props: SpiceDBProps, manifests: Sequence[Manifest], *, rewrites_schema: bool = False) -> list[Need]:
    """The rights to apply a release, to upgrade it in steps, and to roll it back.

    ``rewrites_schema`` is whether the SpiceDB schema is written again. Rights that Helm uses to delete what a later
    release no longer has are not among them.
    """
    found: dict[tuple[Kind, str, str], set[str]] = {}

    def need(kind: Kind, *verbs: str, subresource: str = "", name: str = "") -> None:
        for verb in verbs:
            # Jobs get other names with each spec, and in dry runs.
            of = name if verb in _NAMED and kind != JOB else ""
            found.setdefault((kind, subresource, of), set()).add(verb)

    delivery, schema = props.delivery, object_name(props.name, Component.SCHEMA)
    need(DEPLOYMENT, "get", name=props.name)
    for kind in (JOB, POD, REPLICA_SET, ENDPOINT_SLICE):
        need(kind, "list")
    need(POD, "get", subresource="log")
    # The lock and the record have one name.
    need(LEASE, "get", "create", "update", "delete", name=record_name(props.name))
    need(CONFIG_MAP, "get", "create", "update", name=record_name(props.name))
    if props.upgrade_backup and props.upgrade_backup.manifest is not None:
        need(Kind.of(props.upgrade_backup.manifest), "get", "create")
    if rewrites_schema:
        need(JOB, "get", "create", "patch", "delete")
        need(CONFIG_MAP, "create", "patch", "delete", name=f"{schema}-again")
        if props.network_policies:
            need(_NETWORK_POLICY, "create", "patch", name=schema)
    for manifest in manifests if delivery.uses_your_rights else ():
        kind, name = Kind.of(manifest), manifest["metadata"]["name"]
        need(kind, "get", "create", "patch", name=name)
        if is_hook(manifest) or kind == JOB:
            need(kind, "delete", name=name)
        if delivery.is_chart:
            need(kind, "list", "watch")  # Helm 4 waits for all objects in this way, and Helm 3 for hooks.
    if delivery.is_chart:
        need(REPLICA_SET, "watch")
        need(POD, "watch")
        need(SECRET, "get", "list", "create", "update", "delete")  # Helm keeps its releases in Secrets.
    elif delivery.uses_your_rights:
        need(DEPLOYMENT, "list", "watch")  # `kubectl rollout status` waits in this way.
    rules: dict[tuple[Kind, str, tuple[str, ...]], list[str]] = {}
    for (kind, part, name), verbs in found.items():
        rules.setdefault((kind, part, tuple(sorted(verbs, key=_VERBS.index))), []).append(name)
    return [Need(kind, verbs, part, tuple(filter(None, names))) for (kind, part, verbs), names in rules.items()]


def right_findings(cluster: Cluster, wanted: Iterable[Need]) -> Iterator[Finding]:
    """One finding for each kind of object without a right, or one that all rights are there."""
    rules, metrics = [need for need in wanted if cluster.has(need.kind)], Need(POD, ("get",), "proxy")
    asked = [(need, verb, name) for need in (*rules, metrics) for verb in need.verbs for name in need.names or ("",)]
    allowed = parallel(lambda each: _may(cluster, *each), asked)
    refused: dict[Need, dict[str, None]] = {}
    for (need, verb, _), is_allowed in zip(asked, allowed, strict=True):
        if not is_allowed:
            refused.setdefault(need, {})[verb] = None
    no_metrics = refused.pop(metrics, None)
    resources: dict[str, list[Need]] = {}
    for need in refused:
        resources.setdefault(_resource(cluster, need), []).append(need)
    for resource, missing in resources.items():
        group = f".{missing[0].kind.group}" if missing[0].kind.group and not missing[0].subresource else ""
        verbs = sorted({verb for need in missing for verb in refused[need]}, key=_VERBS.index)
        fix = ", ".join(_rule(cluster, need, refused[need]) for need in missing)
        text = f"you have no right to {', '.join(verbs)} {resource}{group}"
        yield Finding.failure(_SUBJECT, text, f"add to your Role: {fix}")
    if not refused:
        count = sum(len(need.verbs) for need in rules)
        yield Finding.ok(_SUBJECT, f"you have all {count} rights that the release and its upgrades need")
    if no_metrics:
        text = "you have no right to get pods/proxy, so an upgrade cannot watch the metrics of the servers"
        yield Finding.warning(_SUBJECT, text, f"add to your Role: {_rule(cluster, metrics, no_metrics)}")


def _may(cluster: Cluster, need: Need, verb: str, name: str) -> bool:
    return cluster.may(verb, need.kind, subresource=need.subresource, name=name)


def _rule(cluster: Cluster, need: Need, verbs: Iterable[str]) -> str:
    names = f"resourceNames: [{_quoted(need.names)}], " if need.names else ""
    resources = f'apiGroups: ["{need.kind.group}"], resources: ["{_resource(cluster, need)}"]'
    return f"{{{resources}, {names}verbs: [{_quoted(verbs)}]}}"


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _resource(cluster: Cluster, need: Need) -> str:
    plural = cluster.resource(need.kind).plural
    return f"{plural}/{need.subresource}" if need.subresource else plural


def _right(cluster: Cluster, name: str) -> str:
    return f"to enable this check, add to your Role: {_rule(cluster, Need(SECRET, ('get',), names=(name,)), ('get',))}"


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
    yield from parallel(lambda key: _config_map(cluster, key), needed_config_maps(props))
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
        return [
            Finding.warning(
                subject, f"not checked for the keys {listed}: you have no right to get it", _right(cluster, name)
            )
        ]
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


def _config_map(cluster: Cluster, key: ConfigMapKey) -> Finding:
    subject = f"ConfigMap {key.config_map}"
    try:
        found = cluster.get(CONFIG_MAP, key.config_map)
    except Forbidden:
        rule = _rule(cluster, Need(CONFIG_MAP, ("get",), names=(key.config_map,)), ("get",))
        text = f"not checked for the key {key.key}: you have no right to get it"
        return Finding.warning(subject, text, f"to enable this check, add to your Role: {rule}")
    if found is None:
        fix = "create it, or let the program that writes it do so in this namespace"
        return Finding.failure(subject, f"does not exist; the release reads its key {key.key}", fix)
    data = found.get("data") or {}
    if not data.get(key.key):
        keys = ", ".join(sorted(data)) or "none"
        return Finding.failure(subject, f"has no value for {key.key}; it has {keys}", "name another key in the file")
    return Finding.ok(subject, f"has a value for {key.key}")


def claim_findings(cluster: Cluster, props: SpiceDBProps) -> Iterator[Finding]:
    """The finding about the PersistentVolumeClaim that must exist, if there is one."""
    if not props.backup or not props.backup.claim:
        return
    name = props.backup.claim
    subject = f"PersistentVolumeClaim {name}"
    try:
        found = cluster.get(_CLAIM, name)
    except Forbidden:
        rule = _rule(cluster, Need(_CLAIM, ("get",), names=(name,)), ("get",))
        text = "not checked: you have no right to get it"
        yield Finding.warning(subject, text, f"to enable this check, add to your Role: {rule}")
        return
    if found is None:
        fix = "create it, or remove backup.claim from the file: the release then makes one"
        yield Finding.failure(subject, "does not exist; backups are written to its volume", fix)
    else:
        yield Finding.ok(subject, "exists, for backups")


def _pull_secret(cluster: Cluster, name: str) -> Finding:
    subject = f"Secret {name}"
    try:
        secret = cluster.get(SECRET, name)
    except Forbidden:
        text = "not checked: you have no right to get this image pull Secret"
        return Finding.warning(subject, text, _right(cluster, name))
    create = (
        f"create it: kubectl create secret docker-registry {name} {cluster.options()} "
        "--docker-server=REGISTRY --docker-username=USER --docker-password=PASSWORD"
    )
    if secret is None:
        return Finding.failure(subject, "does not exist; the pods pull their images with it", create)
    if secret.get("type") not in ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"):
        return Finding.failure(subject, f"is no image pull Secret: its type is {secret.get('type')}", create)
    return Finding.ok(subject, "is an image pull Secret")
