"""Compares what a new server answers with what the older ones answered, before any client reaches a new server.

Needs the libraries of the extra ``data``.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from ...errors import SpiceDBError
from ...props import SpiceDBProps
from ..cluster import CONFIG_MAP, DEPLOYMENT, Cluster
from ..data.compare import Comparison, answers, comparison
from ..data.questions import Question, looked_up, questions, spread
from ..data.reach import reaching, reaching_apart
from ..data.schema import same
from .deliver import Notify, StepError

_SECONDS = 900
"""How long the new server lasts at most."""


@frozen
class Answers:
    """What servers answered at one revision."""

    asked: Sequence[Question]
    answered: Sequence[str]
    token: str
    """The ZedToken of the revision."""


def ask(cluster: Cluster, props: SpiceDBProps, number: int) -> Answers:
    """Asks the running servers this many questions about some of the relationships. Raises `SpiceDBError` if a
    comparison would say nothing."""
    if not props.datastore.migrates:
        raise SpiceDBError(f"with the engine {props.datastore.engine}, a new server has none of the data")
    if not cluster.may("update", DEPLOYMENT, name=props.name):
        raise SpiceDBError(f"you may not update the Deployment {props.name}, which is paused meanwhile")
    with reaching(cluster, props.name) as server:
        schema, token = server.schema()
        if not schema:
            return Answers((), (), "")
        wanted = _written(cluster, props)
        if wanted and not same(wanted, schema):
            raise SpiceDBError(
                "this upgrade changes the SpiceDB schema, which would be written before a new server is asked; write "
                "it in an upgrade of its own"
            )
        some = spread(server, schema, token, number)
        asked = questions(some, schema, number, looked_up(server, some, schema, token))
        return Answers(asked, answers(server, asked, token), token)


def _written(cluster: Cluster, props: SpiceDBProps) -> str:
    """The SpiceDB schema that the release writes. Empty: it writes none."""
    schema = props.schema
    if schema is None or schema.config_map is None:
        return schema.text or "" if schema else ""
    data = (cluster.get(CONFIG_MAP, schema.config_map) or {}).get("data") or {}
    return str(data.get(schema.config_map_key, ""))


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


def require_equal(cluster: Cluster, props: SpiceDBProps, before: Answers, notify: Notify) -> None:
    """Raises `StepError` if a new server answers differently, or does not answer."""
    notify(f"asking one new server {len(before.asked):,} questions")
    try:
        found = compare(cluster, props, before)
    except SpiceDBError as error:
        raise StepError(f"a new server could not be asked: {error}") from None
    if found.differences:
        many = f"{len(found.differences):,} of {found.asked:,}"
        raise StepError(f"{many} answers of a server of {props.version} differ", "\n".join(found.lines()))
    notify(f"all {found.asked:,} answers are equal")
