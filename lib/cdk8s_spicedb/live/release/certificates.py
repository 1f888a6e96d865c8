"""When the certificates of the servers end."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime, timezone

from attrs import frozen

from ...errors import SpiceDBError
from ...manifests.manifest import Manifest
from ..cluster import SECRET, Cluster, ClusterError, items_of

_CERTIFICATES = ("ca.crt", "tls.crt")


@frozen(kw_only=True)
class Certificate:
    """A certificate in a Secret that the servers mount."""

    secret: str
    """Name of the Secret."""
    key: str
    """Key in the Secret."""
    subject: str
    """Subject of the certificate. Empty if it could not be read."""
    ends: str | None
    """Time at which it ends (ISO 8601). None if it could not be read."""
    days: int | None
    """Days until then. Negative if it has expired."""
    reason: str = ""
    """Why it could not be read."""


def find_certificates(cluster: Cluster, template: Manifest) -> list[Certificate]:
    """The certificates that a pod template mounts. Kubernetes returns whole Secrets, but only the keys of certificates
    are read. Raises `SpiceDBError` if the library is missing."""
    by_secret: dict[str, list[str]] = {}
    for secret, key in certificate_keys(template):
        by_secret.setdefault(secret, []).append(key)
    return [each for name, keys in by_secret.items() for each in _of_secret(cluster, name, keys)]


def certificate_keys(template: Manifest) -> list[tuple[str, str]]:
    """The Secrets and keys of certificates that a pod template mounts, never those of private keys."""
    found = []
    for volume in items_of(template, "spec", "volumes"):
        sources = [*items_of(volume, "projected", "sources"), volume]
        for source in sources:
            secret = source.get("secret") or {}
            name = secret.get("name") or secret.get("secretName")
            if name:
                found += [(name, key) for key in _keys(secret)]
    return list(dict.fromkeys(found))


def _keys(secret: Manifest) -> Iterator[str]:
    items = secret.get("items")
    if not items:
        yield from _CERTIFICATES
        return
    for item in items:
        if item["path"].endswith(".crt") and not item["key"].endswith(".key"):
            yield item["key"]


def _of_secret(cluster: Cluster, name: str, keys: list[str]) -> Iterator[Certificate]:
    try:
        secret = cluster.get(SECRET, name)
    except ClusterError as error:
        yield from (_unknown(name, key, str(error)) for key in keys)
        return
    data = (secret or {}).get("data") or {}
    for key in keys:
        if key in data:
            yield from _read(name, key, data[key])
        elif secret is None:
            yield _unknown(name, key, "there is no such Secret")


def _read(secret: str, key: str, text: str) -> Iterator[Certificate]:
    try:
        from cryptography import x509
    except ModuleNotFoundError:
        raise SpiceDBError(
            "reading certificates needs one more library; install it with: pip install 'cdk8s-spicedb[live]'"
        ) from None
    try:
        found = x509.load_pem_x509_certificates(base64.b64decode(text))
    except (ValueError, binascii.Error):
        yield _unknown(secret, key, "it is no certificate in PEM format")
        return
    for each in found:
        ends = each.not_valid_after_utc
        yield Certificate(
            secret=secret,
            key=key,
            subject=each.subject.rfc4514_string(),
            ends=ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
            days=(ends - datetime.now(timezone.utc)).days,
        )


def _unknown(secret: str, key: str, reason: str) -> Certificate:
    return Certificate(secret=secret, key=key, subject="", ends=None, days=None, reason=reason)
