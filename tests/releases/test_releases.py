"""What is known of releases, and that what is not known is never refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
from cdk8s_spicedb.releases import is_version, version_order

ENGINES = ["cockroachdb", "mysql", "postgres", "spanner"]
URI = SecretKey("spicedb", "uri")
TOY = EngineReleases(("one", "two", "three"), {"v1.0.0": "one", "v1.1.0": "three", "v1.2.0": "three"})
TABLE = ReleaseTable({"toy": TOY}, {"some-flag": "v1.1.0"})

# ---------------------------------------------------------------- versions


def test_versions_are_ordered_by_number() -> None:
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
def test_what_is_no_version(text: str) -> None:
    assert not is_version(text)
    with pytest.raises(ValueError, match="not a release of SpiceDB"):
        version_order(text)


@pytest.mark.parametrize("text", ["v1.2.0", "v10.20.30", "v1.2.0-rc1", "v1.2.0-alpha.1"])
def test_what_is_a_version(text: str) -> None:
    assert is_version(text)


# ---------------------------------------------------------------- tables


def test_heads_are_among_the_revisions() -> None:
    with pytest.raises(SpiceDBError, match="not among the revisions: three, two"):
        EngineReleases(("one",), {"v1.0.0": "three", "v1.1.0": "two", "v1.2.0": "one"})


def test_migrations_only_go_forward() -> None:
    with pytest.raises(SpiceDBError, match="a later release has an earlier head"):
        EngineReleases(("one", "two"), {"v1.9.0": "two", "v1.10.0": "one"})


ROLLOUTS = (
    Rollout(revision="one", starts_on=["one", "two"], why="a"),
    Rollout(revision="two", starts_on=["two"], why="b"),
)
STOP = Stop("v1.1.0", "v1.1.0", "a reason", "a source", ROLLOUTS)


def test_a_sound_stop() -> None:
    engine = EngineReleases(("one", "two"), {"v1.0.0": "one", "v1.1.0": "two"}, (STOP,))
    assert engine.starts_on("v1.1.0") == {"one", "two"}
    assert engine.starts_on("v1.0.0") == {"one"}
    assert engine.starts_on("v9.9.9") == set()


@pytest.mark.parametrize(
    ("revisions", "heads", "stops", "message"),
    [
        (("one", "one"), {"v1.0.0": "one"}, (), "a revision twice"),
        (("one", "two"), {"v1.0.0": "one"}, (), "revisions that no release has: two"),
        (("one",), {}, (), "revisions that no release has: one"),
        (("two",), {"v1.0.0": "two"}, (STOP,), "stop v1.1.0: no known release"),
        (("one",), {"v1.1.0": "one"}, (STOP,), "stop v1.1.0: unknown revisions: two"),
        (("two", "one"), {"v1.1.0": "one"}, (STOP,), "stop v1.1.0: roll-outs out of order"),
        (
            ("one", "two", "three"),
            {"v1.1.0": "three"},
            (STOP,),
            "stop v1.1.0: its last roll-out does not end at its head, three",
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
            "stops out of order",
        ),
        (("one", "two"), {"v1.1.0": "two"}, (STOP, STOP), "stops out of order"),
        (("one",), {"latest": "one"}, (), "not releases of SpiceDB: latest"),
        (("one", "two"), {"v1.1.0": "two"}, (evolve(STOP, before="1.1"),), "not releases of SpiceDB: 1.1"),
        (("one", "two"), {"v1.1.0": "two"}, (evolve(STOP, before="v1.2.0"),), "releases before v1.2.0 would pass it"),
        (
            ("one", "two"),
            {"v1.1.0": "two"},
            (evolve(STOP, rollouts=(evolve(ROLLOUTS[1], starts_on=["two", "typo"]),)),),
            "unknown revisions: typo",
        ),
    ],
)
def test_a_table_that_is_not_sound(
    revisions: Sequence[str], heads: Mapping[str, str], stops: Sequence[Stop], message: str
) -> None:
    with pytest.raises(SpiceDBError) as raised:
        EngineReleases(revisions, heads, stops)
    assert message in str(raised.value)


@pytest.mark.parametrize("engines", [{}, {"toy": EngineReleases((), {})}])
def test_a_table_without_releases(engines: Mapping[str, EngineReleases]) -> None:
    with pytest.raises(SpiceDBError, match="a table without releases"):
        ReleaseTable(engines)


@pytest.mark.parametrize("more", [({"a-flag": "soon"}, {}), ({}, {"latest": "take another"})])
def test_flags_and_withdrawn_releases_are_of_releases(more: tuple[Mapping[str, str], Mapping[str, str]]) -> None:
    with pytest.raises(SpiceDBError, match=r"no releases of SpiceDB: (soon|latest)"):
        ReleaseTable({"toy": TOY}, *more)


def test_a_caution_is_for_a_revision() -> None:
    with pytest.raises(SpiceDBError, match="heads or cautions that are not among the revisions: two"):
        EngineReleases(("one",), {"v1.0.0": "one"}, cautions={"two": "slow"})


def test_all_that_is_unsound_is_said_at_once() -> None:
    with pytest.raises(SpiceDBError, match=r"a revision twice; .*three; stop v1\.1\.0: no known release"):
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
def test_the_revisions_between_two(start: str | None, end: str | None, between: tuple[str, ...]) -> None:
    assert TOY.between(start, end) == between


@pytest.mark.parametrize(
    ("version", "head"),
    [("v0.9.0", None), ("v1.0.0", "one"), ("v1.0.7", "one"), ("v1.1.0", "three"), ("v9.0.0", "three")],
)
def test_the_head_of_a_release_or_of_the_one_before_it(version: str, head: str | None) -> None:
    assert TOY.head(version) == head


def test_the_order_in_which_releases_are_written_does_not_matter() -> None:
    written = EngineReleases(("one", "two"), {"v1.10.0": "two", "v1.9.0": "one"})
    assert ReleaseTable({"toy": written}).newest == "v1.10.0"


def test_the_newest_is_of_any_engine() -> None:
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


def test_an_unknown_engine_has_nothing() -> None:
    assert not TABLE.knows("oracle", "v1.0.0")
    assert TABLE.revisions("oracle", "v1.0.0") == ()
    assert TABLE.allowed_migrations("oracle", "v1.0.0") == ()


@pytest.mark.parametrize(
    ("version", "taken"), [("v1.0.9", False), ("v1.1.0-rc1", False), ("v1.1.0", True), ("v1.10.0", True)]
)
def test_a_flag_is_taken_from_its_first_release_on(version: str, taken: bool) -> None:
    assert TABLE.takes("some-flag", version) is taken
    assert TABLE.takes("old-flag", version) is True
    assert TABLE.since("some-flag") == "v1.1.0"


# ---------------------------------------------------------------- with_release


def test_a_release_with_new_revisions() -> None:
    table = TABLE.with_release("v1.3.0", {"toy": ["four", "five"]})
    assert table.newest == "v1.3.0"
    assert table.revisions("toy", "v1.3.0") == ("one", "two", "three", "four", "five")
    assert table.allowed_migrations("toy", "v1.0.0") == ("three", "five")
    assert table.allowed_migrations("toy", "v1.2.0") == ("five",)
    assert table.since("some-flag") == "v1.1.0"


def test_a_release_without_migrations_keeps_the_head() -> None:
    table = TABLE.with_release("v1.3.0", {})
    assert table.revisions("toy", "v1.3.0") == TABLE.revisions("toy", "v1.2.0")
    assert table.knows("toy", "v1.3.0")


def test_a_backport_keeps_the_head_of_its_line() -> None:
    table = TABLE.with_release("v1.0.1", {})
    assert table.revisions("toy", "v1.0.1") == ("one",)
    assert table.allowed_migrations("toy", "v1.0.1") == ("three",)
    assert table.newest == "v1.2.0"


def test_a_known_backport_of_real_releases() -> None:
    table = known_releases().with_release("v1.52.1", {})
    assert table.allowed_migrations("postgres", "v1.52.1") == ("populate-schema-tables",)
    assert table.allowed_migrations("mysql", "v1.52.1") == ("populate_schema_tables", "identifiers_case_sensitive")


def test_with_release_leaves_the_table_as_it_was() -> None:
    TABLE.with_release("v1.3.0", {"toy": ["four"]})
    assert not TABLE.knows("toy", "v1.3.0")
    assert TOY.revisions == ("one", "two", "three")


def test_with_release_can_be_repeated() -> None:
    table = TABLE.with_release("v1.3.0", {"toy": ["four"]}).with_release("v1.4.0", {"toy": ["five"]})
    assert table.allowed_migrations("toy", "v1.2.0") == ("four", "five")


def test_a_release_before_all_others_is_not_guessed() -> None:
    table = TABLE.with_release("v0.1.0", {})
    assert not table.knows("toy", "v0.1.0")


@pytest.mark.parametrize(
    ("version", "revisions", "message"),
    [
        ("v1.3.0", {"oracle": ["x"]}, "unknown engines: oracle; known: toy"),
        ("v1.2.0", {}, "v1.2.0 is in the table already"),
        ("v1.0.1", {"toy": ["four"]}, "earlier head"),
        ("v1.3.0", {"toy": ["one"]}, "earlier head"),
    ],
)
def test_a_release_that_cannot_be(version: str, revisions: Mapping[str, Sequence[str]], message: str) -> None:
    with pytest.raises(SpiceDBError, match=message):
        TABLE.with_release(version, revisions)


def test_a_version_that_is_none_is_an_error_of_this_package() -> None:
    with pytest.raises(SpiceDBError, match=r"1\.3\.0"):
        TABLE.with_release("1.3.0", {"toy": ["four"]})
    with pytest.raises(SpiceDBError, match="not a release of SpiceDB: 5"):
        TABLE.with_release(5, {})  # type: ignore[arg-type]


def test_a_lone_revision_is_not_read_letter_by_letter() -> None:
    with pytest.raises(SpiceDBError, match="toy, not one text"):
        TABLE.with_release("v1.3.0", {"toy": "four"})


# ---------------------------------------------------------------- the data


def test_every_engine_with_a_schema_is_in_the_data() -> None:
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
    assert table.newest == "v1.56.0"
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
        ("postgres", "v1.38.0", ()),  # cannot be told
    ],
)
def test_allowed_migrations_of_real_releases(engine: str, version: str, later: Sequence[str]) -> None:
    assert known_releases().allowed_migrations(engine, version) == later


@pytest.mark.parametrize("engine", ENGINES)
def test_no_revision_is_listed_twice(engine: str) -> None:
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
def test_since_when_a_flag_exists(flag: str, since: str) -> None:
    assert known_releases().since(flag) == since


def test_the_table_is_read_once() -> None:
    assert known_releases() is known_releases()


def test_props_take_the_newest_release_by_default() -> None:
    assert SpiceDBProps(datastore=PostgreSQL(uri=URI)).version == known_releases().newest


# ---------------------------------------------------------------- unknown versions


@pytest.mark.parametrize("version", ["v1.55.0", "v1.99.0", "v2.0.0", "v0.0.1", "v1.57.0-rc1"])
@pytest.mark.parametrize("kind", [PostgreSQL, CockroachDB, MySQL, Spanner])
def test_an_unknown_version_is_never_refused(
    version: str, kind: type[PostgreSQL] | type[CockroachDB] | type[MySQL] | type[Spanner]
) -> None:
    props = SpiceDBProps(
        version=version, datastore=kind(uri=URI), migration=MigrationProps(target_migration="some-new-revision")
    )
    assert list(problems(props)) == []
    assert props.allowed_migrations == ()


def test_an_extended_table_is_used() -> None:
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
def test_every_stop_says_why_and_where_that_is_written(engine: str) -> None:
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
def test_the_stops_of_each_engine(engine: str, stops: list[str]) -> None:
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
def test_what_servers_start_on(engine: str, version: str, phase: str | None, revisions: set[str]) -> None:
    assert known_releases().starts_on(engine, version, phase) == revisions


def test_for_a_withdrawn_release_there_is_a_later_one() -> None:
    for version, advice in known_releases().withdrawn.items():
        instead = advice.split()[1]
        assert version_order(version) < version_order(instead)
        assert known_releases().knows("postgres", instead)
        assert instead not in known_releases().withdrawn
