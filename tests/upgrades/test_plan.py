"""Plans: every pair of releases has one, it is safe at every step, and what cannot be is refused with the reason."""

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
from cdk8s_spicedb.releases import SCHEMA_MODES, version_order

RELEASES = known_releases()
MIGRATING: list[type[Datastore]] = [CockroachDB, MySQL, PostgreSQL, Spanner]
MODES = list(SCHEMA_MODES)


def versions(plan: UpgradePlan) -> list[str]:
    return [step.version for step in plan.steps]


def stops_between(engine: str, current: str, target: str) -> list[Stop]:
    """The stops that an upgrade must not skip, as the data says."""
    low, high = version_order(current), version_order(target)
    return [
        stop
        for stop in RELEASES.engines[engine].stops
        if low < version_order(stop.version) <= high and version_order(stop.before) <= high
    ]


def check_plan(plan: UpgradePlan, releases: ReleaseTable = RELEASES) -> None:
    """What holds for every plan between known releases."""
    engine = releases.engines[plan.engine]
    order = engine.revisions.index
    way = versions(plan)
    assert way == sorted(way, key=version_order)
    assert not way or way[-1] == plan.target
    assert bool(way) is (plan.current != plan.target or any(step.schema_mode for step in plan.steps))
    at = engine.heads[plan.current]
    for step in plan.steps:
        assert step.revision is not None
        # A migration never goes back, and is announced exactly when there is one.
        assert order(step.revision) >= order(at)
        assert step.migrates is (step.revision != at)
        # The version's own program can migrate there, and `head` is said only where that is its head.
        assert step.revision in releases.revisions(plan.engine, step.version)
        assert (step.target_migration or engine.heads[step.version]) == step.revision
        # Its servers turn ready there: it is their head, or their code accepts it, or they are told to.
        accepted = engine.starts_on(step.version, step.datastore_migration_phase)
        assert step.revision in {*accepted, *step.allowed_migrations}
        assert step.why
        at = step.revision
    assert not plan.steps or at == engine.heads[plan.target]


def test_every_pair_of_known_releases_has_a_safe_plan() -> None:
    for engine, known in RELEASES.engines.items():
        ordered = sorted(known.heads, key=version_order)
        for number, current in enumerate(ordered):
            for target in ordered[number:]:
                plan = plan_upgrade(ENGINES[engine], current, target)
                check_plan(plan)
                missed = [stop.version for stop in stops_between(engine, current, target)]
                assert [version for version in dict.fromkeys(versions(plan)) if version in missed] == missed


@given(data=st.data(), datastore=st.sampled_from(MIGRATING))
def test_a_plan_from_any_release_in_any_mode(data: st.DataObject, datastore: type[Datastore]) -> None:
    known = sorted(RELEASES.engines[datastore.engine].heads, key=version_order)
    first = data.draw(st.integers(0, len(known) - 1))
    current, target = known[first], known[data.draw(st.integers(first, len(known) - 1))]
    takes = RELEASES.takes("experimental-schema-mode", target)
    runs = RELEASES.takes("experimental-schema-mode", current)
    now = data.draw(st.none() | st.sampled_from(MODES)) if runs else None
    wanted = data.draw(st.none() | st.sampled_from(MODES[MODES.index(now or MODES[0]) :])) if takes else None
    plan = plan_upgrade(datastore, current, target, schema_mode=wanted, current_schema_mode=now)
    if current != target:
        check_plan(plan)
    modes = [step.schema_mode for step in plan.steps if step.schema_mode is not None]
    walked = [MODES.index(mode) for mode in dict.fromkeys(modes)]
    # One mode at a time, from the one that runs to the one that is wanted, and each a roll-out of its own.
    assert walked == list(range(walked[0], walked[0] + len(walked))) if walked else wanted in (None, now, MODES[0])
    if wanted is not None and plan.steps:
        assert plan.steps[-1].schema_mode == wanted


VERSIONS = st.builds("v{}.{}.{}".format, st.integers(0, 2), st.integers(0, 99), st.integers(0, 9))


@given(current=VERSIONS, target=VERSIONS, datastore=st.sampled_from([*MIGRATING, Memory]))
def test_no_version_is_refused_for_being_unknown(current: str, target: str, datastore: type[Datastore]) -> None:
    assume(version_order(current) < version_order(target))
    plan = plan_upgrade(datastore, current, target)
    assert versions(plan)[-1] == target
    assert versions(plan) == sorted(versions(plan), key=version_order)
    if datastore.migrates:
        for version in (current, target):
            told = any(f"{version} is not among the releases" in warning for warning in plan.warnings)
            assert told is not RELEASES.knows(datastore.engine, version)


