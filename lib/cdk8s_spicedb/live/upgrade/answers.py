"""Compares what a new server answers with what the older ones answered, before any client reaches a new server.

Needs the libraries of the extra ``data``.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from ...props import SpiceDBProps
from ..cluster import Cluster
from ..data.compare import Comparison, answers, comparison
from ..data.questions import Question, looked_up, questions, spread
from ..data.reach import reaching, reaching_apart

_SECONDS = 900
"""How long the new server lasts at most."""


@frozen
class Answers:
    """What servers answered at one revision."""

    asked: Sequence[Question]
    answered: Sequence[str]
    token: str
    """The ZedToken of the revision."""


def ask(cluster: Cluster, name: str, number: int) -> Answers:
    """Asks the servers that run so many questions about some of their relationships."""
    with reaching(cluster, name) as server:
        schema, token = server.schema()
        if not schema:
            return Answers((), (), "")
        some = spread(server, schema, token, number)
        asked = questions(some, schema, number, looked_up(server, some, schema, token))
        return Answers(asked, answers(server, asked, token), token)


def compare(cluster: Cluster, props: SpiceDBProps, before: Answers) -> Comparison:
    """How one new server answers the same questions at the same revision, while the older servers still run."""
    with reaching_apart(cluster, props, seconds=_SECONDS) as new:
        found = comparison(before.asked, before.answered, answers(new, before.asked, before.token))
        doubtful = [each.question for each in found.differences]
        if not doubtful:
            return found
        # A relationship may have expired between the two answers.
        with reaching(cluster, props.name) as old:
            ours = answers(old, doubtful, before.token)
        again = comparison(doubtful, ours, answers(new, doubtful, before.token))
        return evolve(found, differences=again.differences)
