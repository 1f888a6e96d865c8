"""Questions about permissions, made from the relationships that a SpiceDB holds."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen
from authzed.api.v1 import ObjectReference, Relationship, SubjectReference

from ..poll import Deadline
from .schema import Definition, definitions
from .server import Server

_LOOKUPS, _SUBJECTS = 300, 2
"""How many permissions are looked up, and how many subjects of each are asked about."""
_LOOKUP_SECONDS = 60
"""Time for all of these lookups, which can be work for a SpiceDB that serves."""


@frozen
class Question:
    """Whether a subject has a permission on a resource."""

    resource: str
    """Type and id, as in ``document:readme``."""
    permission: str
    """Name of a permission or of a relation."""
    subject: str
    """Type, id and, of a set of subjects, its relation, as in ``group:all#member``."""
    context: str = ""
    """JSON with the context of caveats."""

    @classmethod
    def of(cls, relationship: Relationship, permission: str, subject: SubjectReference | None = None) -> Question:
        """A question about the resource of a relationship, and its subject or another one."""
        return cls(_text(relationship.resource), permission, _subject(subject or relationship.subject))

    def __str__(self) -> str:
        context = f" with {self.context}" if self.context else ""
        return f"{self.resource}#{self.permission}@{self.subject}{context}"

    @property
    def group(self) -> str:
        """Definition and permission, as in ``document#view``."""
        return f"{self.resource.partition(':')[0]}#{self.permission}"

    def resource_reference(self) -> ObjectReference:
        """The resource, for a request."""
        return _reference(self.resource)

    def subject_reference(self) -> SubjectReference:
        """The subject, for a request."""
        found, _, relation = self.subject.partition("#")
        return SubjectReference(object=_reference(found), optional_relation=relation)


def _reference(text: str) -> ObjectReference:
    kind, _, name = text.partition(":")
    return ObjectReference(object_type=kind, object_id=name)


def sample(relationships: Iterable[Relationship], size: int, seed: int = 1) -> list[Relationship]:
    """Relationships, each with the same chance. Reads all of them, and keeps no more than ``size``."""
    chance, found = random.Random(seed), list[Relationship]()
    for number, each in enumerate(relationships):
        if number < size:
            found.append(_alone(each))
        elif (place := chance.randrange(number + 1)) < size:
            found[place] = _alone(each)
    return found


def spread(server: Server, schema: str, token: str, size: int) -> list[Relationship]:
    """Relationships of each relation, about so many in all. Does not read all relationships, as `sample` does, so it
    takes those that the SpiceDB returns first."""
    relations = [(name, relation) for name, each in definitions(schema).items() for relation in each.relations]
    each = -(-size // max(len(relations), 1))
    return [found for name, relation in relations for found in server.read(name, relation, token, each)]


def _alone(relationship: Relationship) -> Relationship:
    """A copy: a part of a message keeps the whole message in memory."""
    copy = Relationship()
    copy.CopyFrom(relationship)
    return copy


def looked_up(server: Server, relationships: Sequence[Relationship], schema: str, token: str = "") -> list[Question]:
    """Questions that a SpiceDB answers with yes, about the resources of some relationships, also if the permission
    comes from groups and other objects."""
    types = definitions(schema)
    # Types of which nothing is asked, such as users.
    kinds = [name for name, definition in types.items() if not definition.names] or list(types)
    resources = {_text(each.resource): each for each in relationships}
    found = [
        (each, name)
        for each in resources.values()
        if each.resource.object_type in types
        for name in types[each.resource.object_type].permissions
    ]
    chosen = found if len(found) <= _LOOKUPS else random.Random(1).sample(found, _LOOKUPS)
    deadline = Deadline.after(server.clock, _LOOKUP_SECONDS)
    return [
        Question(_text(each.resource), name, f"{kind}:{subject}")
        for each, name in chosen
        for kind in kinds
        if deadline.left
        for subject in sorted(server.subjects(each.resource, name, kind, token, _SUBJECTS).ids - {"*"})
    ]


def questions(
    relationships: Sequence[Relationship], schema: str, limit: int, more: Sequence[Question] = (), seed: int = 1
) -> list[Question]:
    """Questions about these relationships, and more questions, at most so many.

    Half of those about relationships are about the resource and the subject of one relationship. The others exchange
    the subject for that of another relationship, so that the answer is often no. ``more`` is asked first.
    """
    chance, types = random.Random(seed), definitions(schema)
    strangers = list(relationships)
    chance.shuffle(strangers)
    first = dict.fromkeys(more[:limit])
    found = [each for each in dict.fromkeys(_pairs(relationships, strangers, types)) if each not in first]
    left = limit - len(first)
    return [*first, *(found if len(found) <= left else chance.sample(found, left))]


def _pairs(
    relationships: Sequence[Relationship], strangers: Sequence[Relationship], types: Mapping[str, Definition]
) -> Iterator[Question]:
    for one, other in zip(relationships, strangers, strict=True):
        for name in types[one.resource.object_type].names if one.resource.object_type in types else ():
            for subject in (one.subject, other.subject):
                if subject.object.object_id != "*":
                    yield Question.of(one, name, subject)


def _text(found: ObjectReference) -> str:
    return f"{found.object_type}:{found.object_id}"


def _subject(found: SubjectReference) -> str:
    relation = f"#{found.optional_relation}" if found.optional_relation else ""
    return f"{_text(found.object)}{relation}"