@given(current=VERSIONS, target=VERSIONS, datastore=st.sampled_from(MIGRATING))
def test_the_way_back_is_refused(current: str, target: str, datastore: type[Datastore]) -> None:
    assume(version_order(current) > version_order(target))
    with pytest.raises(InvalidProps, match=r"migrations only go forward\n.*helm rollback.*backup"):
        plan_upgrade(datastore, current, target)


# ---------------------------------------------------------------- the ways that are known to be special


def way(datastore: type[Datastore], current: str, target: str, **more: Any) -> list[tuple[Any, ...]]:
    plan = plan_upgrade(datastore, current, target, **more)
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


def test_postgres_changes_its_transaction_ids_in_three_phases() -> None:
    assert way(PostgreSQL, "v1.13.0", "v1.14.0") == POSTGRES_PHASES
    assert way(PostgreSQL, "v1.2.0", "v1.14.1") == [*POSTGRES_PHASES, ("v1.14.1", "drop-bigserial-ids", None)]
    assert way(PostgreSQL, "v1.14.0", "v1.15.0") == [("v1.15.0", "drop-bigserial-ids", None)]
    assert way(MySQL, "v1.13.0", "v1.14.0") == [("v1.14.0", "add_caveat", None)]


def test_spanner_moves_to_change_streams_in_two_stops() -> None:
    assert way(Spanner, "v1.21.0", "v1.23.0") == [*SPANNER_PHASES, ("v1.23.0", "drop-changelog-table", None)]
    assert way(Spanner, "v1.26.0", "v1.30.0") == [
        ("v1.29.5", "register-combined-change-stream", None),
        ("v1.29.5", "delete-older-changestreams", None),
        ("v1.30.0", "delete-older-changestreams", None),
    ]


def test_a_release_in_the_middle_of_a_stop_does_not_migrate_back() -> None:
    assert way(Spanner, "v1.22.0", "v1.23.0") == [
        ("v1.22.2", "drop-changelog-table", None),
        ("v1.23.0", "drop-changelog-table", None),
    ]


def test_cockroachdb_first_leaves_its_statistics_alone_and_then_drops_them() -> None:
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
def test_servers_that_dispatch_to_each_other_understand_each_other(
    datastore: type[Datastore], current: str, target: str, expected: list[str]
) -> None:
    assert versions(plan_upgrade(datastore, current, target)) == expected


@pytest.mark.parametrize("current", ["v1.52.0", "v1.53.0"])
def test_mysql_says_what_its_long_rebuild_means_and_what_to_do(current: str) -> None:
    (step,) = plan_upgrade(MySQL, current, "v1.54.0").steps
    (caution,) = step.cautions
    assert caution.startswith("identifiers_case_sensitive: ")
    assert "writes wait" in caution
    assert "quiet hour" in caution
    assert "active_deadline_seconds" in caution
    assert "gh-ost" in caution
    (after,) = plan_upgrade(MySQL, "v1.54.0", "v1.56.0").steps
    assert after.cautions == ()


def test_migrations_with_the_same_caution_share_it() -> None:
    (step,) = plan_upgrade(PostgreSQL, "v1.38.0", "v1.52.0").steps
    (caution,) = step.cautions
    names, _, _ = caution.partition(": ")
    assert names == (
        "add-watch-api-index-to-relation-tuple-table, add-expiration-cleanup-index, add-index-for-transaction-gc"
    )


def test_the_memory_engine_has_nothing_to_migrate() -> None:
    plan = plan_upgrade(Memory, "v1.30.0", "v1.56.0")
    (step,) = plan.steps
    assert (step.version, step.revision, step.migrates, step.target_migration) == ("v1.56.0", None, False, None)
    assert plan.warnings == (
        "the memory engine keeps nothing: relationships and schema are gone when its server is replaced",
    )


# ---------------------------------------------------------------- going back


def rolls_back(plan: UpgradePlan) -> list[bool | None]:
    return [step.rolls_back for step in plan.steps]


def test_a_rollback_turns_ready_where_servers_start_on_what_the_step_leaves() -> None:
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0")) == [True]
    # Within a stop, the program's own code accepts what comes next; before it, nothing does.
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.13.0", "v1.14.0")) == [False, True, True, True]
    assert rolls_back(plan_upgrade(Spanner, "v1.21.0", "v1.22.2")) == [False, True, True, True]
    assert rolls_back(plan_upgrade(CockroachDB, "v1.29.5", "v1.30.0")) == [True, True]
    # The same schema is no obstacle at any age.
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.36.2", "v1.37.1")) == [True]
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.38.0", "v1.39.0")) == [False]
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.39.0", "v1.40.0")) == [True]


