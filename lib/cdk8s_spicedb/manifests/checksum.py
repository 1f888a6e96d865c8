"""The checksum that restarts the servers when the configuration of their migration changes."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from enum import Enum

import attrs

from ..props import MigrationProps


def migration_checksum(migration: MigrationProps) -> str:
    """A digest of every migration setting, and of nothing else.

    Settings at their defaults do not count, so a setting that a later version of this package adds restarts nobody.
    """
    given, defaults = _settings(migration), _settings(MigrationProps())
    changed = {name: value for name, value in given.items() if value != defaults[name]}
    return hashlib.sha256(json.dumps(changed, sort_keys=True, separators=(",", ":"), default=dict).encode()).hexdigest()


def _settings(migration: MigrationProps) -> dict[str, object]:
    return attrs.asdict(migration, value_serializer=_plain)


def _plain(_: object, __: object, value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.value if isinstance(value, Enum) else value
