"""The Secret keys that a release reads."""

from __future__ import annotations

from typing import Any, cast

import attrs

from ..secret import SecretKey
from .spicedb import SpiceDBProps


def secret_keys(props: SpiceDBProps) -> dict[SecretKey, str]:
    """Every Secret key, each once, with the name of the prop that holds it first."""
    datastore = attrs.asdict(cast(Any, props.datastore), recurse=False)
    named = {
        "preshared_key": props.preshared_key,
        **{f"datastore_{name}": value for name, value in datastore.items()},
        "migration_datastore_uri": props.migration.datastore_uri,
        **{f"env_{name}": value for name, value in props.server.env.items()},
    }
    keys: dict[SecretKey, str] = {}
    for name, value in named.items():
        if isinstance(value, SecretKey):
            keys.setdefault(value, name)
    return keys