def test_what_is_not_known_of_a_rollback_is_not_promised() -> None:
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.52.0", "v1.99.0")) == [None]
    assert rolls_back(plan_upgrade(PostgreSQL, "v1.52.7", "v1.53.0")) == [None]
    assert rolls_back(plan_upgrade(Memory, "v1.52.0", "v1.56.0")) == [True]  # it starts on nothing


def test_between_releases_that_are_not_known_something_may_migrate() -> None:
    (step,) = plan_upgrade(PostgreSQL, "v0.0.1", "v0.0.2").steps
    assert (step.revision, step.target_migration, step.migrates) == (None, None, True)
    assert "schema stays" not in step.why


@pytest.mark.parametrize("datastore", MIGRATING)
def test_no_roll_out_is_skipped_from_a_release_older_than_all_that_are_known(datastore: type[Datastore]) -> None:
    oldest = min(RELEASES.engines[datastore.engine].heads, key=version_order)
    from_known = way(datastore, oldest, "v1.56.0")
    assert way(datastore, "v0.9.0", "v1.56.0") == from_known
    assert way(datastore, f"{oldest}-rc1", "v1.56.0")[-len(from_known) :] == from_known


@given(current=VERSIONS, datastore=st.sampled_from(MIGRATING))
def test_no_stop_is_skipped_from_any_release(current: str, datastore: type[Datastore]) -> None:
    assume(version_order(current) < version_order("v1.56.0"))
    reached = versions(plan_upgrade(datastore, current, "v1.56.0"))
    assert [
        stop.version for stop in stops_between(datastore.engine, current, "v1.56.0") if stop.version not in reached
    ] == []


def test_a_pre_release_is_past_what_its_release_is_past() -> None:
    assert way(Spanner, "v1.22.0-rc8", "v1.23.0") == way(Spanner, "v1.22.0", "v1.23.0")
    for datastore, current, target in (
        (Spanner, "v1.21.0", "v1.22.0-rc8"),
        (PostgreSQL, "v1.13.0", "v1.14.0-rc1"),
        (PostgreSQL, "v1.35.3", "v1.36.1"),
    ):
        warned = [text for text in plan_upgrade(datastore, current, target).warnings if "no step of its own" in text]
        assert len(warned) == (0 if target == "v1.36.1" else 1), target


def test_an_unknown_target_has_no_cautions_of_later_releases() -> None:
    (step,) = plan_upgrade(MySQL, "v1.51.0", "v1.52.5").steps
    assert step.cautions == ()


def test_a_class_of_ones_own_will_do() -> None:
    class Own(PostgreSQL):
        """With nothing of its own."""

    assert plan_upgrade(Own, "v1.52.0", "v1.56.0") == plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0")


def test_releases_whose_servers_cannot_come_back_are_named() -> None:
    (warning,) = plan_upgrade(PostgreSQL, "v1.13.0", "v1.56.0").warnings
    assert warning.startswith("servers of v1.13.0, v1.14.0, v1.37.1 cannot be told to start on the newer schema")
    assert "backup" in warning
    assert plan_upgrade(PostgreSQL, "v1.39.0", "v1.56.0").warnings == ()


# ---------------------------------------------------------------- schema modes


def test_modes_are_walked_one_at_a_time_after_the_target_is_reached() -> None:
    plan = plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0", schema_mode="read-new-write-new")
    assert [(step.version, step.schema_mode, step.migrates) for step in plan.steps] == [
        ("v1.56.0", "read-legacy-write-legacy", True),
        ("v1.56.0", "read-legacy-write-both", False),
        ("v1.56.0", "read-new-write-both", False),
        ("v1.56.0", "read-new-write-new", False),
    ]
    assert rolls_back(plan) == [True, True, True, True]


def test_what_is_not_asked_for_is_not_said() -> None:
    (step,) = plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0").steps
    assert step.schema_mode is None


def test_a_mode_stays_through_an_upgrade() -> None:
    (step,) = plan_upgrade(PostgreSQL, "v1.54.0", "v1.56.0", current_schema_mode="read-new-write-both").steps
    assert step.schema_mode == "read-new-write-both"


