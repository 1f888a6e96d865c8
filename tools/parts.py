"""Parts of a ``spicedb.yaml``, as the documentation shows them: which blocks are one, and the props that they mean."""

from __future__ import annotations

from typing import Any

from cdk8s_spicedb import SpiceDBProps, known_releases
from cdk8s_spicedb.files.read import DESTINATION, Document, document, merge, props_of
from cdk8s_spicedb.props.fields import camel, settings

_SETTINGS = frozenset({*DESTINATION, *(camel(each.name) for each in settings(SpiceDBProps))})
"""The keys of a ``spicedb.yaml``."""
DATASTORE = {"engine": "postgres", "uri": {"name": "spicedb", "key": "datastore-uri"}}
"""The datastore of a part that names none."""


def is_part(data: Any) -> bool:
    """Whether a value of YAML is a ``spicedb.yaml``, or a part of one."""
    return isinstance(data, dict) and bool(data) and data.keys() <= _SETTINGS


def has_props(data: Any) -> bool:
    """Whether a part says more than where the SpiceDB belongs."""
    return is_part(data) and not data.keys() <= set(DESTINATION)


def is_complete(data: Any) -> bool:
    """Whether a part is a whole ``spicedb.yaml``."""
    return "engine" in (data.get("datastore") or {})


def part_of(text: str) -> Document:
    """The document of a part. Raises `SpiceDBError` if it is not YAML."""
    return document(text, "the block")


def props_in(part: Document) -> SpiceDBProps:
    """The props that a part means, with a version and a datastore if it names none. Raises `InvalidProps`."""
    given: dict[str, Any] = {"version": known_releases().newest, "datastore": DATASTORE}
    if is_complete(part.data):
        del given["datastore"]
    return props_of(merge(Document(("the rest",), given, {}), part))
