"""The table of a plan."""

from __future__ import annotations

from cdk8s_spicedb import Memory, MySQL, PostgreSQL, plan_upgrade
from cdk8s_spicedb.plans.tables import table


def test_table_of_one_step() -> None:
    assert table(plan_upgrade(PostgreSQL, "v1.51.1", "v1.52.0"), 100).splitlines() == [
        "postgres v1.51.1 to v1.52.0: 1 step",
        "",
        "#  VERSION  MIGRATES TO  SERVERS RUN WITH  ROLLBACK",
        "",
        "1  v1.52.0  -            -                 works",
        "   Upgrade directly from v1.51.1 to the target; the datastore schema does not change.",
        "   Servers also start on populate-schema-tables, for a rollback to this step.",
    ]


def test_table_of_a_plan_without_steps() -> None:
    assert table(plan_upgrade(PostgreSQL, "v1.56.0", "v1.56.0")) == "postgres v1.56.0 to v1.56.0: nothing to do"


def test_unknown_releases_have_an_unknown_rollback_and_a_warning() -> None:
    lines = table(plan_upgrade(PostgreSQL, "v1.52.0", "v1.99.0"), 200).splitlines()
    assert lines[4].split() == ["1", "v1.99.0", "head", "-", "unknown"]
    assert lines[-1].startswith("Warning: v1.99.0 is not among the releases")
    assert table(plan_upgrade(Memory, "v1.52.0", "v1.56.0")).splitlines()[4].split()[2] == "-"


def test_table_contains_settings_cautions_and_warnings() -> None:
    text = table(plan_upgrade(PostgreSQL, "v1.13.0", "v1.56.0", schema_mode="read-legacy-write-both"))
    assert "--datastore-migration-phase=write-both-read-old" in text
    assert "--experimental-schema-mode=read-legacy-write-both" in text
    assert "does not work" in text
    assert "Before this step: backfill-xid-add-indices: fills" in text
    assert "Warning: servers of v1.13.0" in text


def test_sentences_are_wrapped_and_names_are_not_broken() -> None:
    lines = table(plan_upgrade(MySQL, "v1.19.0", "v1.56.0"), 72).splitlines()
    assert max(map(len, lines)) <= 110
    assert all(len(line) <= 72 for line in lines if line.startswith("   ") and not line.startswith("#"))
    postgres = table(plan_upgrade(PostgreSQL, "v1.38.0", "v1.56.0"), 72)
    assert "add-watch-api-index-to-relation-tuple-table" in postgres