def test_a_move_that_has_begun_goes_on() -> None:
    plan = plan_upgrade(
        PostgreSQL,
        "v1.56.0",
        "v1.56.0",
        schema_mode="read-new-write-new",
        current_schema_mode="read-legacy-write-both",
    )
    assert [step.schema_mode for step in plan.steps] == ["read-new-write-both", "read-new-write-new"]


@pytest.mark.parametrize("now", [None, "read-legacy-write-both"])
def test_before_the_unified_table_is_read_the_schema_has_to_be_written_to_it(now: str | None) -> None:
    plan = plan_upgrade(PostgreSQL, "v1.56.0", "v1.56.0", schema_mode="read-new-write-new", current_schema_mode=now)
    cautions = {step.schema_mode: step.cautions for step in plan.steps if step.cautions}
    assert list(cautions) == ["read-new-write-both"]
    assert "write the schema again" in cautions["read-new-write-both"][0]


# ---------------------------------------------------------------- what is refused, and what is said


@pytest.mark.parametrize(
    ("datastore", "current", "target", "more", "expected"),
    [
        (PostgreSQL, "1.52.0", "v1.56.0", {}, ["current = '1.52.0'"]),
        (PostgreSQL, "latest", "newest", {}, ["current = 'latest'", "target = 'newest'"]),
        (PostgreSQL, None, 3, {}, ["current = None", "target = 3"]),
        ("postgres", "v1.52.0", "v1.56.0", {}, ["datastore = (a str, not shown)"]),
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
def test_what_cannot_be_planned(
    datastore: Any, current: Any, target: Any, more: dict[str, Any], expected: list[str]
) -> None:
    with pytest.raises(InvalidProps) as raised:
        plan_upgrade(datastore, current, target, **more)
    assert raised.value.subject == "plan_upgrade"
    for text in expected:
        assert text in str(raised.value)


def test_a_datastore_will_do_as_well_as_its_class() -> None:
    datastore = PostgreSQL(uri=SecretKey("spicedb", "uri"))
    assert plan_upgrade(datastore, "v1.52.0", "v1.56.0") == plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0")


def test_a_withdrawn_release_is_advised_against() -> None:
    assert plan_upgrade(PostgreSQL, "v1.48.0", "v1.50.0").warnings == (
        "v1.50.0 was withdrawn by its makers: take v1.51.1 (CVE-2026-40091, and it takes more memory)",
    )
    assert plan_upgrade(PostgreSQL, "v1.50.0", "v1.51.1").warnings == ()


def test_no_stop_is_a_withdrawn_release() -> None:
    stops = {stop.version for engine in RELEASES.engines.values() for stop in engine.stops}
    assert stops
    assert stops.isdisjoint(RELEASES.withdrawn)


def test_a_release_before_the_stop_that_would_lead_to_it_is_advised_against() -> None:
    plan = plan_upgrade(Spanner, "v1.28.0", "v1.29.2")
    assert versions(plan) == ["v1.29.2"]
    assert plan.warnings[0].startswith("v1.29.2 has no step of its own")
    assert plan.warnings[0].endswith("take v1.29.5 or later instead")


def test_a_release_that_the_user_adds_is_planned_as_if_it_were_known() -> None:
    table = RELEASES.with_release("v1.60.0", {"postgres": ["add-something"]})
    plan = plan_upgrade(PostgreSQL, "v1.52.0", "v1.60.0", releases=table)
    check_plan(plan, table)
    assert plan.warnings == ()
    (back,) = plan_upgrade(PostgreSQL, "v1.52.0", "v1.56.0", releases=table).steps
    assert back.allowed_migrations == ("add-something",)


def test_a_stop_that_the_user_adds_is_made() -> None:
    stop = Stop("v1.2.0", "v1.3.0", "a test wants it", "this file")
    toy = EngineReleases(("one", "two"), {"v1.1.0": "one", "v1.2.0": "one", "v1.3.0": "two"}, (stop,))
    plan = plan_upgrade(PostgreSQL, "v1.1.0", "v1.3.0", releases=ReleaseTable({"postgres": toy}))
    assert [(step.version, step.why) for step in plan.steps] == [
        ("v1.2.0", "required stop: a test wants it"),
        ("v1.3.0", "the target, reached directly from v1.2.0"),
    ]


def test_steps_are_values() -> None:
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
        why="the target, reached directly from v1.52.0",
    )


def test_the_memory_engine_has_no_backup_to_go_back_to() -> None:
    with pytest.raises(InvalidProps, match="install it again") as raised:
        plan_upgrade(Memory, "v1.56.0", "v1.52.0")
    assert "backup" not in str(raised.value)
