"""Text in columns, and numbers, times and lists in words."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from cdk8s_spicedb.text import age, columns, count, some_of


@pytest.mark.parametrize(("number", "text"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps")])
def test_only_one_is_singular(number: int, text: str) -> None:
    assert count(number, "step") == text


def test_long_lists_are_cut() -> None:
    assert some_of(["a", "b"], 2) == "a, b"
    assert some_of(["a", "b", "c", "d"], 2) == "a, b and 2 more"


def test_columns_are_as_wide_as_their_longest_cell() -> None:
    assert columns([("A", "LONG", "B"), ("longer", "x", ""), ("y", "", "z")]) == [
        "A       LONG  B",
        "longer  x",
        "y             z",
    ]
    assert columns([]) == []


def test_ages() -> None:
    now = datetime.now(timezone.utc)
    for seconds, text in ((3, "3s"), (200, "3m"), (8000, "2h"), (200_000, "2d")):
        assert age((now - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")) == text
