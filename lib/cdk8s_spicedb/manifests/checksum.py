"""The checksum that restarts the servers when the configuration of the migration changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

import attrs

from ..props import MigrationProps
from ..props.annotations import camel, manifest_of
from ..props.flags import duration


def migration_checksum(migration: MigrationProps) -> str:
    """A digest of the migration's settings only.

    Settings with their default value do not count. So a new setting in a later version of this package restarts no
    servers. A chart computes the same digest from its values.
    """
    text = json.dumps(changed_settings(migration), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def changed_settings(migration: MigrationProps) -> dict[str, Any]:
    """The settings that differ from their default, as plain values by their names in files."""
    defaults = MigrationProps()
    return {
        camel(name): plain(value)
        for name, value in attrs.asdict(migration, recurse=False).items()
        if value != getattr(defaults, name)
    }


def plain(value: Any) -> Any:
    """A prop as YAML and JSON hold it, with the names of Kubernetes."""
    if attrs.has(type(value)):
        value = manifest_of(value)
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return list(map(plain, value))
    if isinstance(value, Enum):
        return value.value
    return duration(value) if isinstance(value, timedelta) else value
