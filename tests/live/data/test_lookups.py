"""Lookups of two SpiceDBs, and questions of files."""

from __future__ import annotations

import grpc
import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.live.data import lookups
from cdk8s_spicedb.live.data.assertions import asserted
from cdk8s_spicedb.live.data.compare import answers
from cdk8s_spicedb.live.data.lookups import different_lookups, look_up
from cdk8s_spicedb.live.data.questions import Question
from tests.spicedbserver import SpiceDBServer

from .conftest import connect

GRANTED = [Question("document:1", "read", "user:anne"), Question("document:1", "read", "group:all#member")]


def found(first: SpiceDBServer, second: SpiceDBServer) -> list[str]:
    return list(different_lookups(look_up(connect(first), GRANTED), connect(second)))


def test_equal_lookups(spicedb: SpiceDBServer, empty: SpiceDBServer) -> None:
    for server in (spicedb, empty):
        server.looked_up = {("user:anne", "document#read"): ["1", "2"], ("document:1#read", "user"): ["anne"]}
    assert found(spicedb, empty) == []
    assert spicedb.asked.count("LookupResources") == spicedb.asked.count("LookupSubjects") == 1


def test_different_lookups(spicedb: SpiceDBServer, empty: SpiceDBServer) -> None:
    spicedb.looked_up = {("user:anne", "document#read"): ["1", "2", "3"]}
    empty.looked_up = {("user:anne", "document#read"): ["1"], ("document:1#read", "user"): ["bob"]}
    assert found(spicedb, empty) == [
        "LookupResources document#read for user:anne: 2 of 3 results missing, such as 2",
        "LookupSubjects document:1#read of the type user: 1 result more, such as bob",
    ]


def test_what_is_not_whole_is_not_compared(
    spicedb: SpiceDBServer, empty: SpiceDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    spicedb.looked_up = {("user:anne", "document#read"): ["1", "2", "3"]}
    monkeypatch.setattr(lookups, "_MOST", 2)
    assert found(spicedb, empty) == []
    monkeypatch.setattr(lookups, "_MOST", 100)
    empty.fail("LookupResources", grpc.StatusCode.UNAVAILABLE)
    assert found(spicedb, empty) == []


def test_what_was_recorded_is_compared_again_and_again(spicedb: SpiceDBServer) -> None:
    spicedb.looked_up = {("user:anne", "document#read"): ["1", "2"]}
    made = look_up(connect(spicedb), GRANTED)
    assert list(different_lookups(made, connect(spicedb))) == []
    for left, difference in (
        (["1"], "1 of 2 results missing, such as 2"),
        (["1", "2", "3"], "1 result more, such as 3"),
    ):
        spicedb.looked_up = {("user:anne", "document#read"): left}
        assert list(different_lookups(made, connect(spicedb))) == [
            f"LookupResources document#read for user:anne: {difference}"
        ]


def test_all_lookups_together_have_a_limit(spicedb: SpiceDBServer, monkeypatch: pytest.MonkeyPatch) -> None:
    spicedb.looked_up = {("user:anne", "document#read"): ["1", "2"]}
    assert len(look_up(connect(spicedb), GRANTED)) == 2
    monkeypatch.setattr(lookups, "_MOST_IN_ALL", 1)
    assert len(look_up(connect(spicedb), GRANTED)) == 1


def test_assertions_of_a_file(spicedb: SpiceDBServer) -> None:
    text = """
assertions:
  assertTrue:
    - document:d1#reader@user:u1
    - 'document:d2#reader@user:u9 with {"age": 20}'
  assertFalse: [document:d1#reader@group:all#member]
"""
    asked = asserted(text, "validations.yaml")
    assert asked == [
        Question("document:d1", "reader", "user:u1"),
        Question("document:d2", "reader", "user:u9", '{"age": 20}'),
        Question("document:d1", "reader", "group:all#member"),
    ]
    assert answers(connect(spicedb), asked)[0] == "yes"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("schema: x", "it has no assertions; write them as zed does"),
        ("assertions: {assertTrue: [document]}", "it: 'document' is no assertion; write it as document:readme#read"),
    ],
)
def test_a_file_without_assertions(text: str, error: str) -> None:
    with pytest.raises(SpiceDBError, match=error):
        asserted(text, "it")


def test_lookups_have_a_time_limit(
    spicedb: SpiceDBServer, empty: SpiceDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    spicedb.looked_up = {("user:anne", "document#read"): ["1"]}
    assert found(spicedb, empty)
    monkeypatch.setattr(lookups, "_SECONDS", 0)
    assert found(spicedb, empty) == []
