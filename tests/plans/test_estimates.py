"""How long the migrations of a plan take, and who waits."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from cattrs import structure

from cdk8s_spicedb import InvalidProps, MigrationProps, PostgreSQL, SpiceDBProps, UpgradePlan, UpgradeStep, plan_upgrade
from cdk8s_spicedb.helm.upgrade import runbook
from cdk8s_spicedb.plans.tables import markdown, table
from cdk8s_spicedb.plans.words import limit_sentence, short_limit, time_sentences
from cdk8s_spicedb.versions import Waits
from tests.synth import POSTGRES

from .costly import COSTS, RELEASES


def plan_of(relationships: int | None = None) -> UpgradePlan:
    return plan_upgrade(PostgreSQL, "v1.1.0", "v1.2.0", releases=RELEASES, relationships=relationships)


def step_of(relationships: int | None = None) -> UpgradeStep:
    (step,) = plan_of(relationships).steps
    return step


def props(**migration: Any) -> SpiceDBProps:
    return SpiceDBProps(version="v1.2.0", datastore=POSTGRES, releases=RELEASES, migration=MigrationProps(**migration))


# ---------------------------------------------------------------- in the plan


def test_each_costly_migration_of_a_step_has_an_estimate() -> None:
    step = step_of(10_000_000)
    assert [estimate.revision for estimate in step.estimates] == list(COSTS)
    assert [estimate.seconds for estimate in step.estimates] == [10, 0, 1000, 0, 4]
    # A database has at most one transaction for each relationship.
    assert {estimate.rows for estimate in step.estimates} == {10_000_000}
    assert (step.seconds, step.deadline_seconds) == (1014, 3060)
    assert step.estimates[-1].waits is Waits.WRITES


def test_without_a_number_of_relationships_the_estimates_are_for_a_million_rows() -> None:
    plan, step = plan_of(), step_of()
    assert (plan.relationships, step.seconds, step.deadline_seconds) == (None, None, None)
    assert [estimate.seconds for estimate in step.estimates] == [1, 0, 100, 0, 0.4]
    assert {estimate.rows for estimate in step.estimates} == {1_000_000}


def test_a_time_limit_that_is_enough_is_not_named() -> None:
    assert step_of(2_900_000).deadline_seconds is None
    assert step_of(3_000_000).deadline_seconds == 960


def test_steps_without_costs_take_no_time() -> None:
    (step,) = plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0", relationships=10**9).steps
    assert (step.estimates, step.seconds, step.deadline_seconds) == ((), 0, None)


@pytest.mark.parametrize("relationships", [0, -1, 10**13, 1.5, "10M", True])
def test_invalid_numbers_of_relationships(relationships: Any) -> None:
    with pytest.raises(InvalidProps, match="relationships"):
        plan_of(relationships)


def test_a_plan_stays_the_same_as_json() -> None:
    plan = plan_of(10_000_000)
    read = json.loads(json.dumps(attrs.asdict(plan)))
    (data,) = read["steps"]
    assert data["estimates"][0] == {
        "revision": "add-index",
        "table": "relation_tuple",
        "rows": 10_000_000,
        "seconds": 10,
        "waits": "none",
        "work": "indexes",
        "lock": "SHARE UPDATE EXCLUSIVE",
    }
    assert structure(data, UpgradeStep) == plan.steps[0]


# ---------------------------------------------------------------- in words


def test_the_table_with_a_number_of_relationships() -> None:
    assert table(plan_of(10_000_000), 100).splitlines() == [
        "postgres v1.1.0 to v1.2.0: 1 step",
        "",
        "#  VERSION  MIGRATES TO  SERVERS RUN WITH  ROLLBACK",
        "",
        "1  v1.2.0   last         -                 works",
        "   Upgrade directly from v1.1.0 to the target.",
        "   Migration add-index indexes relation_tuple, about 10 s for 10 million relationships; nobody",
        "   waits.",
        "   Migration fill-column fills relation_tuple, about 17 min for 10 million relationships (measured",
        "   in batches of 1000 rows); nobody waits.",
        "   Migration index-transactions indexes relation_tuple_transaction, about 4 s for 10 million",
        "   transactions; writes wait.",
        "   Migrations add-column and add-other-column take less than 1 s each; reads and writes wait.",
        "   The migration takes about 17 min in all, and its time limit is 10 min by default: set",
        "   migration.activeDeadlineSeconds to 3060.",
        "",
        "Times are estimates for 10 million relationships and at most as many transactions; on your database,",
        "they differ with its disks, memory and load.",
    ]


def test_the_table_without_a_number_of_relationships() -> None:
    lines = table(plan_of(), 200).splitlines()
    assert [line.strip() for line in lines if "Migration" in line] == [
        "Migration add-index indexes relation_tuple, about 1 s for each million relationships; nobody waits.",
        "Migration fill-column fills relation_tuple, about 100 s for each million relationships (measured in "
        "batches of 1000 rows); nobody waits.",
        "Migration index-transactions indexes relation_tuple_transaction, about 0.4 s for each million transactions; "
        "writes wait.",
        "Migrations add-column and add-other-column take less than 1 s each; reads and writes wait.",
    ]
    assert lines[-1].endswith("add your number of relationships, such as --relationships 10M.")


def test_quick_migrations_for_which_nobody_waits_are_left_out() -> None:
    assert list(time_sentences(step_of(5_000))) == [
        "migration index-transactions indexes relation_tuple_transaction, less than 1 s; writes wait",
        "migrations add-column and add-other-column take less than 1 s each; reads and writes wait",
    ]


def test_a_plan_without_costs_says_nothing_of_times() -> None:
    plan = plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0", relationships=10**9)
    assert "relationships" not in table(plan)
    assert "How long" not in markdown(plan)
    assert "relationships" not in runbook(plan, SpiceDBProps(version="v1.56.0", datastore=POSTGRES))


def test_markdown_has_a_list_of_times() -> None:
    lines = markdown(plan_of(10_000_000)).splitlines()
    start = lines.index("**How long the migrations take, and who waits**")
    assert lines[start + 1 : start + 9] == [
        "",
        "- Step 1: migration add-index indexes `relation_tuple`, about 10 s for 10 million relationships; nobody "
        "waits.",
        "- Step 1: migration fill-column fills `relation_tuple`, about 17 min for 10 million relationships (measured "
        "in batches of 1000 rows); nobody waits.",
        "- Step 1: migration index-transactions indexes `relation_tuple_transaction`, about 4 s for 10 million "
        "transactions; writes wait.",
        "- Step 1: migrations add-column and add-other-column take less than 1 s each; reads and writes wait.",
        "- Step 1: the migration takes about 17 min in all, and its time limit is 10 min by default: set "
        "`migration.activeDeadlineSeconds` to 3060.",
        "",
        "Times are estimates for 10 million relationships and at most as many transactions; on your database, they "
        "differ with its disks, memory and load.",
    ]
    assert "for each million relationships" in markdown(plan_of())
    assert "Times are estimates" not in markdown(plan_of())


def test_the_runbook_knows_the_time_limit_of_the_props() -> None:
    text = runbook(plan_of(10_000_000), props())
    assert "\nTimes are estimates for 10 million relationships" in text
    assert (
        "\n- Migration add-index indexes relation_tuple, about 10 s for 10 million relationships; nobody waits." in text
    )
    limit = (
        "- The migration takes about 17 min in all, and its time limit is 10 min: set "
        "migration.activeDeadlineSeconds to 3060."
    )
    assert limit in text
    assert "its time limit is" not in runbook(plan_of(10_000_000), props(active_deadline_seconds=7200))
    assert "its time limit is" not in runbook(plan_of(10_000_000), props(enabled=False))
    assert "- Migration add-index indexes" in runbook(plan_of(10_000_000), props(enabled=False))
    assert "about 1 s for each million relationships" in runbook(plan_of(), props())
    assert "Times are estimates" not in runbook(plan_of(), props())


# ---------------------------------------------------------------- time limits


def test_spicedbs_own_time_limit_has_to_be_longer_too() -> None:
    (text,) = limit_sentence(step_of(100_000_000))
    assert text == (
        "the migration takes about 2.8 h in all, and its time limit is 10 min by default: set "
        "migration.activeDeadlineSeconds to 30420, and migration.migrationTimeout to slightly less than that (it is "
        "now 60 min)"
    )


@pytest.mark.parametrize(
    ("seconds", "deadline", "enough", "exceeded"),
    [
        (300, 600, None, False),
        (301, 600, 960, False),
        (600, 600, 1800, False),
        (601, 600, 1860, True),
        (500_000, 604_800, 604_800, False),
    ],
)
def test_short_limits(seconds: float, deadline: int, enough: int | None, exceeded: bool) -> None:
    short = short_limit(seconds, MigrationProps(active_deadline_seconds=deadline))
    assert (short.enough if short else None) == enough
    assert (short is not None and short.exceeded) is exceeded
