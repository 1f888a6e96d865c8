"""A changed SpiceDB schema, judged before it is written: what it removes, and which answers change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import evolve, frozen
from authzed.api.v1 import Relationship

from .compare import Comparison
from .schema import EXPIRATION, Definition, SubjectType, definitions, names


@frozen
class Use:
    """What a schema must allow so that a relationship can exist: a relation, with a type of subjects."""

    resource: str
    relation: str
    subject: str
    """The type of subjects, as in ``group#member``, ``user:*`` or ``user with expiration``."""

    @classmethod
    def of(cls, relationship: Relationship) -> Use:
        """What a relationship uses."""
        subject = relationship.subject
        wildcard = subject.object.object_id == "*"
        traits = [relationship.optional_caveat.caveat_name] if relationship.HasField("optional_caveat") else []
        traits += [EXPIRATION] if relationship.HasField("optional_expires_at") else []
        kind = SubjectType(subject.object.object_type, "*" if wildcard else subject.optional_relation, traits)
        return cls(relationship.resource.object_type, relationship.relation, str(kind))

    def __str__(self) -> str:
        return f"{self.resource}#{self.relation}@{self.subject}"


def uses(schema: Mapping[str, Definition]) -> set[Use]:
    """What a schema allows."""
    return {
        Use(name, relation, str(evolve(each, traits=sorted(each.traits, key=EXPIRATION.__eq__))))
        for name, definition in schema.items()
        for relation, types in definition.relations.items()
        for each in types
    }


@frozen(kw_only=True)
class SchemaChange:
    """What a new schema changes."""

    removed: Mapping[Use, int]
    """What the new schema no longer allows, with the number of live relationships that use it."""
    lost: Sequence[str]
    """Permissions and relations that nobody can ask about any more."""
    added: Sequence[str]
    """Permissions and relations that are new."""
    answers: Comparison | None = None
    """How the answers of the new schema differ from those of the old one. None: nobody asked."""

    @property
    def blocked(self) -> bool:
        """Whether SpiceDB rejects the schema, because relationships use what it removes."""
        return any(self.removed.values())

    def lines(self) -> Iterator[str]:
        """What changes, and in which order to change application and schema."""
        for use, number in self.removed.items():
            uses = "1 live relationship uses" if number == 1 else f"{number:,} live relationships use"
            many = f"{uses} it, so SpiceDB rejects the schema" if number else "no live relationship uses it"
            yield f"removes {use}: {many}"
        for name in self.lost:
            yield f"removes {name}: requests for it will fail"
        for name in self.added:
            yield f"adds {name}"
        if self.answers is not None:
            yield from self.answers.lines()
            if not self.answers.differences:
                yield f"all of {self.answers.asked:,} answers stay the same"
        yield from self._order()

    def _order(self) -> Iterator[str]:
        if self.added:
            yield "write the schema before you roll out an application that asks for what it adds"
        if self.lost or self.removed:
            first = ", and delete the relationships" if self.blocked else ""
            yield f"roll out an application that no longer uses what it removes{first}, before you write the schema"


def change(old: str, new: str, relationships: Iterable[Relationship]) -> SchemaChange:
    """What a new schema changes, if these are all relationships. Reads all of them, and keeps none."""
    before, after = definitions(old), definitions(new)
    removed = uses(before) - uses(after)
    counts = Counter(use for each in relationships if (use := Use.of(each)) in removed)
    return SchemaChange(
        removed={use: counts[use] for use in sorted(removed, key=str)},
        lost=sorted(names(before) - names(after)),
        added=sorted(names(after) - names(before)),
    )
