"""Plans: all pairs of releases have a safe one, and invalid arguments are rejected."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdk8s_spicedb import (
    CockroachDB,
    Datastore,
    EngineReleases,
    InvalidProps,
    Memory,
    MySQL,
    PostgreSQL,
    ReleaseTable,
    SecretKey,
    Spanner,
    Stop,
    UpgradePlan,
    UpgradeStep,
    known_releases,
    plan_upgrade,
)
from cdk8s_spicedb.props.datastores import ENGINES
from cdk8s_spicedb.versions import SCHEMA_MODES, version_order

RELEASES = known_releases()
MIGRATING: list[type[Datastore]] = [CockroachDB, MySQL, PostgreSQL, Spanner]
MODES = list(SCHEMA_MODES)


def versions(plan: UpgradePlan) -> list[str]:
    return [step.version for step in plan.steps]


def stops_between(engine: str, current: str, target: str) -> list[Stop]:
    """The required stops between two releases, according to the data."""
    low, high = version_order(current), version_order(target)
    return [
        stop
        for stop in RELEASES.engines[engine].stops
        if low < version_order(stop.version) <= high and version_order(stop.before) <= high
    ]


def check_plan(plan: UpgradePlan, releases: ReleaseTable = RELEASES) -> None:
    """Checks what is true for all plans between known releases."""
    engine = releases.engines[plan.engine]
    order = engine.revisions.index
    reached = versions(plan)
    assert reached == sorted(reached, key=version_order)
    assert not reached or reached[-1] == plan.target
    assert bool(reached) is (plan.current != plan.target or any(step.schema_mode for step in plan.steps))
    revision = engine.heads[plan.current]
    for step in plan.steps:
        assert step.revision is not None
        # A migration never goes back, and `migrates` is True if and only if the revision changes.
        assert order(step.revision) >= order(revision)
        assert step.migrates is (step.revision != revision)
        # The version can migrate to the revision, and its target is the head only if the head is that revision.
        assert step.revision in releases.revisions(plan.engine, step.version)
        assert (step.target_migration or engine.heads[step.version]) == step.revision
        # Servers become ready on the revision: it is their head, their code accepts it, or they allow it.
        accepted = engine.starts_on(step.version, step.datastore_migration_phase)
        assert step.revision in {*accepted, *step.allowed_migrations}
        assert step.why
        revision = step.revision
    assert not plan.steps or revision == engine.heads[plan.target]


def test_every_pair_of_known_releases_has_a_safe_plan() -> None:
    for engine, known in RELEASES.engines.items():
        ordered = sorted(known.heads, key=version_order)
        for number, current in enumerate(ordered):
            for target in ordered[number:]:
                plan = plan_upgrade(ENGINES[engine], current, target)
                check_plan(plan)
                stops = [stop.version for stop in stops_between(engine, current, target)]
                assert [version for version in dict.fromkeys(versions(plan)) if version in stops] == stops


@given(data=st.data(), datastore=st.sampled_from(MIGRATING))
def test_plans_from_any_release_in_any_mode_are_safe(data: st.DataObject, datastore: type[Datastore]) -> None:
    known = sorted(RELEASES.engines[datastore.engine].heads, key=version_order)
    first = data.draw(st.integers(0, len(known) - 1))
    current, target = known[first], known[data.draw(st.integers(first, len(known) - 1))]
    target_has_modes = RELEASES.takes("experimental-schema-mode", target)
    current_has_modes = RELEASES.takes("experimental-schema-mode", current)
    start = data.draw(st.none() | st.sampled_from(MODES)) if current_has_modes else None
    later_modes = MODES[MODES.index(start or MODES[0]) :]
    end = data.draw(st.none() | st.sampled_from(later_modes)) if target_has_modes else None
    plan = plan_upgrade(datastore, current, target, schema_mode=end, current_schema_mode=start)
    if current != target:
        check_plan(plan)
    modes = [step.schema_mode for step in plan.steps if step.schema_mode is not None]
    numbers = [MODES.index(mode) for mode in dict.fromkeys(modes)]
    # The mode changes one at a time, with a roll-out for each.
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else end in (None, start, MODES[0])
    if end is not None and plan.steps:
        assert plan.steps[-1].schema_mode == end


VERSIONS = st.builds("v{}.{}.{}".format, st.integers(0, 2), st.integers(0, 99), st.integers(0, 9))


@given(current=VERSIONS, target=VERSIONS, datastore=st.sampled_from([*MIGRATING, Memory]))
def test_unknown_versions_are_planned_with_a_warning(current: str, target: str, datastore: type[Datastore]) -> None:
    assume(version_order(current) < version_order(target))
    plan = plan_upgrade(datastore, current, target)
    assert versions(plan)[-1] == target
    assert versions(plan) == sorted(versions(plan), key=version_order)
    if datastore.migrates:
        for version in (current, target):
            warned = any(f"{version} is not among the releases" in warning for warning in plan.warnings)
            assert warned is not RELEASES.knows(datastore.engine, version)


@given(current=VERSIONS, target=VERSIONS, datastore=st.sampled_from(MIGRATING))
def test_an_older_target_is_rejected(current: str, target: str, datastore: type[Datastore]) -> None:
    assume(version_order(current) > version_order(target))
    with pytest.raises(InvalidProps, match=r"migrations only go forward\n.*roll back with your tool.*backup"):
        plan_upgrade(datastore, current, target)


# ---------------------------------------------------------------- plans with required stops


def planned(datastore: type[Datastore], current: str, target: str) -> list[tuple[Any, ...]]:
    plan = plan_upgrade(datastore, current, target)
    return [(step.version, step.revision, step.datastore_migration_phase) for step in plan.steps]


POSTGRES_PHASES = [
    ("v1.14.0", "add-xid-columns", "write-both-read-old"),
    ("v1.14.0", "add-xid-constraints", "write-both-read-new"),
    ("v1.14.0", "drop-id-constraints", None),
    ("v1.14.0", "drop-bigserial-ids", None),
]
SPANNER_PHASES = [
    ("v1.22.2", "register-tuple-change-stream", "write-changelog-read-changelog"),
    ("v1.22.2", "register-tuple-change-stream", "write-changelog-read-stream"),
    ("v1.22.2", "register-tuple-change-stream", None),
    ("v1.22.2", "drop-changelog-table", None),
]


def test_postgres_changes_transaction_ids_in_phases() -> None:
    assert planned(PostgreSQL, "v1.13.0", "v1.14.0") == POSTGRES_PHASES
    assert planned(PostgreSQL, "v1.2.0", "v1.14.1") == [*POSTGRES_PHASES, ("v1.14.1", "drop-bigserial-ids", None)]
    assert planned(PostgreSQL, "v1.14.0", "v1.15.0") == [("v1.15.0", "drop-bigserial-ids", None)]
    assert planned(MySQL, "v1.13.0", "v1.14.0") == [("v1.14.0", "add_caveat", None)]


def test_spanner_moves_to_change_streams_in_two_stops() -> None:
    assert planned(Spanner, "v1.21.0", "v1.23.0") == [*SPANNER_PHASES, ("v1.23.0", "drop-changelog-table", None)]
    assert planned(Spanner, "v1.26.0", "v1.30.0") == [
        ("v1.29.5", "register-combined-change-stream", None),
        ("v1.29.5", "delete-older-changestreams", None),
        ("v1.30.0", "delete-older-changestreams", None),
    ]


def test_a_release_in_the_middle_of_a_stop_skips_its_done_roll_outs() -> None:
    assert planned(Spanner, "v1.22.0", "v1.23.0") == [
        ("v1.22.2", "drop-changelog-table", None),
        ("v1.23.0", "drop-changelog-table", None),
    ]


def test_cockroachdb_stops_using_statistics_before_it_drops_them() -> None:
    plan = plan_upgrade(CockroachDB, "v1.29.5", "v1.30.0")
    assert [(step.version, step.revision, step.migrates) for step in plan.steps] == [
        ("v1.30.0", "add-caveats", False),
        ("v1.30.0", "remove-stats-table", True),
    ]


@pytest.mark.parametrize("datastore", MIGRATING)
@pytest.mark.parametrize(
    ("current", "target", "expected"),
    [
        ("v1.35.3", "v1.36.2", ["v1.36.2"]),
        ("v1.35.3", "v1.36.3", ["v1.36.3"]),
        ("v1.35.3", "v1.37.0", ["v1.36.2", "v1.37.0"]),
        ("v1.35.3", "v1.38.0", ["v1.36.2", "v1.38.0"]),
        ("v1.36.2", "v1.38.1", ["v1.38.1"]),
        ("v1.36.2", "v1.39.0", ["v1.37.1", "v1.39.0"]),
        ("v1.35.3", "v1.56.0", ["v1.36.2", "v1.37.1", "v1.56.0"]),
        ("v1.38.0", "v1.56.0", ["v1.56.0"]),
        ("v1.56.0", "v1.56.0", []),
    ],
)
def test_upgrades_stop_where_the_dispatch_of_lookup_resources_changes(
    datastore: type[Datastore], current: str, target: str, expected: list[str]
) -> None:
    assert versions(plan_upgrade(datastore, current, target)) == expected


@pytest.mark.parametrize("current", ["v1.52.0", "v1.53.0"])
def test_mysql_warns_about_the_rebuild_of_its_table(current: str) -> None:
    (step,) = plan_upgrade(MySQL, current, "v1.54.0").steps
    (caution,) = step.cautions
    assert caution.startswith("identifiers_case_sensitive: ")
    assert "blocks writes" in caution
    assert "little traffic" in caution
    assert "time limit of the migration" in caution
    assert "gh-ost" in caution
    (after,) = plan_upgrade(MySQL, "v1.54.0", "v1.56.0").steps
    assert after.cautions == ()


def test_revisions_with_the_same_caution_share_it() -> None:
    (step,) = plan_upgrade(PostgreSQL, "v1.38.0", "v1.52.0").steps
    (caution,) = step.cautions
    names, _, _ = caution.partition(": ")
    assert names == (
        "add-watch-api-index-to-relation-tuple-table, add-expiration-cleanup-index, add-index-for-transaction-gc"
    )


def test_the_memory_engine_does_not_migrate() -> None:
    plan = plan_upgrade(Memory, "v1.30.0", "v1.56.0")
    (step,) = plan.steps
    assert (step.version, step.revision, step.migrates, step.target_migration) == ("v1.56.0", None, False, None)
    assert plan.warnings == (
        "the memory engine stores nothing permanently: a new server starts without relationships and schema",
    )


# ---------------------------------------------------------------- rollbacks


def rolls_back(plan: UpgradePlan) -> list[bool | None]:
    return [step.rolls_back for step in plan.steps]


def test_a_step_rolls_back_if_earlier_servers_start_on_its_revision() -> None:
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0")) == [True]
    # Within a stop, servers accept the next revision. Servers before the stop do not.
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.13.0", "v1.14.0")) == [False, True, True, True]
    assert rolls_back(plan_upgrade(Spanner, "v1.21.0", "v1.22.2")) == [False, True, True, True]
    assert rolls_back(plan_upgrade(CockroachDB, "v1.29.5", "v1.30.0")) == [True, True]
    # Servers of any release start if the schema does not change.
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.36.2", "v1.37.1")) == [True]
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.38.0", "v1.39.0")) == [False]
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.39.0", "v1.40.0")) == [True]


def test_rollbacks_of_unknown_releases_are_unknown() -> None:
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.52.0", "v1.99.0")) == [None]
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.52.7", "v1.53.0")) == [None]
    assert rolls_back(plan_upgrade(Memory, "v1.52.0", "v1.56.0")) == [True]  # it has no schema


def test_steps_between_unknown_releases_may_migrate() -> None:
    (step,) = plan_upgrade(PostgreSQL, "v0.0.1", "v0.0.2").steps
    assert (step.revision, step.target_migration, step.migrates) == (None, None, True)
    assert "does not change" not in step.why


@pytest.mark.parametrize("datastore", MIGRATING)
def test_upgrades_from_before_the_oldest_known_release_skip_no_roll_outs(datastore: type[Datastore]) -> None:
    oldest = min(RELEASES.engines[datastore.engine].heads, key=version_order)
    from_known = planned(datastore, oldest, "v1.56.0")
    assert planned(datastore, "v0.9.0", "v1.56.0") == from_known
    assert planned(datastore, f"{oldest}-rc1", "v1.56.0")[-len(from_known) :] == from_known


@given(current=VERSIONS, datastore=st.sampled_from(MIGRATING))
def test_upgrades_from_any_release_skip_no_stops(current: str, datastore: type[Datastore]) -> None:
    assume(version_order(current) < version_order("v1.56.0"))
    stops = {stop.version for stop in stops_between(datastore.engine, current, "v1.56.0")}
    assert stops <= set(versions(plan_upgrade(datastore, current, "v1.56.0")))


def test_a_pre_release_has_the_migrations_of_its_release() -> None:
    assert planned(Spanner, "v1.22.0-rc8", "v1.23.0") == planned(Spanner, "v1.22.0", "v1.23.0")
    for datastore, current, target in (
        (Spanner, "v1.21.0", "v1.22.0-rc8"),
        (PostgreSQL, "v1.13.0", "v1.14.0-rc1"),
        (PostgreSQL, "v1.35.3", "v1.36.1"),
    ):
        warned = [text for text in plan_upgrade(datastore, current, target).warnings if "no safe steps" in text]
        assert len(warned) == (0 if target == "v1.36.1" else 1), target


def test_an_unknown_target_has_no_cautions_of_later_releases() -> None:
    (step,) = plan_upgrade(MySQL, "v1.51.0", "v1.52.5").steps
    assert step.cautions == ()


def test_a_subclass_of_a_datastore_has_the_same_plan() -> None:
    class Subclass(PostgreSQL):
        """Changes nothing."""

    assert plan_upgrade(Subclass, "v1.52.0", "v1.56.0") == plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0")


def test_a_warning_names_releases_that_do_not_start_on_the_newer_schema() -> None:
    (warning,) = plan_upgrade(PostgreSQL, "v1.13.0", "v1.56.0").warnings
    assert warning.startswith("servers of v1.13.0, v1.14.0, v1.37.1 do not start on the newer schema")
    assert "backup" in warning
    assert plan_upgrade(PostgreSQL, "v1.39.0", "v1.56.0").warnings == ()


# ---------------------------------------------------------------- schema modes


def test_each_mode_is_a_step_after_the_target_is_reached() -> None:
    plan = plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0", schema_mode="read-new-write-new")
    assert [(step.version, step.schema_mode, step.migrates) for step in plan.steps] == [
        ("v1.56.0", "read-legacy-write-legacy", True),
        ("v1.56.0", "read-legacy-write-both", False),
        ("v1.56.0", "read-new-write-both", False),
        ("v1.56.0", "read-new-write-new", False),
    ]
    assert rolls_back(plan) == [True, True, True, True]


def test_plans_without_modes_set_no_mode() -> None:
    (step,) = plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0").steps
    assert step.schema_mode is None


def test_an_upgrade_keeps_the_current_mode() -> None:
    (step,) = plan_upgrade(PostgreSQL, "v1.54.0", "v1.56.0", current_schema_mode="read-new-write-both").steps
    assert step.schema_mode == "read-new-write-both"


def test_a_plan_continues_from_the_current_mode() -> None:
    plan = plan_upgrade(
        PostgreSQL,
        "v1.56.0",
        "v1.56.0",
        schema_mode="read-new-write-new",
        current_schema_mode="read-legacy-write-both",
    )
    assert [step.schema_mode for step in plan.steps] == ["read-new-write-both", "read-new-write-new"]


@pytest.mark.parametrize("current", [None, "read-legacy-write-both"])
def test_the_schema_must_be_written_again_before_the_unified_table_is_read(current: str | None) -> None:
    plan = plan_upgrade(PostgreSQL, "v1.56.0", "v1.56.0", schema_mode="read-new-write-new", current_schema_mode=current)
    cautions = {step.schema_mode: step.cautions for step in plan.steps if step.cautions}
    assert list(cautions) == ["read-new-write-both"]
    assert "write the schema again" in cautions["read-new-write-both"][0]


# ---------------------------------------------------------------- invalid arguments and warnings


@pytest.mark.parametrize(
    ("datastore", "current", "target", "options", "expected"),
    [
        (PostgreSQL, "1.52.0", "v1.56.0", {}, ["current = '1.52.0'"]),
        (PostgreSQL, "latest", "newest", {}, ["current = 'latest'", "target = 'newest'"]),
        (PostgreSQL, None, 3, {}, ["current = None", "target = 3"]),
        ("postgres", "v1.52.0", "v1.56.0", {}, ["datastore = (text, hidden: may be a secret)"]),
        (Datastore, "v1.52.0", "v1.56.0", {}, ["datastore = ("]),
        (PostgreSQL, "v1.57.0-rc2", "v1.57.0-rc1", {}, ["target = 'v1.57.0-rc1'"]),
        (PostgreSQL, "v1.52.0", "v1.56.0", {"schema_mode": "new"}, ["schema_mode = 'new'"]),
        (PostgreSQL, "v1.40.0", "v1.52.0", {"schema_mode": MODES[1]}, [f"schema_mode = '{MODES[1]}'"]),
        (
            PostgreSQL,
            "v1.52.0",
            "v1.56.0",
            {"current_schema_mode": MODES[1]},
            ["None at v1.52.0: --experimental-schema-mode exists since v1.53.0"],
        ),
        (Memory, "v1.56.0", "v1.56.0", {"schema_mode": MODES[1]}, ["None with the memory engine"]),
        (
            PostgreSQL,
            "v1.56.0",
            "v1.56.0",
            {"schema_mode": MODES[0], "current_schema_mode": MODES[2]},
            ["allowed: read-new-write-both, read-new-write-new", "helm rollback"],
        ),
        (PostgreSQL, "v1.56.0", "v1.52.0", {"schema_mode": MODES[1]}, ["v1.56.0 or later", "None at v1.52.0"]),
        (PostgreSQL, "v1.52.0", "v1.56.0", {"releases": {}}, ["releases = {}"]),
        (PostgreSQL(), "v1.52.0", "v1.56.0", {}, ["datastore."]),
    ],
)
def test_invalid_arguments_are_rejected(
    datastore: Any, current: Any, target: Any, options: dict[str, Any], expected: list[str]
) -> None:
    with pytest.raises(InvalidProps) as raised:
        plan_upgrade(datastore, current, target, **options)
    assert raised.value.subject == "plan_upgrade"
    for text in expected:
        assert text in str(raised.value)


def test_a_datastore_has_the_same_plan_as_its_class() -> None:
    datastore = PostgreSQL(uri=SecretKey("spicedb", "uri"))
    assert plan_upgrade(datastore, "v1.52.0", "v1.56.0") == plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0")


def test_a_withdrawn_target_has_a_warning() -> None:
    assert plan_upgrade(PostgreSQL, "v1.48.0", "v1.50.0").warnings == (
        "the SpiceDB maintainers withdrew v1.50.0: use v1.51.1 (GHSA-jf4f-rr2c-9m58)",
    )
    assert plan_upgrade(PostgreSQL, "v1.50.0", "v1.51.1").warnings == ()


def test_stops_are_not_withdrawn_releases() -> None:
    stops = {stop.version for engine in RELEASES.engines.values() for stop in engine.stops}
    assert stops
    assert stops.isdisjoint(RELEASES.withdrawn)


def test_a_target_without_safe_steps_has_a_warning() -> None:
    plan = plan_upgrade(Spanner, "v1.28.0", "v1.29.2")
    assert versions(plan) == ["v1.29.2"]
    assert plan.warnings[0].startswith("there are no safe steps to v1.29.2")
    assert plan.warnings[0].endswith("upgrade to v1.29.5 or later instead")


def test_a_release_that_the_user_adds_has_a_plan() -> None:
    table = RELEASES.with_release("v1.60.0", {"postgres": ["add-something"]})
    plan = plan_upgrade(PostgreSQL, "v1.52.0", "v1.60.0", releases=table)
    check_plan(plan, table)
    assert plan.warnings == ()
    (step,) = plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0", releases=table).steps
    assert step.allowed_migrations == ("add-something",)


def test_a_stop_that_the_user_adds_is_planned() -> None:
    stop = Stop("v1.2.0", "v1.3.0", "a test wants it", "this file")
    toy = EngineReleases(("one", "two"), {"v1.1.0": "one", "v1.2.0": "one", "v1.3.0": "two"}, (stop,))
    plan = plan_upgrade(PostgreSQL, "v1.1.0", "v1.3.0", releases=ReleaseTable({"postgres": toy}))
    assert [(step.version, step.why) for step in plan.steps] == [
        ("v1.2.0", "required stop: a test wants it"),
        ("v1.3.0", "upgrade directly from v1.2.0 to the target"),
    ]


def test_steps_are_comparable() -> None:
    (step,) = plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0").steps
    assert step == UpgradeStep(
        version="v1.56.0",
        revision="populate-schema-tables",
        target_migration=None,
        migrates=True,
        schema_mode=None,
        datastore_migration_phase=None,
        allowed_migrations=(),
        rolls_back=True,
        why="upgrade directly from v1.52.0 to the target",
    )


def test_an_older_target_of_the_memory_engine_is_rejected_without_a_backup() -> None:
    with pytest.raises(InvalidProps, match="install the older release directly") as raised:
        plan_upgrade(Memory, "v1.56.0", "v1.52.0")
    assert "backup" not in str(raised.value)
