"""Lets two SpiceDBs look up resources and subjects, and compares what they find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    deadline = Deadline.after(first.clock, _SECONDS)
    for (group, subject), each in list(resources.items())[:_LOOKUPS]:
        if not deadline.left:
            return
        kind = group.partition("#")[0]

        def look_up(server: Server, at: str, each: Question = each, kind: str = kind) -> Found:
            return server.resources(kind, each.permission, each.subject_reference(), at, _MOST)

        yield from _difference(f"LookupResources {group} for {subject}", look_up(first, token), look_up(second, ""))
    for (resource, permission, kind), each in list(subjects.items())[:_LOOKUPS]:
        if not deadline.left:
            return

        def find(server: Server, at: str, each: Question = each, kind: str = kind) -> Found:
            return server.subjects(each.resource_reference(), each.permission, kind, at, _MOST)

        title = f"LookupSubjects {resource}#{permission} of the type {kind}"
        yield from _difference(title, find(first, token), find(second, ""))


def _difference(title: str, first: Found, second: Found) -> Iterator[str]:
    if not (first.whole and second.whole):
        return  # The order of what they find differs.
    for text, ids in (("only the first", first.ids - second.ids), ("only the second", second.ids - first.ids)):
        if ids:
            yield f"{title}: {text} finds {len(ids):,} of {len(first.ids | second.ids):,}, such as {min(ids)}"
