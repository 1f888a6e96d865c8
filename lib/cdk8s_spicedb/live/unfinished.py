"""Whether an install is unfinished: a note in the ConfigMap that later has the record of upgrades."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from ..delivery import Delivery
from ..errors import SpiceDBError
from ..labels import OWN
from .apierror import SHAPE, Conflict, NotFound, Unreachable
from .cluster import CONFIG_MAP, Cluster
from .record import data_of, record_name

_KEY = "install.json"
_ATTEMPTS = 3


@frozen
class Unfinished:
    """An install that has begun, and has not come to its end."""

    started: str
    """Start time (ISO 8601), which identifies its own changes."""
    delivery: Delivery
    """The program that installs."""


def read_unfinished(cluster: Cluster, name: str) -> Unfinished | None:
    """The install that is not finished. None if there is none. Raises `SpiceDBError` if the note is not valid."""
    return unfinished_in(data_of(cluster, name), cluster, name)


def unfinished_in(data: Mapping[str, Any], cluster: Cluster, name: str) -> Unfinished | None:
    """What `read_unfinished` returns, from the data of the ConfigMap."""
    if _KEY not in data:
        return None
    try:
        found = json.loads(data[_KEY])
        return Unfinished(str(found["started"]), Delivery(found["delivery"]))
    except SHAPE:
        raise SpiceDBError(
            f"{_KEY} in the ConfigMap {record_name(name)} is not valid; delete it with "
            f"`kubectl delete configmap {record_name(name)} {cluster.options()}`"
        ) from None


def note_unfinished(cluster: Cluster, name: str, found: Unfinished) -> None:
    """Notes that an install has begun. What an earlier SpiceDB of this name has left is removed."""
    text = json.dumps({"started": found.started, "delivery": found.delivery.value})
    _write(cluster, name, {_KEY: text, "install": f"not finished, since {found.started}"})


def note_end(cluster: Cluster, name: str, text: str) -> None:
    """Notes that the install has ended. ``text`` is for people who look at the ConfigMap."""
    _write(cluster, name, {"install": text})


def _write(cluster: Cluster, name: str, data: Mapping[str, str]) -> None:
    """Replaces the content of the ConfigMap. The lock of the release is held, so nobody else writes it."""
    for attempt in range(_ATTEMPTS):
        before = cluster.get(CONFIG_MAP, record_name(name))
        metadata = {"name": record_name(name), "labels": OWN}
        if before is not None:
            metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
        wanted = {**CONFIG_MAP.type_meta, "metadata": metadata, "data": dict(data)}
        try:
            (cluster.replace if before else cluster.create)(wanted)
            return
        except (Conflict, NotFound, Unreachable):
            # Perhaps it was written, and only the answer was lost.
            if attempt == _ATTEMPTS - 1:
                raise
