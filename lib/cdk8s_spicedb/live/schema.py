"""The SpiceDB schema: read from the servers by a client in the cluster, so that no key leaves it."""

from __future__ import annotations

import json

from ..props import SpiceDBProps
from ..props.jobs import ClientProps

_NO_SCHEMA = ("no schema has been defined", "schema not found")
"""What SpiceDB says if there is none: when it reads the old tables, and when it reads the new ones."""


def client_of(props: SpiceDBProps) -> ClientProps:
    """The settings of the release's own clients of the servers: image, and TLS."""
    return props.schema or props.test or ClientProps()


def schema_in(log: str) -> str | None:
    """The schema in the log of ``zed schema read --json``. None if it is not there, or not to its end: the end of JSON
    is known. Other lines of the log are JSON of their own."""
    text = "\n".join(line for line in log.splitlines() if not line.startswith('{"level"'))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    schema = found.get("schemaText") if isinstance(found, dict) else None
    return schema if isinstance(schema, str) and schema.strip() else None


def says_none(log: str) -> bool:
    """Whether the log of a client that failed says that there is no schema."""
    return any(text in log.lower() for text in _NO_SCHEMA)
