"""Text in columns, and numbers, times and lists in words."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from cdk8s_spicedb.text import age, columns, count, some_of, time_of


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


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2030-01-02T03:04:05Z", 0),
        ("2030-01-02T03:04:05.5Z", 500_000),
        ("2030-01-02T03:04:05.123456Z", 123_456),
        ("2030-01-02T03:04:05.123456789Z", 123_456),
        ("2030-01-02T05:04:05.25+02:00", 250_000),
        ("2030-01-02T03:04:05", 0),
    ],
)
def test_moments_have_fractions_of_any_length(text: str, microseconds: int) -> None:
    assert time_of(text) == datetime(2030, 1, 2, 3, 4, 5, microseconds, timezone.utc)


@pytest.mark.parametrize("text", ["", "soon", "2030-13-02T03:04:05Z"])
def test_other_texts_are_no_moments(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|month"):
        time_of(text)
