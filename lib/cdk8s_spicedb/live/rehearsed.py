"""Whether an upgrade was rehearsed: a note in a ConfigMap of the cluster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from ..labels import OWN
from ..manifests import release_manifests
from ..props import SpiceDBProps
from ..text import time_of
from .apierror import ClusterError
from .cluster import CONFIG_MAP, Cluster
from .poll import timestamp

_LATELY = timedelta(days=1)
_SETTINGS, _AT = "settings", "at"


def settings_of(props: SpiceDBProps) -> str:
    """A digest of everything that a file renders."""
    text = json.dumps(release_manifests(props), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def note_rehearsal(cluster: Cluster, props: SpiceDBProps) -> None:
    """Notes that an upgrade to these props was rehearsed without a problem. Nothing depends on whether this works."""
    data = {_SETTINGS: settings_of(props), _AT: timestamp(cluster.clock.now())}
    metadata = {"name": _name(props), "labels": OWN}
    with suppress(ClusterError):
        cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def rehearsed_lately(cluster: Cluster, props: SpiceDBProps) -> bool:
    """Whether the upgrade to these props was rehearsed without a problem, at most a day ago."""
    with suppress(ClusterError, ValueError):
        data = (cluster.get(CONFIG_MAP, _name(props)) or {}).get("data") or {}
        age = cluster.clock.now() - time_of(str(data.get(_AT)))
        return data.get(_SETTINGS) == settings_of(props) and age <= _LATELY
    return False


def lacks_rehearsal(cluster: Cluster, props: SpiceDBProps, unsure: Sequence[int]) -> bool:
    """Whether an upgrade has steps without a sure way back, and was not rehearsed lately although it could be."""
    return bool(unsure) and props.datastore.can_be_rehearsed and not rehearsed_lately(cluster, props)


def _name(props: SpiceDBProps) -> str:
    return f"{props.name}-rehearsal"
