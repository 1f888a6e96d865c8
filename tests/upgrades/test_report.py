"""A plan as people read it."""

from __future__ import annotations

from cdk8s_spicedb import Memory, MySQL, PostgreSQL, plan_upgrade
from cdk8s_spicedb.upgrades.report import table


def test_an_upgrade_in_one_step() -> None:
    assert table(plan_upgrade(PostgreSQL, "v1.51.1", "v1.52.0"), 80).splitlines() == [
        "postgres v1.51.1 to v1.52.0: 1 step",
        "",
        "#  VERSION  MIGRATES TO  SERVERS RUN WITH  ROLLBACK",
        "",
        "1  v1.52.0  -            -                 ready",
        "   The target, reached directly from v1.51.1; the schema stays as it is.",
        "   Its servers also start on populate-schema-tables.",
    ]


def test_nothing_to_do() -> None:
    assert table(plan_upgrade(PostgreSQL, "v1.56.0", "v1.56.0")) == "postgres v1.56.0 to v1.56.0: nothing to do"


def test_what_is_not_known_is_said() -> None:
    lines = table(plan_upgrade(PostgreSQL, "v1.52.0", "v1.99.0"), 200).splitlines()
    assert lines[4].split() == ["1", "v1.99.0", "head", "-", "not", "known"]
    assert lines[-1].startswith("Warning: v1.99.0 is not among the releases")
    assert table(plan_upgrade(Memory, "v1.52.0", "v1.56.0")).splitlines()[4].split()[2] == "-"


def test_settings_cautions_and_warnings_are_there() -> None:
    text = table(plan_upgrade(PostgreSQL, "v1.13.0", "v1.56.0", schema_mode="read-legacy-write-both"))
    assert "--datastore-migration-phase=write-both-read-old" in text
    assert "--experimental-schema-mode=read-legacy-write-both" in text
    assert "not ready" in text
    assert "Before it: backfill-xid-add-indices: fills" in text
    assert "Warning: servers of v1.13.0" in text


def test_sentences_keep_to_the_width_and_names_stay_whole() -> None:
    lines = table(plan_upgrade(MySQL, "v1.19.0", "v1.56.0"), 72).splitlines()
    assert max(map(len, lines)) <= 110
    assert all(len(line) <= 72 for line in lines if line.startswith("   ") and not line.startswith("#"))
    postgres = table(plan_upgrade(PostgreSQL, "v1.38.0", "v1.56.0"), 72)
    assert "add-watch-api-index-to-relation-tuple-table" in postgres
