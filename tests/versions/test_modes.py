"""The modes of schema storage."""

from __future__ import annotations

from cdk8s_spicedb.versions import SCHEMA_MODES


def test_schema_modes_are_in_migration_order() -> None:
    assert list(SCHEMA_MODES) == [
        "read-legacy-write-legacy",
        "read-legacy-write-both",
        "read-new-write-both",
        "read-new-write-new",
    ]
