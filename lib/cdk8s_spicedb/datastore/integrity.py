"""Relationship integrity: servers sign what they write to CockroachDB, and notice what somebody else wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from attrs import field, frozen

from ..checks import Metadata, check, each, instance, rule, show, text
from ..env import Setting
from ..errors import Problem
from ..secret import SecretKey, required_secret_key, secret_key
from ..volume import SecretFiles

_FOLDER = "/etc/spicedb/integrity"


def _id_check() -> Metadata:
    return text(
        r"[-._A-Za-z0-9]+", "letters, digits, '-', '_' and '.'", "give the key a name such as '2026-11'", most=63
    )


def _time_check() -> Metadata:
    return check(
        "a datetime with a time zone",
        lambda value: isinstance(value, datetime) and value.tzinfo is not None,
        "write datetime(2026, 11, 1, tzinfo=timezone.utc)",
        schema={"type": "string", "format": "date-time"},
    )


@frozen(kw_only=True)
class ExpiredIntegrityKey:
    """A key with which relationships were signed until some day."""

    id: str = field(metadata=_id_check())
    """The name under which it signed. Required."""
    key: SecretKey = field(converter=required_secret_key, metadata=secret_key("the signing key"))
    """The Secret key that holds it. Required."""
    expired_at: datetime = field(metadata=_time_check())
    """When it was replaced: what it signed later counts as forged. Required."""


@frozen(kw_only=True)
class RelationshipIntegrity:
    """Signed relationships (``--datastore-relationship-integrity-…``), for a database that was empty before.

    A request that meets a relationship with a wrong signature, or with none, fails.
    """

    key_id: str = field(metadata=_id_check())
    """The name of the key that signs, which is written beside each relationship. Required."""
    key: SecretKey = field(converter=required_secret_key, metadata=secret_key("the signing key"))
    """The Secret key that holds the key that signs (HMAC-SHA256), any bytes but none. Required."""
    expired_keys: Sequence[ExpiredIntegrityKey] = field(
        factory=tuple,
        metadata=each(
            instance(ExpiredIntegrityKey, "an ExpiredIntegrityKey(…)", "write ExpiredIntegrityKey(id=…, key=…, …)")
        ),
    )
    """The keys that signed before. Default: none."""

    def files(self) -> tuple[SecretFiles, ...]:
        """The keys that sign and signed."""
        keys = {self.key_id: self.key, **{expired.id: expired.key for expired in self.expired_keys}}
        return (SecretFiles("integrity", _FOLDER, keys),)

    def settings(self) -> dict[str, Setting]:
        """By flag, what servers are told."""
        expired = [
            {
                "key_id": key.id,
                "key_filename": f"{_FOLDER}/{key.id}",
                "expired_at": key.expired_at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z"),
            }
            for key in self.expired_keys
        ]
        prefix = "datastore-relationship-integrity"
        return {
            f"{prefix}-enabled": True,
            f"{prefix}-current-key-id": self.key_id,
            f"{prefix}-current-key-filename": f"{_FOLDER}/{self.key_id}",
            f"{prefix}-expired-keys": [json.dumps(each) for each in expired],
        }

    @rule("key_id", "expired_keys")
    def _each_key_has_its_id(self) -> Iterator[Problem]:
        ids = [self.key_id, *(key.id for key in self.expired_keys)]
        for number, name in enumerate(ids[1:], 1):
            if name in ids[:number]:
                path = f"expired_keys[{number - 1}].id"
                yield Problem(path, show(name), "an id that no other key has", "give each key an id of its own")
