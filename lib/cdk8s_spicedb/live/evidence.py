"""When the certificates of the servers end."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone

from attrs import frozen

from ..errors import SpiceDBError
from ..labels import Component, object_name
from ..manifests.objects import Manifest
from .cluster import EVENT, SECRET, Cluster, ClusterError, items_of
from .text import redacted

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


_AGE = timedelta(hours=1)
# Kubernetes ends names of ReplicaSets, pods and other generated objects with these characters only.
_SUFFIX = re.compile(r"(-\d+|-[0-9a-f]{7})?(-[bcdfghjklmnpqrstvwxz2456789]{5,10}){1,2}|-[0-9a-f]{7}")


@frozen(kw_only=True)
class EventWarning:
    """Events of the last hour with the same text."""

    subject: str
    """Object of the newest event, such as ``Pod spicedb-5d9f…``."""
    reason: str
    """Kubernetes' word for it, such as ``FailedScheduling``."""
    message: str
    """What happened."""
    count: int
    """How often it happened, in all objects together."""
    last: str
    """Time of the newest event (ISO 8601)."""


def find_warnings(cluster: Cluster, name: str) -> list[EventWarning]:
    """The warnings of the last hour about the objects of a release, newest first."""
    return warnings_of(cluster.find(EVENT, fields="type=Warning"), name, datetime.now(timezone.utc))


def warnings_of(events: Iterable[Manifest], name: str, now: datetime) -> list[EventWarning]:
    """The warnings among events about the objects of a release, at a moment."""
    found: dict[tuple[str, str, str], EventWarning] = {}
    oldest = now - _AGE
    for event in sorted(events, key=_time):
        about = event["involvedObject"]
        if not _belongs(about.get("name", ""), name) or _moment(_time(event)) < oldest:
            continue
        message = redacted(" ".join((event.get("message") or "").split()))
        key = about.get("kind", ""), event.get("reason", ""), message.replace(about["name"], "")
        earlier = found.pop(key, None)
        found[key] = EventWarning(
            subject=f"{about.get('kind', '')} {about['name']}",
            reason=event.get("reason", ""),
            message=message,
            count=_count(event) + (earlier.count if earlier else 0),
            last=_time(event),
        )
    return list(reversed(found.values()))


def _belongs(subject: str, name: str) -> bool:
    """Whether an object belongs to a release, by its name: one of a pod that is gone is known in no other way."""
    own = (object_name(name, component) for component in Component)
    return any(
        subject == each or (subject.startswith(each) and _SUFFIX.fullmatch(subject[len(each) :]) is not None)
        for each in own
    )


def _count(event: Manifest) -> int:
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)


def _time(event: Manifest) -> str:
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(
        series or event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
