"""Values that SpiceDBProps take in Python."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb import (
    Delivery,
    Memory,
    MigrationPhase,
    MigrationProps,
    PostgreSQL,
    SchemaProps,
    SecretKey,
    SpiceDBProps,
)
from cdk8s_spicedb.props import problems

_KEY = SecretKey("spicedb", "uri")
_PARTS: dict[str, Any] = {"host": "db", "database": "d", "user": "u", "password": _KEY}


def test_members_of_enums_can_be_strings() -> None:
    assert SpiceDBProps(datastore=Memory(), delivery="argocd").delivery is Delivery.ARGOCD
    assert MigrationProps(target_phase="write").target_phase is MigrationPhase.WRITE


@pytest.mark.parametrize("value", ["flux", 5, None, ["helm"]])
def test_other_values_are_left_to_the_check(value: Any) -> None:
    props = SpiceDBProps(datastore=Memory(), delivery=value)
    assert [problem.field for problem in problems(props)] == ["delivery"]


def test_equal_props_have_equal_hashes() -> None:
    props = SpiceDBProps(datastore=PostgreSQL(uri=_KEY), labels={"team": "identity"})
    assert len({props, attrs.evolve(props)}) == 1
    assert len({props, attrs.evolve(props, name="other")}) == 2


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"datastore": PostgreSQL(**{**_PARTS, "database": "a\ud800"})}, "datastore.database"),
        ({"datastore": PostgreSQL(**{**_PARTS, "user": "\udfff"})}, "datastore.user"),
        (
            {"datastore": PostgreSQL(**_PARTS), "schema": SchemaProps(text="definition user {} // \ud800")},
            "schema.text",
        ),
        ({"datastore": Memory(), "annotations": {"note": "\ud800"}}, "annotations"),
    ],
)
def test_a_text_that_cannot_be_written_is_refused(values: dict[str, Any], field: str) -> None:
    [problem] = problems(SpiceDBProps(**values))
    assert problem.field == field
    str(problem).encode()
