"""The comparison of answers in a step of an upgrade, if it is wanted. Only then, it loads more libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import SpiceDBError
from ...props import SpiceDBProps
from ..cluster import Cluster
from .deliver import Notify, StepError

if TYPE_CHECKING:
    from .answers import Answers


def ask(cluster: Cluster, props: SpiceDBProps, questions: int, notify: Notify) -> Answers | None:
    """What the servers that run answer. None: nothing is to be asked."""
    if not questions:
        return None
    from . import answers

    notify("asking the servers that run")
    return answers.ask(cluster, props, questions)


def require_equal(cluster: Cluster, props: SpiceDBProps, before: Answers, notify: Notify) -> None:
    """Raises `StepError` if a new server answers differently, or does not answer."""
    from . import answers

    notify(f"asking one new server {len(before.asked):,} questions")
    try:
        found = answers.compare(cluster, props, before)
    except SpiceDBError as error:
        raise StepError(f"a new server could not be asked: {error}") from None
    if found.differences:
        many = f"{len(found.differences):,} of {found.asked:,}"
        raise StepError(f"{many} answers of a server of {props.version} differ", "\n".join(found.lines()))
    notify(f"all {found.asked:,} answers are equal")
