"""What else says how a release does: known faults, when certificates of servers end, and warnings about its objects."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone

from attrs import frozen

from ..errors import SpiceDBError
from ..labels import Component, object_name, volume_name
from ..manifests.objects import Manifest
from ..props.flags import REPLICA_URI, variable_name
from ..props.server import TRACES
from ..text import time_of
from ..versions import Concern, ReleaseTable, concerns, known_releases
from .apierror import SHAPE, ClusterError, reads
from .cluster import EVENT, SECRET, Cluster, items_of
from .instance import Running
from .poll import timestamp
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


@reads("the certificates of the servers")
def find_certificates(cluster: Cluster, template: Manifest) -> list[Certificate]:
    """The certificates that a pod template mounts. Kubernetes returns whole Secrets, but only the keys of certificates
    are read. Raises `SpiceDBError` if the library is missing."""
    keys = certificate_keys(template)
    secrets = {name: _data(cluster, name) for name in dict.fromkeys(name for name, _ in keys)}
    return [each for name, data in secrets.items() for of, key in keys if of == name for each in _read(name, key, data)]


def certificate_keys(template: Manifest) -> list[tuple[str, str]]:
    """The Secrets and keys of certificates that a pod template mounts, never those of private keys."""
    found: list[tuple[str, str]] = []
    for volume in items_of(template, "spec", "volumes"):
        for source in (*items_of(volume, "projected", "sources"), volume):
            secret = source.get("secret") or {}
            name = secret.get("name") or secret.get("secretName")
            items = [(item["key"], item["path"]) for item in items_of(secret, "items")]
            certificates = (key for key, path in items if path.endswith(".crt") and not key.endswith(".key"))
            found += [(name, key) for key in (certificates if items else _CERTIFICATES) if name]
    return list(dict.fromkeys(found))


def _data(cluster: Cluster, name: str) -> Manifest | str:
    """The data of a Secret, or why it cannot be read."""
    try:
        secret = cluster.get(SECRET, name)
    except ClusterError as error:
        return str(error)
    return "there is no such Secret" if secret is None else secret.get("data") or {}


def _read(secret: str, key: str, data: Manifest | str) -> Iterator[Certificate]:
    """The certificates of one key. There are none if the Secret does not have the key."""
    if isinstance(data, str):
        yield _unknown(secret, key, data)
        return
    if key not in data:
        return
    try:
        from cryptography import x509
    except ModuleNotFoundError:
        text = "reading certificates needs one more library; install it with: pip install 'cdk8s-spicedb[live]'"
        raise SpiceDBError(text) from None
    try:
        found = x509.load_pem_x509_certificates(base64.b64decode(data[key]))
    except (ValueError, binascii.Error):
        yield _unknown(secret, key, "it is no certificate in PEM format")
        return
    for each in found:
        ends = each.not_valid_after_utc
        yield Certificate(
            secret=secret,
            key=key,
            subject=each.subject.rfc4514_string(),
            ends=timestamp(ends),
            days=(ends - datetime.now(timezone.utc)).days,
        )


def _unknown(secret: str, key: str, reason: str) -> Certificate:
    return Certificate(secret=secret, key=key, subject="", ends=None, days=None, reason=reason)


# Kubernetes ends names of ReplicaSets, pods and other generated objects with these characters only.
_SUFFIX = r"(-\d+|-[0-9a-f]{7})?(-[bcdfghjklmnpqrstvwxz2456789]{5,10}){1,2}|-[0-9a-f]{7,8}"


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


@reads("the events of the namespace")
def find_warnings(cluster: Cluster, name: str) -> list[EventWarning]:
    """The warnings of the last hour about the objects of a release, newest first."""
    return warnings_of(cluster.find(EVENT, fields="type=Warning"), name, datetime.now(timezone.utc))


def warnings_of(events: Iterable[Manifest], name: str, now: datetime) -> list[EventWarning]:
    """The warnings among events about the objects of a release, at a moment."""
    found: dict[tuple[str, str, str], EventWarning] = {}
    recent: list[tuple[Manifest, Manifest, str]] = []
    # By its name: an object of a pod that is gone is known in no other way.
    objects = [*(object_name(name, component) for component in Component), volume_name(name)]
    names = "|".join(map(re.escape, objects))
    own = re.compile(f"({names})({_SUFFIX})?")
    oldest = now - timedelta(hours=1)
    for event in sorted(events, key=_time):
        about, time = event.get("involvedObject") or {}, _time(event)
        with suppress(*SHAPE):  # One event without a time must not hide the others.
            if own.fullmatch(about.get("name", "")) and time_of(time) >= oldest:
                recent.append((event, about, time))
    for event, about, time in recent:
        message = redacted(" ".join((event.get("message") or "").split()))
        key = about.get("kind", ""), event.get("reason", ""), message.replace(about["name"], "")
        count = int((event.get("series") or {}).get("count") or event.get("count") or 1)
        earlier = found.pop(key, None)
        found[key] = EventWarning(
            subject=f"{about.get('kind', '')} {about['name']}",
            reason=event.get("reason", ""),
            message=message,
            count=count + (earlier.count if earlier else 0),
            last=time,
        )
    return list(reversed(found.values()))


def _time(event: Manifest) -> str:
    last = (event.get("series") or {}).get("lastObservedTime") or event.get("lastTimestamp")
    return str(last or event.get("eventTime") or event["metadata"].get("creationTimestamp"))


def known_faults(running: Running, releases: ReleaseTable | None = None) -> Sequence[Concern]:
    """The advisories that concern servers, or that may: nothing in the cluster tells their schema."""
    if running.version is None:
        return ()
    # The settings of another program's release may be in variables, or in Secrets.
    known = _conditions(running) if running.ours else {}
    return concerns((releases or known_releases()).advisories, running.version, running.engine, known)


def _conditions(running: Running) -> Mapping[str, bool]:
    containers = running.template["spec"].get("containers") or []
    variables = {each.get("name") for container in containers for each in container.get("env") or ()}
    return {
        "tracing": running.arguments.get(TRACES, "none") not in ("", "none"),
        "secret-arguments": any("$(" in value for value in running.arguments.values()),
        "read-replicas": REPLICA_URI in running.arguments or variable_name(REPLICA_URI) in variables,
    }
