"""The checksum that restarts the servers when the configuration of the migration changes."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from enum import Enum
from typing import Any

import attrs

from ..props import MigrationProps


def migration_checksum(migration: MigrationProps) -> str:
    """A digest of the migration's settings only.

    Settings with their default value do not count. So a new setting in a later version of this package restarts no
    servers.
    """
    values, defaults = attrs.asdict(migration), attrs.asdict(MigrationProps())
    changed = {name: value for name, value in values.items() if value != defaults[name]}
    text = json.dumps(changed, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> object:
    """A value that JSON has no form for, in one that it has."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.value if isinstance(value, Enum) else dict(value)
