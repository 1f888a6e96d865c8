"""The Secrets that a release reads: whether they are there, with a value for each key. No value leaves this module."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import httpx2

from ...manifests.manifest import Manifest
from ...props import SpiceDBProps, secret_keys
from ...props.secrets import SecretKey
from ..cluster import SECRET, Cluster, ClusterError
from ..finding import Finding
from ..parallel import parallel

_PULL_TYPES = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")
_RIGHT = 'to enable this check, add to your Role: {apiGroups: [""], resources: ["secrets"], verbs: ["get"]}'


def secret_findings(cluster: Cluster, props: SpiceDBProps, manifests: Sequence[Manifest]) -> Iterator[Finding]:
    """One finding for each Secret, and more for keys that are missing."""
    keys: dict[str, list[str]] = {}
    for key in secret_keys(props):
        keys.setdefault(str(key.name), []).append(key.key)
    in_variables = set(_variables(manifests))
    wanted = list(keys.items())
    for found in parallel(lambda item: list(_secret(cluster, *item, in_variables)), wanted):
        yield from found
    yield from parallel(lambda name: _pull_secret(cluster, name), props.image_pull_secrets)
    if props.server.ingress and props.server.ingress.tls_secret:
        yield from _ingress_secret(cluster, props.server.ingress.tls_secret)


def _secret(cluster: Cluster, name: str, keys: Sequence[str], in_variables: set[SecretKey]) -> Iterator[Finding]:
    subject, listed = f"Secret {name}", ", ".join(keys)
    try:
        secret = cluster.get(SECRET, name)
    except ClusterError as error:
        if error.status != httpx2.codes.FORBIDDEN:
            raise
        yield Finding.warning(subject, f"not checked for the keys {listed}: you have no right to get it", _RIGHT)
        return
    if secret is None:
        yield Finding.failure(
            subject, f"does not exist; the release reads its keys {listed}", _create(cluster, name, keys)
        )
        return
    data = secret.get("data") or {}
    problems = [finding for key in keys for finding in _key(cluster, subject, SecretKey(name, key), data, in_variables)]
    yield from problems or [Finding.ok(subject, f"has a value for {listed}")]


def _key(
    cluster: Cluster, subject: str, key: SecretKey, data: Manifest, in_variables: set[SecretKey]
) -> Iterator[Finding]:
    """What is wrong with one key."""
    fix = f"set it with `kubectl edit secret {key.name} --namespace {cluster.namespace}`, base64-encoded"
    if key.key not in data:
        others = ", ".join(sorted(data)) or "none"
        yield Finding.failure(
            subject, f"has no key {key.key}; it has {others}", f"{fix}, or name another key in the file"
        )
        return
    value = base64.b64decode(data[key.key] or "")
    if not value:
        yield Finding.failure(subject, f"has an empty value for {key.key}", fix)
    elif value.endswith(b"\n") and key in in_variables:
        text = f"the value of {key.key} ends in a line break, which becomes part of it"
        yield Finding.warning(subject, text, "write the value without one: use `printf %s` or `echo -n`")


def _create(cluster: Cluster, name: str, keys: Sequence[str]) -> str:
    literals = " ".join(f"--from-literal={key}=VALUE" for key in keys)
    return f"create it: kubectl create secret generic {name} --namespace {cluster.namespace} {literals}"


def _variables(value: Any) -> Iterator[SecretKey]:
    """The Secret keys that become environment variables. Others become files, which may end in a line break."""
    items: Iterable[Any] = ()
    if isinstance(value, dict):
        reference = value.get("secretKeyRef")
        if reference:
            yield SecretKey(reference["name"], reference["key"])
        items = value.values()
    elif isinstance(value, list):
        items = value
    for item in items:
        yield from _variables(item)


def _pull_secret(cluster: Cluster, name: str) -> Finding:
    subject = f"Secret {name}"
    try:
        secret = cluster.get(SECRET, name)
    except ClusterError as error:
        if error.status != httpx2.codes.FORBIDDEN:
            raise
        return Finding.warning(subject, "not checked: you have no right to get this image pull Secret", _RIGHT)
    create = (
        f"create it: kubectl create secret docker-registry {name} --namespace {cluster.namespace} "
        "--docker-server=REGISTRY --docker-username=USER --docker-password=PASSWORD"
    )
    if secret is None:
        return Finding.failure(subject, "does not exist; the pods pull their images with it", create)
    if secret.get("type") not in _PULL_TYPES:
        return Finding.failure(subject, f"is no image pull Secret: its type is {secret.get('type')}", create)
    return Finding.ok(subject, "is an image pull Secret")


def _ingress_secret(cluster: Cluster, name: str) -> Iterator[Finding]:
    try:
        secret = cluster.get(SECRET, name)
    except ClusterError as error:
        if error.status != httpx2.codes.FORBIDDEN:
            raise
        return
    subject = f"Secret {name}"
    if secret is None:
        fix = "create it, unless a program such as cert-manager does"
        yield Finding.warning(subject, "does not exist; the Ingress needs it for its certificate", fix)
    else:
        yield Finding.ok(subject, "exists, for the certificate of the Ingress")
