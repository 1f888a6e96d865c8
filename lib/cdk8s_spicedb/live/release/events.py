"""What Kubernetes warns about."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from attrs import frozen

from ...labels import Component, object_name
from ...manifests.manifest import Manifest
from ..cluster import EVENT, Cluster
from ..redact import redacted

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
