"""The release table, and unknown releases, which are always valid."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import pytest
from attrs import evolve

from cdk8s_spicedb import (
    CockroachDB,
    Datastore,
    EngineReleases,
    MigrationProps,
    MySQL,
    PostgreSQL,
    ReleaseTable,
    Rollout,
    SecretKey,
    Spanner,
    SpiceDBError,
    SpiceDBProps,
    Stop,
    known_releases,
)
from cdk8s_spicedb.props import problems
from cdk8s_spicedb.versions import Cost, Estimate, Waits, Work, is_version, read_releases, version_order

ENGINES = ["cockroachdb", "mysql", "postgres", "spanner"]
URI = SecretKey("spicedb", "uri")
TOY = EngineReleases(("one", "two", "three"), {"v1.0.0": "one", "v1.1.0": "three", "v1.2.0": "three"})
TABLE = ReleaseTable({"toy": TOY}, {"some-flag": "v1.1.0"})

# ---------------------------------------------------------------- versions


def test_versions_sort_by_semantic_versioning() -> None:
    ordered = [
        "v0.9.9",
        "v1.2.0-2",
        "v1.2.0-10",
        "v1.2.0-rc",
        "v1.2.0-rc.2",
        "v1.2.0-rc.10",
        "v1.2.0-rc1",
        "v1.2.0",
        "v1.9.0",
        "v1.10.0",
        "v1.10.1",
        "v2.0.0",
    ]
    assert sorted(set(ordered), key=version_order) == ordered


@pytest.mark.parametrize("text", ["1.2.0", "v1.2", "latest", "", "v1.2.0\n", " v1.2.0", "v1.2.0-", "vx.y.z"])
def test_invalid_versions(text: str) -> None:
    assert not is_version(text)
    with pytest.raises(ValueError, match="invalid SpiceDB version"):
        version_order(text)


@pytest.mark.parametrize("text", ["v1.2.0", "v10.20.30", "v1.2.0-rc1", "v1.2.0-alpha.1"])
def test_valid_versions(text: str) -> None:
    assert is_version(text)


# ---------------------------------------------------------------- tables


def test_heads_must_be_known_revisions() -> None:
    with pytest.raises(SpiceDBError, match="heads or cautions of unknown revisions: three, two"):
        EngineReleases(("one",), {"v1.0.0": "three", "v1.1.0": "two", "v1.2.0": "one"})


def test_heads_must_not_go_backward() -> None:
    with pytest.raises(SpiceDBError, match="a later release has an earlier head"):
        EngineReleases(("one", "two"), {"v1.9.0": "two", "v1.10.0": "one"})


ROLLOUTS = (
    Rollout(revision="one", starts_on=["one", "two"], why="a"),
    Rollout(revision="two", starts_on=["two"], why="b"),
)
STOP = Stop("v1.1.0", "v1.1.0", "a reason", "a source", ROLLOUTS)


def test_servers_of_a_stop_start_on_its_revisions() -> None:
    engine = EngineReleases(("one", "two"), {"v1.0.0": "one", "v1.1.0": "two"}, (STOP,))
    assert engine.starts_on("v1.1.0") == {"one", "two"}
    assert engine.starts_on("v1.0.0") == {"one"}
    assert engine.starts_on("v9.9.9") == set()


@pytest.mark.parametrize(
    ("revisions", "heads", "stops", "message"),
    [
        (("one", "one"), {"v1.0.0": "one"}, (), "duplicate revisions"),
        (("one", "two"), {"v1.0.0": "one"}, (), "revisions after the last head: two"),
        (("one",), {}, (), "revisions after the last head: one"),
        (("two",), {"v1.0.0": "two"}, (STOP,), "stop v1.1.0: unknown release"),
        (("one",), {"v1.1.0": "one"}, (STOP,), "stop v1.1.0: unknown revisions: two"),
        (("two", "one"), {"v1.1.0": "one"}, (STOP,), "stop v1.1.0: roll-outs are not in order"),
        (
            ("one", "two", "three"),
            {"v1.1.0": "three"},
            (STOP,),
            "stop v1.1.0: the last roll-out does not migrate to the head, three",
        ),
        (
            ("one", "two"),
            {"v1.1.0": "two"},
            (evolve(STOP, rollouts=(evolve(ROLLOUTS[0], starts_on=["one"]), ROLLOUTS[1])),),
            "stop v1.1.0: one: servers do not start on two",
        ),
        (
            ("one", "two"),
            {"v1.1.0": "two"},
            (evolve(STOP, rollouts=(evolve(ROLLOUTS[1], starts_on=[]),)),),
            "stop v1.1.0: two: servers do not start on two",
        ),
        (
            ("one", "two"),
            {"v1.1.0": "two", "v1.2.0": "two"},
            (evolve(STOP, version="v1.2.0"), STOP),
            "stops are not in order, or duplicate",
        ),
        (("one", "two"), {"v1.1.0": "two"}, (STOP, STOP), "stops are not in order, or duplicate"),
        (("one",), {"latest": "one"}, (), "invalid SpiceDB versions: latest"),
        (("one", "two"), {"v1.1.0": "two"}, (evolve(STOP, before="1.1"),), "invalid SpiceDB versions: 1.1"),
        (
            ("one", "two"),
            {"v1.1.0": "two"},
            (evolve(STOP, before="v1.2.0"),),
            "releases before v1.2.0 would skip its roll-outs",
        ),
        (
            ("one", "two"),
            {"v1.1.0": "two"},
            (evolve(STOP, rollouts=(evolve(ROLLOUTS[1], starts_on=["two", "typo"]),)),),
            "unknown revisions: typo",
        ),
    ],
)
def test_invalid_engine_releases(
    revisions: Sequence[str], heads: Mapping[str, str], stops: Sequence[Stop], message: str
) -> None:
    with pytest.raises(SpiceDBError) as raised:
        EngineReleases(revisions, heads, stops)
    assert message in str(raised.value)


@pytest.mark.parametrize("engines", [{}, {"toy": EngineReleases((), {})}])
def test_a_table_needs_releases(engines: Mapping[str, EngineReleases]) -> None:
    with pytest.raises(SpiceDBError, match="the table has no releases"):
        ReleaseTable(engines)


def test_flags_need_valid_versions() -> None:
    with pytest.raises(SpiceDBError, match=r"invalid SpiceDB versions: soon"):
        ReleaseTable({"toy": TOY}, {"a-flag": "soon"})


def test_cautions_must_be_for_known_revisions() -> None:
    with pytest.raises(SpiceDBError, match="heads or cautions of unknown revisions: two"):
        EngineReleases(("one",), {"v1.0.0": "one"}, cautions={"two": "slow"})


def test_an_error_lists_all_problems() -> None:
    with pytest.raises(SpiceDBError, match=r"duplicate revisions; .*three; stop v1\.1\.0: unknown release"):
        EngineReleases(("one", "two", "two", "three"), {"v1.0.0": "one"}, (STOP,))


@pytest.mark.parametrize(
    ("start", "end", "between"),
    [
        (None, None, ("one", "two", "three")),
        (None, "two", ("one", "two")),
        ("one", "three", ("two", "three")),
        ("two", "two", ()),
        ("three", None, ()),
    ],
)
def test_between_returns_the_revisions_after_start_up_to_end(
    start: str | None, end: str | None, between: tuple[str, ...]
) -> None:
    assert TOY.between(start, end) == between


@pytest.mark.parametrize(
    ("version", "head"),
    [("v0.9.0", None), ("v1.0.0", "one"), ("v1.0.7", "one"), ("v1.1.0", "three"), ("v9.0.0", "three")],
)
def test_an_unknown_release_has_the_head_of_the_release_before(version: str, head: str | None) -> None:
    assert TOY.head(version) == head


def test_releases_can_be_in_any_order() -> None:
    engine = EngineReleases(("one", "two"), {"v1.10.0": "two", "v1.9.0": "one"})
    assert ReleaseTable({"toy": engine}).newest == "v1.10.0"


def test_the_newest_release_can_be_of_any_engine() -> None:
    other = EngineReleases(("a",), {"v1.10.0": "a", "v1.9.0": "a"})
    assert ReleaseTable({"toy": TOY, "other": other}).newest == "v1.10.0"
    assert TABLE.newest == "v1.2.0"


@pytest.mark.parametrize(
    ("version", "revisions", "later"),
    [
        ("v1.0.0", ("one",), ("three",)),
        ("v1.1.0", ("one", "two", "three"), ()),
        ("v1.2.0", ("one", "two", "three"), ()),
        ("v9.0.0", (), ()),
    ],
)
def test_revisions_and_allowed_migrations(version: str, revisions: Sequence[str], later: Sequence[str]) -> None:
    assert TABLE.revisions("toy", version) == revisions
    assert TABLE.allowed_migrations("toy", version) == later
    assert TABLE.knows("toy", version) is bool(revisions)


def test_an_unknown_engine_has_no_releases() -> None:
    assert not TABLE.knows("oracle", "v1.0.0")
    assert TABLE.revisions("oracle", "v1.0.0") == ()
    assert TABLE.allowed_migrations("oracle", "v1.0.0") == ()


@pytest.mark.parametrize(
    ("version", "has_flag"), [("v1.0.9", False), ("v1.1.0-rc1", False), ("v1.1.0", True), ("v1.10.0", True)]
)
def test_releases_have_a_flag_from_its_first_release(version: str, has_flag: bool) -> None:
    assert TABLE.takes("some-flag", version) is has_flag
    assert TABLE.takes("old-flag", version) is True
    assert TABLE.since("some-flag") == "v1.1.0"


# ---------------------------------------------------------------- with_release


def test_with_release_adds_revisions() -> None:
    table = TABLE.with_release("v1.3.0", {"toy": ["four", "five"]})
    assert table.newest == "v1.3.0"
    assert table.revisions("toy", "v1.3.0") == ("one", "two", "three", "four", "five")
    assert table.allowed_migrations("toy", "v1.0.0") == ("three", "five")
    assert table.allowed_migrations("toy", "v1.2.0") == ("five",)
    assert table.since("some-flag") == "v1.1.0"


def test_a_release_without_new_revisions_keeps_the_head() -> None:
    table = TABLE.with_release("v1.3.0", {})
    assert table.revisions("toy", "v1.3.0") == TABLE.revisions("toy", "v1.2.0")
    assert table.knows("toy", "v1.3.0")


@pytest.mark.parametrize("revisions", [["three"], ["two", "three"]])
def test_a_release_without_new_revisions_may_name_its_head(revisions: list[str]) -> None:
    table = TABLE.with_release("v1.3.0", {"toy": revisions})
    assert table == TABLE.with_release("v1.3.0", {})
    assert table.allowed_migrations("toy", "v1.0.0") == ("three",)


def test_a_release_may_name_the_head_before_its_new_revisions() -> None:
    table = TABLE.with_release("v1.3.0", {"toy": ["three", "four"]})
    assert table == TABLE.with_release("v1.3.0", {"toy": ["four"]})


def test_a_backport_may_name_its_head() -> None:
    assert TABLE.with_release("v1.0.1", {"toy": ["one"]}) == TABLE.with_release("v1.0.1", {})


def test_a_backport_has_the_head_of_its_minor_release() -> None:
    table = TABLE.with_release("v1.0.1", {})
    assert table.revisions("toy", "v1.0.1") == ("one",)
    assert table.allowed_migrations("toy", "v1.0.1") == ("three",)
    assert table.newest == "v1.2.0"


def test_a_backport_of_a_real_release() -> None:
    table = known_releases().with_release("v1.52.1", {})
    assert table.allowed_migrations("postgres", "v1.52.1") == ("populate-schema-tables",)
    assert table.allowed_migrations("mysql", "v1.52.1") == ("populate_schema_tables", "identifiers_case_sensitive")


def test_with_release_does_not_change_the_table() -> None:
    TABLE.with_release("v1.3.0", {"toy": ["four"]})
    assert not TABLE.knows("toy", "v1.3.0")
    assert TOY.revisions == ("one", "two", "three")


def test_with_release_can_be_repeated() -> None:
    table = TABLE.with_release("v1.3.0", {"toy": ["four"]}).with_release("v1.4.0", {"toy": ["five"]})
    assert table.allowed_migrations("toy", "v1.2.0") == ("four", "five")


def test_a_release_before_all_known_ones_stays_unknown() -> None:
    table = TABLE.with_release("v0.1.0", {})
    assert not table.knows("toy", "v0.1.0")


@pytest.mark.parametrize(
    ("version", "revisions", "message"),
    [
        ("v1.3.0", {"oracle": ["x"]}, "unknown engines: oracle; known: toy"),
        ("v1.2.0", {}, "v1.2.0 is already in the table"),
        ("v1.0.1", {"toy": ["four"]}, "earlier head"),
        ("v1.3.0", {"toy": ["one"]}, "earlier head"),
        ("v1.3.0", {"toy": ["four", "four"]}, "duplicate revisions"),
        ("v1.3.0", {"toy": ["four", "three"]}, "revisions after the last head: four"),
    ],
)
def test_with_release_rejects_invalid_releases(
    version: str, revisions: Mapping[str, Sequence[str]], message: str
) -> None:
    with pytest.raises(SpiceDBError, match=message):
        TABLE.with_release(version, revisions)


def test_with_release_rejects_an_invalid_version() -> None:
    with pytest.raises(SpiceDBError, match=r"1\.3\.0"):
        TABLE.with_release("1.3.0", {"toy": ["four"]})
    with pytest.raises(SpiceDBError, match="invalid SpiceDB version: 5"):
        TABLE.with_release(5, {})  # type: ignore[arg-type]


def test_with_release_rejects_a_string_of_revisions() -> None:
    with pytest.raises(SpiceDBError, match="must be a list, not a string: toy"):
        TABLE.with_release("v1.3.0", {"toy": "four"})


# ---------------------------------------------------------------- the data


def test_the_data_has_all_engines_with_migrations() -> None:
    datastores: list[type[Datastore]] = [CockroachDB, MySQL, PostgreSQL, Spanner]
    assert sorted(known_releases().engines) == ENGINES
    assert sorted(kind.engine for kind in datastores) == ENGINES


@pytest.mark.parametrize(
    ("engine", "head"),
    [
        ("postgres", "populate-schema-tables"),
        ("cockroachdb", "populate-schema-tables"),
        ("mysql", "identifiers_case_sensitive"),
        ("spanner", "populate-schema-tables"),
    ],
)
def test_the_newest_release_has_the_last_head(engine: str, head: str) -> None:
    table = known_releases()
    assert table.newest == "v1.57.1"
    assert table.revisions(engine, table.newest)[-1] == head
    assert table.revisions(engine, table.newest) == table.engines[engine].revisions
    assert table.allowed_migrations(engine, table.newest) == ()


@pytest.mark.parametrize(
    ("engine", "version", "later"),
    [
        ("postgres", "v1.52.0", ("populate-schema-tables",)),
        ("cockroachdb", "v1.52.0", ("populate-schema-tables",)),
        ("spanner", "v1.52.0", ("populate-schema-tables",)),
        ("mysql", "v1.52.0", ("populate_schema_tables", "identifiers_case_sensitive")),
        ("mysql", "v1.53.0", ("identifiers_case_sensitive",)),
        ("postgres", "v1.53.0", ()),
        ("postgres", "v1.39.0", ("add-index-for-transaction-gc", "populate-schema-tables")),
        ("postgres", "v1.38.0", ()),  # has no --datastore-allowed-migrations
    ],
)
def test_allowed_migrations_of_real_releases(engine: str, version: str, later: Sequence[str]) -> None:
    assert known_releases().allowed_migrations(engine, version) == later


@pytest.mark.parametrize("engine", ENGINES)
def test_revisions_are_unique(engine: str) -> None:
    revisions = known_releases().engines[engine].revisions
    assert len(set(revisions)) == len(revisions)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_known_release_has_revisions(engine: str) -> None:
    table = known_releases()
    for version in table.engines[engine].heads:
        assert is_version(version)
        assert table.revisions(engine, version)


@pytest.mark.parametrize(
    ("flag", "since"),
    [
        ("migration-timeout", "v1.9.0"),
        ("datastore-migration-phase", "v1.14.0"),
        ("datastore-credentials-provider-name", "v1.32.0"),
        ("datastore-allowed-migrations", "v1.39.0"),
        ("experimental-schema-mode", "v1.53.0"),
    ],
)
def test_since_returns_the_first_release_of_a_flag(flag: str, since: str) -> None:
    assert known_releases().since(flag) == since


def test_known_releases_are_cached() -> None:
    assert known_releases() is known_releases()


def test_the_version_defaults_to_the_newest_release() -> None:
    assert SpiceDBProps(datastore=PostgreSQL(uri=URI)).version == known_releases().newest


# ---------------------------------------------------------------- unknown versions


@pytest.mark.parametrize("version", ["v1.55.0", "v1.99.0", "v2.0.0", "v0.0.1", "v1.57.0-rc1"])
@pytest.mark.parametrize("kind", [PostgreSQL, CockroachDB, MySQL, Spanner])
def test_props_accept_unknown_versions(
    version: str, kind: type[PostgreSQL] | type[CockroachDB] | type[MySQL] | type[Spanner]
) -> None:
    props = SpiceDBProps(
        version=version, datastore=kind(uri=URI), migration=MigrationProps(target_migration="some-new-revision")
    )
    assert list(problems(props)) == []
    assert props.allowed_migrations == ()


def test_props_use_an_extended_table() -> None:
    table = known_releases().with_release("v1.99.0", {"postgres": ["add-more"]})
    props = SpiceDBProps(version="v1.56.0", datastore=PostgreSQL(uri=URI), releases=table)
    assert props.allowed_migrations == ("add-more",)
    target = MigrationProps(target_migration="add-less")
    [problem] = problems(
        SpiceDBProps(version="v1.99.0", datastore=PostgreSQL(uri=URI), releases=table, migration=target)
    )
    assert problem.field == "migration.target_migration"
    assert "add-more" in problem.allowed


# ---------------------------------------------------------------- stops


@pytest.mark.parametrize("engine", ENGINES)
def test_every_stop_has_a_reason_and_a_source(engine: str) -> None:
    for stop in known_releases().engines[engine].stops:
        assert stop.why
        assert stop.source
        assert version_order(stop.before) <= version_order(stop.version) or not stop.rollouts
        assert all(rollout.why for rollout in stop.rollouts)


@pytest.mark.parametrize(
    ("engine", "stops"),
    [
        ("postgres", ["v1.14.0", "v1.36.2", "v1.37.1"]),
        ("cockroachdb", ["v1.30.0", "v1.36.2", "v1.37.1"]),
        ("mysql", ["v1.36.2", "v1.37.1"]),
        ("spanner", ["v1.22.2", "v1.29.5", "v1.36.2", "v1.37.1"]),
    ],
)
def test_stops_of_each_engine(engine: str, stops: list[str]) -> None:
    assert [stop.version for stop in known_releases().engines[engine].stops] == stops


@pytest.mark.parametrize(
    ("engine", "version", "phase", "revisions"),
    [
        ("postgres", "v1.14.0", "write-both-read-old", {"add-xid-columns", "add-xid-constraints"}),
        ("postgres", "v1.14.0", None, {"drop-id-constraints", "drop-bigserial-ids"}),
        ("postgres", "v1.13.0", None, {"add-ns-config-id"}),
        ("postgres", "v1.52.0", None, {"add-index-for-transaction-gc", "populate-schema-tables"}),
        ("postgres", "v1.99.0", None, set()),
        ("oracle", "v1.52.0", None, set()),
    ],
)
def test_starts_on_returns_the_revisions_of_a_release_and_phase(
    engine: str, version: str, phase: str | None, revisions: set[str]
) -> None:
    assert known_releases().starts_on(engine, version, phase) == revisions


def test_withdrawn_releases_name_a_later_known_release() -> None:
    for version, advice in known_releases().withdrawn.items():
        replacement = advice.split()[1]
        assert version_order(version) < version_order(replacement)
        assert known_releases().knows("postgres", replacement)
        assert replacement not in known_releases().withdrawn


# ---------------------------------------------------------------- costs


def raw_data() -> dict[str, Any]:
    """The content of releases.json."""
    return dict(json.loads(files("cdk8s_spicedb.versions").joinpath("releases.json").read_text("utf-8")))


SLOW = Cost(table="a", work="rewrites", lock="ALGORITHM=COPY", seconds_per_million=2, waits="writes wait")


def test_costs_must_be_for_known_revisions() -> None:
    with pytest.raises(SpiceDBError, match="costs of unknown revisions: two"):
        EngineReleases(("one",), {"v1.0.0": "one"}, costs={"two": SLOW})


def test_estimates_grow_with_the_rows_of_the_table() -> None:
    quick = evolve(SLOW, table="b", work="indexes", lock="SHARE", seconds_per_million=0.5, waits="none")
    engine = evolve(TOY, costs={"two": SLOW, "three": quick})
    assert engine.estimate(None, "three", {"a": 3_000_000, "b": 1_000_000}) == (
        Estimate("two", "a", 3_000_000, 6, Waits.WRITES, Work.REWRITES, "ALGORITHM=COPY"),
        Estimate("three", "b", 1_000_000, 0.5, Waits.NOBODY, Work.INDEXES, "SHARE"),
    )
    assert [each.revision for each in engine.estimate("two", None, {"a": 1, "b": 1})] == ["three"]
    # Nothing is known about the size of the table.
    assert engine.estimate(None, None, {"b": 1})[0].revision == "three"
    assert TOY.estimate(None, None, {"a": 1, "b": 1}) == ()


def test_every_slow_migration_of_an_index_or_a_copy_has_costs() -> None:
    for name in ("postgres", "mysql"):
        engine = known_releases().engines[name]
        assert set(engine.cautions) <= set(engine.costs)
        assert {cost.table for cost in engine.costs.values()} == {"relation_tuple", "relation_tuple_transaction"}


def test_each_cost_has_its_work_lock_and_source() -> None:
    data = raw_data()
    assert data["source"]["locks"]
    for entry in data["costs"]:
        assert {"work", "lock", "source"} <= set(entry), entry["revisions"]
    for engine in known_releases().engines.values():
        for revision, cost in engine.costs.items():
            assert cost.source, revision
            # Only what changes nothing but a definition takes no time, and only a short lock blocks everybody.
            assert (cost.work is Work.ALTERS) or cost.seconds_per_million > 0, revision
            assert (cost.waits is Waits.ALL) == (cost.work is Work.ALTERS), revision


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"work": "copies"}, "work is 'copies'; allowed: indexes, rewrites, fills, alters"),
        ({"waits": "all"}, "waits is 'all'; allowed: none, writes wait, reads and writes wait"),
        ({"lock": " "}, "lock is ' '; write its name"),
        ({"table": None}, "table is None; write its name"),
        ({"seconds_per_million": "1 s"}, "seconds_per_million is '1 s'; write a number that is 0 or greater"),
        ({"seconds_per_million": -1, "lock": ""}, "lock is ''; write its name; seconds_per_million is -1"),
        ({"locks": "SHARE"}, "unknown field locks"),
    ],
)
def test_invalid_costs_are_rejected(change: dict[str, Any], problem: str) -> None:
    data = raw_data()
    data["costs"][0].update(change)
    with pytest.raises(SpiceDBError, match=re.escape(f"costs of add-reverse-index: {problem}")):
        read_releases(data)


@pytest.mark.parametrize("name", ["work", "lock", "table", "seconds_per_million", "waits"])
def test_costs_without_a_field_are_rejected(name: str) -> None:
    data = raw_data()
    del data["costs"][0][name]
    with pytest.raises(SpiceDBError, match=f"costs of add-reverse-index: {name} is missing"):
        read_releases(data)


def test_tables_of_an_older_package_have_no_costs() -> None:
    data = raw_data()
    del data["costs"]
    assert read_releases(data).engines["postgres"].costs == {}
