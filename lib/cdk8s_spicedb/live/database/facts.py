"""What the pod of the check found out, before anything is concluded from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

Fact = Mapping[str, Any]


@frozen
class Facts:
    """The facts of one check, in the order in which the pod printed them, each with the name that its ``fact`` has."""

    all: Mapping[str, tuple[Fact, ...]] = field(factory=dict)

    @classmethod
    def read(cls, log: str) -> Facts:
        """Reads the log of the pod. Lines that are not facts are left out."""
        found: dict[str, tuple[Fact, ...]] = {}
        for line in log.splitlines():
            try:
                fact = json.loads(line)
            except ValueError:
                continue
            if isinstance(fact, dict) and isinstance(fact.get("fact"), str):
                found[fact["fact"]] = (*found.get(fact["fact"], ()), fact)
        return cls(found)

    @classmethod
    def of(cls, facts: Iterable[Fact]) -> Facts:
        """Facts that are known already."""
        return cls.read("\n".join(json.dumps(fact) for fact in facts))

    def each(self, name: str) -> tuple[Fact, ...]:
        """All facts of a name."""
        return self.all.get(name, ())

    def one(self, name: str) -> Fact:
        """The first fact of a name. Empty if there is none."""
        return next(iter(self.each(name)), {})

    def __contains__(self, name: str) -> bool:
        return name in self.all
