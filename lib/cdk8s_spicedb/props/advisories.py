"""Which advisories concern a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ..versions import Concern, concerns
from .flags import REPLICA_URI, last_argument
from .server import TRACES, ServerProps
from .spicedb import SpiceDBProps

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_IN_SCHEMA = {
    "expiration": re.compile(r"^\s*use\s+expiration\b", re.MULTILINE),
    "caveats": re.compile(r"^\s*caveat\s", re.MULTILINE),
    "arrows": re.compile(r"->|\.(any|all)\s*\("),
    "exclusions": re.compile(r"\s-\s"),
}
"""How a schema shows a condition of advisories."""
_MANY_UPDATES = 6500
_UPDATES = "write-relationships-max-updates-per-call"


def advisories_of(props: SpiceDBProps) -> Sequence[Concern]:
    """The advisories that concern the release of valid props, or that may, without those that they accept."""
    accepted = set(props.accept_advisories)
    found = concerns(props.releases.advisories, props.version, props.datastore.engine, conditions(props))
    return tuple(each for each in found if not accepted.intersection(each.advisory.names))


def conditions(props: SpiceDBProps) -> Mapping[str, bool]:
    """The conditions of advisories of which the props say whether they are so."""
    return {**_conditions(props.server), **_of_datastore(props), **_of_schema(props)}


def _conditions(server: ServerProps) -> dict[str, bool]:
    exporter = last_argument(server.extra_args, TRACES)
    updates = last_argument(server.extra_args, _UPDATES) or ""
    return {
        "tracing": server.tracing is not None or exporter not in (None, "", "none"),
        "large-writes": updates.isdigit() and int(updates) > _MANY_UPDATES,
    }


def _of_datastore(props: SpiceDBProps) -> dict[str, bool]:
    values = [value for setting in props.datastore.settings().values() for value in _texts(setting)]
    replicas = getattr(props.datastore, "read_replicas", ()) or last_argument(props.server.extra_args, REPLICA_URI)
    return {"secret-arguments": any("$(" in value for value in values), "read-replicas": bool(replicas)}


def _texts(setting: object) -> Iterator[str]:
    """The values of a setting that are text."""
    for value in setting if isinstance(setting, (list, tuple)) else [setting]:
        if isinstance(value, str):
            yield value


def _of_schema(props: SpiceDBProps) -> dict[str, bool]:
    if props.schema is None or props.schema.text is None:
        return {}
    text = _COMMENT.sub("", props.schema.text)
    return {name: pattern.search(text) is not None for name, pattern in _IN_SCHEMA.items()}
