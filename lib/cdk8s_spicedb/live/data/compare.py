"""Asks two SpiceDBs the same questions, and compares the answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from attrs import frozen
from authzed.api.v1 import CheckPermissionResponse, Consistency, ZedToken
from authzed.api.v1.permission_service_pb2 import CheckBulkPermissionsRequest, CheckBulkPermissionsRequestItem
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from ...errors import SpiceDBError
from ...text import count
from .questions import Question
from .server import Server

_ITEMS = 100
"""Questions in a request."""
YES, NO = "yes", "no"
_NAMES = {
    CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION: YES,
    CheckPermissionResponse.PERMISSIONSHIP_NO_PERMISSION: NO,
    CheckPermissionResponse.PERMISSIONSHIP_CONDITIONAL_PERMISSION: "depends on the caveat",
}


@frozen
class Difference:
    """One question that two SpiceDBs answer differently."""

    question: Question
    """What was asked."""
    first: str
    """The answer of the first SpiceDB."""
    second: str
    """The answer of the second SpiceDB."""


@frozen
class Comparison:
    """What two SpiceDBs answered."""

    asked: int
    """Number of questions."""
    answers: Counter[str]
    """How often the first SpiceDB gave each answer."""
    differences: Sequence[Difference]
    """The questions with different answers."""
    granted: Sequence[Question] = ()
    """The questions to which the first SpiceDB answered yes."""
    groups_asked: frozenset[str] = frozenset()
    """Definitions with permissions that were asked about."""
    lookups: Sequence[str] = ()
    """How lookups differ, in words."""

    @property
    def groups(self) -> Counter[tuple[str, str, str]]:
        """The number of differences by definition with permission, answer of the first, and answer of the second."""
        return Counter((each.question.group, each.first, each.second) for each in self.differences)

    @property
    def never_yes(self) -> Sequence[str]:
        """The permissions about which no answer of the first SpiceDB was yes. The comparison says little about them."""
        return sorted(self.groups_asked - {each.group for each in self.granted})

    def lines(self) -> Iterator[str]:
        """What differs, with an example for each group."""
        examples = {(each.question.group, each.first, each.second): each.question for each in self.differences}
        for key, number in self.groups.most_common():
            group, first, second = key
            many = f"{number:,} of {self.asked:,} answers"
            yield f"{group}: {many} are {second} instead of {first}, such as {examples[key]}"
        yield from self.lookups


def answers(server: Server, asked: Sequence[Question], token: str = "") -> list[str]:
    """The answers to questions, at the revision of a ZedToken or now: yes, no, depends on the caveat, or an error."""
    at = Consistency(at_exact_snapshot=ZedToken(token=token)) if token else Consistency(fully_consistent=True)
    parts = [asked[start : start + _ITEMS] for start in range(0, len(asked), _ITEMS)]

    def ask(part: Sequence[Question]) -> list[str]:
        items = [
            CheckBulkPermissionsRequestItem(
                resource=each.resource_reference(),
                permission=each.permission,
                subject=each.subject_reference(),
                context=ParseDict(json.loads(each.context), Struct()) if each.context else None,
            )
            for each in part
        ]
        request = CheckBulkPermissionsRequest(consistency=at, items=items)
        answer = server.check(request)
        if len(answer.pairs) != len(part):
            number = count(len(part), "question")
            raise SpiceDBError(f"{server.name} gave {len(answer.pairs)} answers to {number}; is it a SpiceDB?")
        return [
            _NAMES.get(pair.item.permissionship, "unknown") if pair.HasField("item") else f"error {pair.error.message}"
            for pair in answer.pairs
        ]

    with ThreadPoolExecutor(4) as pool:
        return [each for part in pool.map(ask, parts) for each in part]


def compare(first: Server, second: Server, asked: Sequence[Question], token: str = "") -> Comparison:
    """Asks both SpiceDBs. ``token`` is the revision of the first one. The second one answers with its newest data."""
    return comparison(asked, answers(first, asked, token), answers(second, asked))


def comparison(asked: Sequence[Question], ours: Sequence[str], theirs: Sequence[str]) -> Comparison:
    """How two answers to each question differ."""
    differences = [Difference(*each) for each in zip(asked, ours, theirs, strict=True) if each[1] != each[2]]
    granted = [each for each, answer in zip(asked, ours, strict=True) if answer == YES]
    return Comparison(len(asked), Counter(ours), differences, granted, frozenset(each.group for each in asked))
