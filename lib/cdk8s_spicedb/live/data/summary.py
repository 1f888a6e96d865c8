"""What tells two sets of relationships apart: their number by relation, and a digest."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import define, field
from authzed.api.v1 import Relationship

from .file import expiration

_MODULUS = 2**256
_MILLISECOND = 1_000_000
"""Nanoseconds."""


@define
class Summary:
    """A summary of relationships, in any order. Its size does not grow with their number."""

    after: datetime | None = None
    """Leaves out relationships that expire before this. A SpiceDB does not return those that have expired, so they are
    missing in a copy."""
    counts: Counter[str] = field(factory=Counter)
    """The number of relationships by resource type and relation, as in ``document#reader``."""
    _sum: int = 0

    @classmethod
    def of(cls, relationships: Iterable[Relationship], after: datetime | None = None) -> Summary:
        """The summary of these relationships."""
        found = cls(after)
        for each in relationships:
            found.add(each)
        return found

    def add(self, relationship: Relationship) -> None:
        """Counts one more."""
        if self.after is not None and (expiration(relationship) or self.after) < self.after:
            return
        self.counts[f"{relationship.resource.object_type}#{relationship.relation}"] += 1
        # A sum does not depend on the order, in which SpiceDBs on different engines differ.
        self._sum = (self._sum + _number(relationship)) % _MODULUS

    @property
    def total(self) -> int:
        """The number of relationships."""
        return sum(self.counts.values())

    @property
    def digest(self) -> str:
        """The sum of the SHA-256 of all relationships, in hexadecimal digits."""
        return f"{self._sum:064x}"

    def json(self) -> Mapping[str, Any]:
        """The summary as JSON."""
        return {"relationships": self.total, "counts": dict(sorted(self.counts.items())), "digest": self.digest}

    def differences(self, other: Summary) -> list[str]:
        """What ``other`` has more or less of. Empty if both are equal."""
        names = sorted({*self.counts, *other.counts})
        found = [
            f"{name}: {other.counts[name]:,} instead of {self.counts[name]:,}"
            for name in names
            if self.counts[name] != other.counts[name]
        ]
        return found or (["the same numbers, but other relationships"] if self.digest != other.digest else [])


def _number(relationship: Relationship) -> int:
    same = Relationship()
    same.CopyFrom(relationship)
    if not same.optional_caveat.context.fields:
        # Some engines return an empty context, others none.
        same.optional_caveat.ClearField("context")
    if same.HasField("optional_expires_at"):
        # Files have milliseconds, and engines have more or fewer digits.
        same.optional_expires_at.nanos -= same.optional_expires_at.nanos % _MILLISECOND
    if not relationship.HasField("optional_caveat"):
        same.ClearField("optional_caveat")
    return int.from_bytes(hashlib.sha256(same.SerializeToString(deterministic=True)).digest(), "big")
