"""Lets SpiceDBs look up resources and subjects, and compares what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from attrs import frozen

from ...text import count
from ..poll import Deadline
from .questions import Question
from .server import Found, Server

_LOOKUPS, _MOST, _MOST_IN_ALL = 50, 20_000, 500_000
"""Lookups of each kind, how much one of them may find to be compared, and all of them together."""
_SECONDS = 120
"""Time for all lookups of a SpiceDB, because they put load on it."""


@frozen
class Lookup:
    """A lookup, and what a SpiceDB found."""

    title: str
    """What was looked up, in words."""
    found: frozenset[str]
    """The ids that were found."""
    ask: Callable[[Server, str], Found]
    """Looks it up again, at a revision or now."""


def look_up(server: Server, granted: Sequence[Question], token: str = "") -> list[Lookup]:
    """What a SpiceDB finds for questions that were answered with yes, at the revision of a ZedToken or now.

    Leaves out lookups that find more than 20,000 results or take too long.
    """
    single = [each for each in granted if "#" not in each.subject and not each.context]
    resources = {(each.group, each.subject): each for each in single}
    subjects = {(each.resource, each.permission, each.subject.partition(":")[0]): each for each in single}
    chosen = [
        *map(_resources, list(resources.values())[:_LOOKUPS]),
        *map(_subjects, list(subjects.values())[:_LOOKUPS]),
    ]
    made, deadline, left = list[Lookup](), Deadline.after(server.clock, _SECONDS), _MOST_IN_ALL
    for title, ask in chosen:
        if not deadline.left or left < 0:
            break
        found = ask(server, token)
        if found.whole:  # The order of what SpiceDBs find differs.
            made.append(Lookup(title, found.ids, ask))
            left -= len(found.ids)
    return made


def different_lookups(made: Sequence[Lookup], server: Server) -> Iterator[str]:
    """Lookups with other results now, in words."""
    deadline = Deadline.after(server.clock, _SECONDS)
    for each in made:
        if not deadline.left:
            return
        now = each.ask(server, "")
        if now.whole:
            yield from _difference(each.title, each.found, now.ids)


_Ask = tuple[str, Callable[[Server, str], Found]]
"""What is looked up, in words, and how."""


def _resources(each: Question) -> _Ask:
    kind, subject = each.resource.partition(":")[0], each.subject_reference()
    title = f"LookupResources {each.group} for {each.subject}"
    return title, lambda server, token: server.resources(kind, each.permission, subject, token, _MOST)


def _subjects(each: Question) -> _Ask:
    resource, kind = each.resource_reference(), each.subject.partition(":")[0]
    title = f"LookupSubjects {each.resource}#{each.permission} of the type {kind}"
    return title, lambda server, token: server.subjects(resource, each.permission, kind, token, _MOST)


def _difference(title: str, before: frozenset[str], now: frozenset[str]) -> Iterator[str]:
    missing, more = before - now, now - before
    if missing:
        yield f"{title}: {len(missing):,} of {count(len(before), 'result')} missing, such as {min(missing)}"
    if more:
        yield f"{title}: {count(len(more), 'result')} more, such as {min(more)}"
