"""Times and numbers in words."""

from __future__ import annotations

import pytest
from attrs import evolve

from cdk8s_spicedb.plans.words import duration, in_words, number
from cdk8s_spicedb.versions import Estimate, Waits, Work

INDEX = Estimate("one", "relation_tuple", 10_000_000, 250, Waits.WRITES, Work.INDEXES, "SHARE")


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (INDEX, "indexes relation_tuple, about 4 min for 10 million relationships; writes wait"),
        (evolve(INDEX, seconds=0.9), "indexes relation_tuple, less than 1 s; writes wait"),
        (
            evolve(INDEX, table="relation_tuple_transaction", waits=Waits.NOBODY),
            "indexes relation_tuple_transaction, about 4 min for 10 million transactions; nobody waits",
        ),
        (
            evolve(INDEX, table="other", work=Work.FILLS, rows=1),
            "fills other, about 4 min for 1 rows (measured in batches of 1000 rows); writes wait",
        ),
    ],
)
def test_estimates_in_words(estimate: Estimate, text: str) -> None:
    assert in_words(estimate) == text


@pytest.mark.parametrize(("seconds", "time"), [(0.4, "0.4 s"), (2.44, "2.4 s"), (10, "10 s"), (100, "100 s")])
def test_rates_in_words(seconds: float, time: str) -> None:
    text = in_words(evolve(INDEX, rows=1_000_000, seconds=seconds), rate=True)
    assert text == f"indexes relation_tuple, about {time} for each million relationships; writes wait"


def test_details_follow_the_number_of_rows() -> None:
    text = in_words(evolve(INDEX, work="rewrites", waits="reads and writes wait"), detail="2.0 GiB with indexes")
    assert text.endswith("about 4 min for 10 million relationships (2.0 GiB with indexes); reads and writes wait")
    filled = in_words(evolve(INDEX, work="fills"), detail="2.0 GiB with indexes")
    assert "(measured in batches of 1000 rows, 2.0 GiB with indexes)" in filled


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "1"),
        (999_999, "999,999"),
        (1_000_000, "1 million"),
        (1_500_000, "1.5 million"),
        (10_342_123, "10.3 million"),
        (123_456_789, "123 million"),
        (999_999_999, "1,000 million"),
        (2_000_000_000, "2 billion"),
        (10**12, "1,000 billion"),
    ],
)
def test_numbers(count: int, text: str) -> None:
    assert number(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 s"), (1.4, "1 s"), (119, "119 s"), (120, "2 min"), (3600, "60 min"), (7200, "2.0 h"), (90_000, "25.0 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
