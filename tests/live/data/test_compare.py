"""Questions made from relationships, and the answers of two SpiceDBs."""

from __future__ import annotations

from collections import Counter

import grpc
import pytest

from cdk8s_spicedb.live.data.compare import answers, compare, comparison
from cdk8s_spicedb.live.data.questions import Question, looked_up, questions, sample
from cdk8s_spicedb.live.data.server import RequestError
from cdk8s_spicedb.live.data.summary import Summary
from tests.spicedbserver import SpiceDBServer, relationship

from .conftest import SCHEMA, TEXTS, connect

FOUND = [relationship(text) for text in TEXTS]
NUMBERED = [relationship(f"document:1#r{number}@user:1") for number in range(20)]


def test_half_of_the_questions_are_about_others() -> None:
    asked = questions(FOUND, SCHEMA, 1000)
    assert len(asked) == len(set(asked))
    assert Question("document:d1", "owner", "group:all#member") not in asked, "the schema has no owner"
    assert Question("document:d1", "read", "group:all#member") in asked
    assert not any(each.subject.endswith(":*") for each in asked)
    own = {f"{text.partition('#')[0]}@{text.partition('@')[2].partition('[')[0]}" for text in TEXTS}
    others = [each for each in asked if f"{each.resource}@{each.subject}" not in own]
    assert len(asked) / 3 < len(others) < len(asked) * 2 / 3
    assert questions(FOUND, SCHEMA, 1000) == asked
    assert len(questions(FOUND, SCHEMA, 7)) == 7


def test_a_sample_is_fair_and_small() -> None:
    taken = Counter(each.relation for seed in range(2000) for each in sample(NUMBERED, 5, seed))
    assert set(taken.values()) <= set(range(400, 600))
    assert sample(FOUND, 100) == FOUND


def test_equal_spicedbs(spicedb: SpiceDBServer) -> None:
    with SpiceDBServer(SCHEMA) as other:
        other.put(*TEXTS)
        found = compare(connect(spicedb), connect(other), questions(FOUND, SCHEMA, 1000))
    assert (list(found.differences), list(found.lines())) == ([], [])
    assert set(found.answers) == {"yes", "no", "depends on the caveat"}
    assert sum(found.answers.values()) == found.asked


def test_differences_are_grouped(spicedb: SpiceDBServer) -> None:
    asked = questions(FOUND, SCHEMA, 1000)
    with SpiceDBServer(SCHEMA) as other:
        other.put(*TEXTS[1:])
        found = compare(connect(spicedb), connect(other), asked)
    assert {str(each.question) for each in found.differences} == {
        "document:d0#reader@user:u0",
        "document:d0#read@user:u0",
    }
    many = f"1 of {len(asked)} answers are no instead of yes"
    assert sorted(found.lines()) == [
        f"document#read: {many}, such as document:d0#read@user:u0",
        f"document#reader: {many}, such as document:d0#reader@user:u0",
    ]


def test_the_first_answers_at_the_revision_of_a_token(spicedb: SpiceDBServer) -> None:
    asked = [Question("document:new", "read", "user:u1")]
    spicedb.put("document:new#reader@user:u1")
    assert answers(connect(spicedb), asked) == ["yes"]
    assert answers(connect(spicedb), asked, token="1") == ["no"]


def test_many_questions_keep_their_order(spicedb: SpiceDBServer) -> None:
    asked = [Question(f"document:d{number % 10}", "reader", f"user:u{number % 10 % 4}") for number in range(1234)]
    assert answers(connect(spicedb), asked) == ["yes"] * 1234
    spicedb.fail("CheckBulkPermissions", grpc.StatusCode.UNAVAILABLE, times=3)
    assert answers(connect(spicedb), asked[:5]) == ["yes"] * 5
    spicedb.fail("CheckBulkPermissions", grpc.StatusCode.INTERNAL)
    with pytest.raises(RequestError, match="INTERNAL"):
        answers(connect(spicedb), asked)


def test_a_summary_does_not_depend_on_the_order() -> None:
    first, second = Summary.of(FOUND), Summary.of(reversed(FOUND))
    assert first.digest == second.digest
    assert first.differences(second) == []
    assert first.differences(Summary.of(FOUND[1:])) == ["document#reader: 13 instead of 14"]
    other = [*FOUND[1:], relationship("document:d0#reader@user:u1")]
    assert first.differences(Summary.of(other)) == ["the same numbers, but other relationships"]


def test_permissions_from_other_objects_are_looked_up(spicedb: SpiceDBServer) -> None:
    """A user who reads a document because of a folder is the subject of no relationship of the document."""
    schema = """
        definition user {}
        definition folder { relation reader: user }
        definition document { relation parent: folder permission read = parent->reader }
    """
    spicedb.looked_up = {("document:1#read", "user"): ["u1", "u2", "u3", "*"]}
    found = [relationship("document:1#parent@folder:1"), relationship("folder:1#reader@user:u1")]
    more = looked_up(connect(spicedb), found, schema)
    assert more == [Question("document:1", "read", "user:u1"), Question("document:1", "read", "user:u2")]
    asked = questions(found, schema, 3, more)
    assert asked[:2] == more
    assert len(asked) == 3


def test_a_lookup_that_fails_finds_nothing(spicedb: SpiceDBServer) -> None:
    spicedb.fail("LookupSubjects", grpc.StatusCode.DEADLINE_EXCEEDED, times=1000)
    assert looked_up(connect(spicedb), FOUND, SCHEMA) == []


def test_permissions_without_a_yes_are_named() -> None:
    asked = [Question("a:1", "b", "user:1"), Question("a:2", "b", "user:1"), Question("a:1", "c", "user:1")]
    assert comparison(asked, ["yes", "no", "no"], ["yes", "no", "no"]).never_yes == ["a#c"]
