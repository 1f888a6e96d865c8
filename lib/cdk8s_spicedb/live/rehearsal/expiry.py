"""Relationships that expire while an upgrade is rehearsed: afterwards, they must grant nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from authzed.api.v1 import ObjectReference, Relationship, SubjectReference

from ..data.compare import NO, Difference, answers
from ..data.questions import Question
from ..data.schema import EXPIRATION, definitions
from ..data.server import Server
from ..poll import poll

SECONDS = 4
"""How long the relationships last."""
_NAME = "cdk8s-spicedb-rehearsal"
_LATE_SECONDS = 30
"""Releases without a fault granted for at most 13 s longer, because servers use data of the last seconds."""
_MOST = 20


def expiring(schema: str) -> list[Relationship]:
    """A relationship for each relation of a schema whose relationships may expire, without the expiration.

    Relations that also need a caveat are left out: only the application knows its context.
    """
    return [
        Relationship(
            resource=ObjectReference(object_type=kind, object_id=_NAME),
            relation=relation,
            subject=SubjectReference(
                object=ObjectReference(object_type=each.type, object_id=_NAME), optional_relation=each.relation
            ),
        )
        for kind, definition in definitions(schema).items()
        for relation, types in definition.relations.items()
        for each in types
        if list(each.traits) == [EXPIRATION] and each.relation != "*"
    ][:_MOST]


def write(server: Server, relationships: Sequence[Relationship]) -> None:
    """Writes relationships that expire soon."""
    at = server.clock.now() + timedelta(seconds=SECONDS)
    for each in relationships:
        each.optional_expires_at.FromDatetime(at)
    if relationships:
        server.touch(relationships)


def lasting(server: Server, relationships: Sequence[Relationship]) -> list[Difference]:
    """What relationships that were just written still grant long after they have expired.

    Asks all the time: a cache can keep what is asked for.
    """
    asked = [Question.of(each, each.relation) for each in relationships]
    expired = server.clock.monotonic() + SECONDS

    def granted() -> list[Difference]:
        found = answers(server, asked)
        return [Difference(question, NO, answer) for question, answer in zip(asked, found, strict=True) if answer != NO]

    return poll(
        granted,
        until=lambda found: not found and server.clock.monotonic() > expired,
        seconds=SECONDS + _LATE_SECONDS,
        clock=server.clock,
    )
