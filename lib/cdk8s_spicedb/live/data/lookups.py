"""Lets two SpiceDBs look up resources and subjects, and compares what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..poll import Deadline
from .questions import Question
from .server import Found, Server

_LOOKUPS, _MOST = 50, 20_000
"""Lookups of each kind, and how much one of them may find to be compared."""
_SECONDS = 120
"""Time for all lookups, which can be work for a SpiceDB that serves."""


def different_lookups(first: Server, second: Server, granted: Sequence[Question], token: str = "") -> Iterator[str]:
    """What differs in the lookups for questions that were answered with yes. ``token`` is the revision of the first."""
    single = [each for each in granted if "#" not in each.subject and not each.context]
    resources = {(each.group, each.subject): each for each in single}
    subjects = {(each.resource, each.permission, each.subject.partition(":")[0]): each for each in single}
    lookups = [
        *map(_resources, list(resources.values())[:_LOOKUPS]),
        *map(_subjects, list(subjects.values())[:_LOOKUPS]),
    ]
    deadline = Deadline.after(first.clock, _SECONDS)
    for title, look_up in lookups:
        if not deadline.left:
            return
        yield from _difference(title, look_up(first, token), look_up(second, ""))


_Lookup = tuple[str, Callable[[Server, str], Found]]
"""What is looked up, in words, and how."""


def _resources(each: Question) -> _Lookup:
    kind, subject = each.resource.partition(":")[0], each.subject_reference()
    title = f"LookupResources {each.group} for {each.subject}"
    return title, lambda server, token: server.resources(kind, each.permission, subject, token, _MOST)


def _subjects(each: Question) -> _Lookup:
    resource, kind = each.resource_reference(), each.subject.partition(":")[0]
    title = f"LookupSubjects {each.resource}#{each.permission} of the type {kind}"
    return title, lambda server, token: server.subjects(resource, each.permission, kind, token, _MOST)


def _difference(title: str, first: Found, second: Found) -> Iterator[str]:
    if not (first.whole and second.whole):
        return  # The order of what they find differs.
    for text, ids in (("only the first", first.ids - second.ids), ("only the second", second.ids - first.ids)):
        if ids:
            yield f"{title}: {text} finds {len(ids):,} of {len(first.ids | second.ids):,}, such as {min(ids)}"
