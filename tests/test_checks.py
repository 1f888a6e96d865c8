"""Fields, and rules between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from cdk8s_spicedb import Problem
from cdk8s_spicedb.checks import Check, check, flag, mapping, problems, rule, string, whole_number


@attrs.frozen(kw_only=True)
class Toy:
    """Props with a rule that cannot cope with unsound fields."""

    least: int = attrs.field(default=1, metadata=whole_number(0))
    most: int = attrs.field(default=2, metadata=whole_number(0))
    other: bool = attrs.field(default=True, metadata=flag())

    @rule("least", "most")
    def _ordered(self) -> Iterator[Problem]:
        if self.least > self.most:
            yield Problem("least", str(self.least), f"at most {self.most}", "lower it")


@pytest.mark.parametrize(
    ("toy", "fields"),
    [
        ({"least": 3}, ["least"]),
        ({"least": "3"}, ["least"]),
        ({"most": None}, ["most"]),
        ({"least": 3, "most": -1}, ["most"]),
        ({"least": 3, "other": "x"}, ["other", "least"]),
        ({}, []),
    ],
)
def test_a_rule_runs_only_on_sound_fields(toy: dict[str, Any], fields: list[str]) -> None:
    assert [problem.field for problem in problems(Toy(**toy))] == fields


def test_a_mapping_of_secrets_stays_hidden() -> None:
    [found] = mapping(string(), check("a number", lambda value: isinstance(value, int), "", shown=False)).values()
    assert isinstance(found, Check)
    assert "hunter2!" not in found.problem("field", {"a": "hunter2!"}).value
