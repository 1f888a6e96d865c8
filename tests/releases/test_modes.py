"""The modes of schema storage."""

from __future__ import annotations

from cdk8s_spicedb.releases import SCHEMA_MODES


def test_the_modes_are_in_the_order_in_which_they_are_walked() -> None:
    assert list(SCHEMA_MODES) == [
        "read-legacy-write-legacy",
        "read-legacy-write-both",
        "read-new-write-both",
        "read-new-write-new",
    ]
