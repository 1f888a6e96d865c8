"""Relationship integrity: servers sign what they write to CockroachDB, and detect what they did not write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Annotated

from attrs import field, frozen

from ..annotations import Pattern
from ..flags import Setting
from ..secrets import SecretFiles, SecretKey, required_secret_key

_FOLDER = "/etc/spicedb/integrity"
_KeyId = Annotated[
    str, Pattern(r"[-._A-Za-z0-9]+", "letters, digits, '-', '_' and '.'", "use a name such as '2026-11'", max_length=63)
]


@frozen(kw_only=True)
class ExpiredIntegrityKey:
    """A key that signed relationships in the past."""

    id: _KeyId
    """Name under which the key signed. Required."""
    key: SecretKey = field(converter=required_secret_key)
    """Secret and key that hold the signing key. Required."""
    expired_at: datetime
    """Time at which the key was replaced. Relationships that were signed with this key later are invalid. Required."""


@frozen(kw_only=True)
class RelationshipIntegrity:
    """Signed relationships (``--datastore-relationship-integrity-…``). The database must be empty when you enable this.

    A request fails if it reads a relationship without a valid signature.
    """

    key_id: _KeyId
    """Name of the signing key, which is written with each relationship. Required."""
    key: SecretKey = field(converter=required_secret_key)
    """Secret and key that hold the signing key (HMAC-SHA256). It can be any bytes, but must not be empty. Required."""
    expired_keys: Sequence[ExpiredIntegrityKey] = ()
    """Keys that signed earlier relationships. Defaults to none."""

    def files(self) -> tuple[SecretFiles, ...]:
        """The files with the keys."""
        keys = {self.key_id: self.key, **{expired.id: expired.key for expired in self.expired_keys}}
        return (SecretFiles("integrity", _FOLDER, keys),)

    def settings(self, prefix: str) -> dict[str, Setting]:
        """Its settings by flag; ``prefix`` is the beginning of the flags."""
        expired = [
            {
                "key_id": key.id,
                "key_filename": f"{_FOLDER}/{key.id}",
                "expired_at": key.expired_at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z"),
            }
            for key in self.expired_keys
        ]
        return {
            f"{prefix}-enabled": True,
            f"{prefix}-current-key-id": self.key_id,
            f"{prefix}-current-key-filename": f"{_FOLDER}/{self.key_id}",
            f"{prefix}-expired-keys": list(map(json.dumps, expired)),
        }
