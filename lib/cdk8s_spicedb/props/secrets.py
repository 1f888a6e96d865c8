"""The Secret keys that a release reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs

from ..secret import SecretKey
from .spicedb import SpiceDBProps

_PARTS = {"datastore": "datastore_", "migration": "migration_", "server": "", "schema": "schema_", "test": "test_"}
"""What the names begin with in each part."""


def secret_keys(props: SpiceDBProps) -> dict[SecretKey, str]:
    """Every Secret key, each once, with the name of the prop that holds it first."""
    found: dict[SecretKey, str] = {}
    named = [("preshared_key", props.preshared_key), ("other_preshared_keys", props.other_preshared_keys)]
    for name, value in named:
        _collect(name, value, found)
    for part, prefix in _PARTS.items():
        for inner, value in _within(getattr(props, part)):
            _collect(f"{prefix}{inner}", value, found)
    return found


def _collect(name: str, value: Any, found: dict[SecretKey, str]) -> None:
    if isinstance(value, SecretKey):
        found.setdefault(value, name)
    for inner, each in _within(value):
        _collect(f"{name}_{inner}", each, found)


def _within(value: Any) -> Iterator[tuple[object, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from enumerate(value, 1)
    elif attrs.has(cast(Any, type(value))):
        yield from attrs.asdict(value, recurse=False).items()
