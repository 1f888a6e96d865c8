"""A plan as the comment on a pull request."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from cdk8s_spicedb import Memory, MySQL, PostgreSQL, plan_upgrade
from cdk8s_spicedb.plans.tables import markdown
from cdk8s_spicedb.props.datastores import ENGINES


def test_one_step() -> None:
    assert markdown(plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0")).splitlines() == [
        "### SpiceDB v1.52.0 → v1.56.0 on postgres",
        "",
        "One step. [Release notes of v1.56.0](https://github.com/authzed/spicedb/releases/tag/v1.56.0).",
        "",
        "| Step | SpiceDB | Migrates the datastore to | Servers run with | Rollback |",
        "| --- | --- | --- | --- | --- |",
        "| 1 | v1.56.0 | `populate-schema-tables` | - | works |",
        "",
        "A rollback changes the servers. The datastore schema stays as it is, because it only goes forward.",
        "",
        "<details><summary>Why each step</summary>",
        "",
        "1. Upgrade directly from v1.52.0 to the target.",
        "",
        "</details>",
    ]


def test_nothing_to_do() -> None:
    text = markdown(plan_upgrade(PostgreSQL, "v1.56.0", "v1.56.0"))
    assert text == "### SpiceDB v1.56.0 → v1.56.0 on postgres\n\nNothing to do."


def test_what_cannot_be_rolled_back_is_said_above_the_details() -> None:
    text = markdown(plan_upgrade(PostgreSQL, "v1.13.0", "v1.56.0"))
    assert "7 steps, in this order." in text
    assert [line for line in text.splitlines() if line.startswith("- **")] == [
        "- **A rollback of step 1 does not work:** servers of v1.13.0 do not start on `add-xid-columns`.",
        "- **A rollback of step 5 does not work:** servers of v1.14.0 do not start on "
        "`create-relationships-counters-table`.",
        "- **A rollback of step 7 does not work:** servers of v1.37.1 do not start on `populate-schema-tables`.",
    ]
    assert "**Make a backup of the datastore first, as `upgrade` does.**" in text
    assert "| 1 | v1.14.0 | `add-xid-columns` | `--datastore-migration-phase=write-both-read-old` | restore |" in text
    assert "- Step 2: add-xid-constraints: locks tables" in text
    assert "raise the time limit of the migration." in text
    assert "> [!WARNING]\n> Servers of v1.13.0" in text
    assert text.index("Make a backup") < text.index("Before you begin") < text.index("<details>")


def test_an_unknown_release_has_an_unknown_rollback() -> None:
    text = markdown(plan_upgrade(MySQL, "v1.56.0", "v1.99.0"))
    assert "- **A rollback of step 1 may not work:** it is not known whether servers of v1.56.0 start on the" in text
    assert "| 1 | v1.99.0 | its head | - | unknown |" in text
    assert "> v1.99.0 is not among the releases" in text


def test_without_a_migration_the_schema_stays() -> None:
    assert "The datastore schema does not change." in markdown(plan_upgrade(Memory, "v1.52.0", "v1.56.0"))
    assert "The datastore schema does not change." in markdown(plan_upgrade(PostgreSQL, "v1.51.1", "v1.52.0"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("start", ["v1.13.0", "v1.21.0", "v1.29.5", "v1.48.0", "v1.54.0"])
def test_the_table_has_a_row_for_each_step(engine: str, start: str) -> None:
    plan = plan_upgrade(ENGINES[engine], start, "v1.56.0")
    html = import_module("markdown").markdown(markdown(plan), extensions=["tables"])
    assert html.count("<tr>") == len(plan.steps) + 1
    assert html.count("<td>") == 5 * len(plan.steps)
    # Names stay whole, because they are code, or because nothing in them is Markdown.
    assert not re.search(r"<em>|<strong>[^<]*[*_]", html)
