"""Finds the Secret keys that a release reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs

from .secrets import SecretKey
from .spicedb import SpiceDBProps

_PREFIXES = {"datastore": "datastore_", "migration": "migration_", "server": "", "schema": "schema_", "test": "test_"}
"""Prefix of the names in each part of the props."""


def secret_keys(props: SpiceDBProps) -> dict[SecretKey, str]:
    """Every Secret key once, with the name of the first prop that holds it."""
    found: dict[SecretKey, str] = {}
    for name in ("preshared_key", "other_preshared_keys"):
        _collect(name, getattr(props, name), found)
    for part, prefix in _PREFIXES.items():
        for inner, value in _items(getattr(props, part)):
            _collect(f"{prefix}{inner}", value, found)
    return found


def _collect(name: str, value: Any, found: dict[SecretKey, str]) -> None:
    if isinstance(value, SecretKey):
        found.setdefault(value, name)
    for inner, item in _items(value):
        _collect(f"{name}_{inner}", item, found)


def _items(value: Any) -> Iterator[tuple[object, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from enumerate(value, 1)
    elif attrs.has(cast(Any, type(value))):
        yield from attrs.asdict(value, recurse=False).items()
