"""The Secret keys that a release reads."""

from __future__ import annotations

from collections.abc import ItemsView
from typing import Any

import attrs

from ..secret import SecretKey
from .spicedb import SpiceDBProps


def secret_keys(props: SpiceDBProps) -> dict[SecretKey, str]:
    """Every Secret key, each once, with the name of the prop that holds it first."""
    named = {
        "preshared_key": props.preshared_key,
        **{f"datastore_{name}": value for name, value in _parts(props.datastore)},
        "migration_datastore_uri": props.migration.datastore_uri,
        **{f"{port}_tls_{name}": key for port, tls in props.server.tls.items() for name, key in _parts(tls)},
        **{f"env_{name}": value for name, value in props.server.env.items()},
    }
    keys: dict[SecretKey, str] = {}
    for name, value in named.items():
        if isinstance(value, SecretKey):
            keys.setdefault(value, name)
    return keys


def _parts(props: Any) -> ItemsView[str, Any]:
    return attrs.asdict(props, recurse=False).items()
