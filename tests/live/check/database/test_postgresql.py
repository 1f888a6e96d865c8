"""What the answers of PostgreSQL mean."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import MigrationProps, SecretKey, ServerProps
from cdk8s_spicedb.live.check.database.question import Question
from cdk8s_spicedb.plans.planner import plan_upgrade

from .answers import (
    MIB,
    NEW_HEAD,
    OLD_HEAD,
    ON_POSTGRESQL,
    connections,
    failures,
    postgresql,
    props,
    server,
    table,
    warnings,
)

BEFORE_INDEXES = "add-rel-by-alive-resource-relation-subject"
OWN_USER = {"migration": MigrationProps(datastore_uri=SecretKey("owner", "uri"))}


def test_a_healthy_database() -> None:
    report = postgresql()
    assert (failures(report), warnings(report)) == ([], [])
    assert report.ok
    assert (report.revision, report.server_version) == (OLD_HEAD, "15.4")
    assert report.pending == ("add-schema-tables", NEW_HEAD)


def test_a_fresh_database() -> None:
    report = postgresql(revision=None)
    assert failures(report) == []
    assert report.revision is None
    assert report.pending[0] == "1eaeba4b8a73"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"version": "13.7", "number": 130007}, "PostgreSQL 13.7 is older than SpiceDB supports"),
        ({"standby": True}, "this server is a replica"),
        ({"read_only": True}, "transactions are read-only by default"),
        ({"create": False}, "GRANT CREATE ON SCHEMA public TO spicedb"),
        ({"create": False, "user": 'Odd"name'}, 'GRANT CREATE ON SCHEMA public TO "Odd""name"'),
        ({"schema": None}, "no schema of the search_path exists"),
    ],
)
def test_failures_of_the_server(change: dict[str, Any], expected: str) -> None:
    (failure,) = failures(postgresql(server(**change)))
    assert expected in failure


def test_settings_of_the_server() -> None:
    found = warnings(postgresql(server(track_commit_timestamp=False, statement_timeout=30000)))
    assert found == [
        'PostgreSQL ends statements of migrations after 30 s; ALTER ROLE "spicedb" SET statement_timeout = 0',
        "track_commit_timestamp is off; SpiceDB's Watch API needs it; "
        "ALTER SYSTEM SET track_commit_timestamp = on, and restart PostgreSQL",
    ]


# ---------------------------------------------------------------- restored dumps


def ids(newest: int | None, following: int) -> dict[str, Any]:
    """The newest transaction in the tables, and the next one of the server."""
    return {"fact": "transaction_ids", "newest": None if newest is None else str(newest), "next": str(following)}


@pytest.mark.parametrize("answer", [ids(5836, 5837), ids(1, 700), ids(None, 700)])
def test_ids_in_the_past_of_the_server(answer: dict[str, Any]) -> None:
    report = postgresql(answer)
    assert (failures(report), report.misread) == ([], [])


@pytest.mark.parametrize("following", [770, 5836])
def test_a_restored_dump_is_a_failure_with_the_job_that_mends_it(following: int) -> None:
    report = postgresql(ids(5836, following), options="--namespace authz --context prod")
    assert failures(report) == [
        f"the newest transaction in the tables, 5836, is in the future of this server, whose next one is {following}: "
        "a dump was restored into it. SpiceDB serves, but does not see its schema and relationships; stop the "
        "servers, and run `cdk8s-spicedb repair --run --file FILE --namespace authz --context prod`"
    ]
    assert [each.text for each in report.misread] == [each.text for each in report.findings if each.fix]
    assert report.repairable


def test_a_restored_dump_that_spicedb_cannot_repair() -> None:
    assert not postgresql(ids(2**31, 770)).repairable
    assert not postgresql(server(version="14.9", number=140009), ids(5836, 770)).repairable
    (failure,) = failures(postgresql(ids(2**31, 770)))
    assert failure.endswith("copy the database with its server instead, by a snapshot or pg_basebackup")
    assert "cdk8s-spicedb repair" in failures(postgresql(ids(2**31 - 1, 770)))[0]
    (failure,) = failures(postgresql(server(version="14.9", number=140009), ids(5836, 770)))
    assert failure.endswith("upgrade PostgreSQL to 15, which SpiceDB's repair needs, and check again")


# ---------------------------------------------------------------- rights


def test_rights_are_needed_only_while_something_is_left_to_migrate() -> None:
    answers = (server(create=False), table(owned=False, owner="boss"))
    assert len(failures(postgresql(*answers))) == 2
    report = postgresql(*answers, revision=NEW_HEAD)
    assert failures(report) == []
    assert "does not own relation_tuple, and cannot alter or index them; GRANT boss TO spicedb" in warnings(report)[1]


def test_only_the_user_of_the_servers_must_write() -> None:
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON relation_tuple" in failures(postgresql(table(writable=False)))[0]
    assert failures(postgresql(table(writable=False), props=OWN_USER)) == []


# ---------------------------------------------------------------- revisions


def test_a_revision_of_a_branch() -> None:
    (failure,) = failures(postgresql(revision="of-a-branch"))
    assert failure.startswith("of-a-branch is not known: it comes from a fork, or from a newer release")


def test_an_unreadable_revision() -> None:
    (failure,) = failures(postgresql(table("alembic_version"), revision=None))
    assert failure.startswith("the table alembic_version cannot be read")


@pytest.mark.parametrize(
    ("version", "migration", "expected"),
    [
        ("v1.52.0", True, (0, 1)),  # its servers start on the heads of later releases, its migration fails on them
        ("v1.52.0", False, (0, 0)),
        ("v1.37.1", True, (1, 0)),
        ("v1.37.1", False, (1, 0)),
    ],
)
def test_a_revision_ahead_of_the_release(version: str, migration: bool, expected: tuple[int, int]) -> None:
    fields = {"version": version, "migration": MigrationProps(enabled=migration)}
    report = postgresql(revision=NEW_HEAD, props=fields)
    assert (len(failures(report)), len(warnings(report))) == expected
    assert report.pending == ()


def test_an_unknown_release() -> None:
    report = postgresql(revision=NEW_HEAD, props={"version": "v1.99.0"})
    assert failures(report) == []
    assert "the migrations of v1.99.0 are not known; describe the release" in warnings(report)[0]


# ---------------------------------------------------------------- connections


def test_connections_of_an_installation_and_of_a_roll_out() -> None:
    assert failures(postgresql(connections(limit=65))) == []
    assert "62 of 62" not in str(postgresql(connections(limit=64)).findings)
    (failure,) = failures(postgresql(connections(limit=64)))
    assert failure.startswith("max_connections: 61 of 61 are free, and SpiceDB needs 62 more; increase max_connections")
    assert "(datastore.readPool, datastore.writePool)" in failure
    # Old servers drain while new ones start: the roll-out begins with one new server.
    report = postgresql(connections(limit=100, used=60), running_servers=2)
    assert failures(report) == []
    assert "37 of 97 are free, and a roll-out needs 62 more: new servers wait" in warnings(report)[0]
    assert len(failures(postgresql(connections(limit=100, used=70), running_servers=2))) == 1


def test_limits_of_the_user_and_the_database() -> None:
    limited = connections(role_limit=10, database_limit=20)
    role, database = failures(postgresql(limited))
    assert role.startswith("limit of the user spicedb: 10 of 10")
    assert "ALTER ROLE spicedb CONNECTION LIMIT -1" in role
    assert database.startswith("limit of the database spicedb: 20 of 20")
    # The limit of another user is not the servers'.
    assert len(failures(postgresql(limited, props=OWN_USER))) == 1


# ---------------------------------------------------------------- locks


def lock(mode: str, **changes: Any) -> dict[str, Any]:
    normal = {"pid": 7, "table": "relation_tuple", "application": "app", "state": "idle in transaction", "seconds": 90}
    return {"fact": "lock", "mode": mode, "worker": False, **normal, **changes}


TRANSACTION = {
    "fact": "transaction",
    "pid": 7,
    "application": "app",
    "state": "idle in transaction",
    "seconds": 90,
    "worker": False,
}


def test_a_lock_that_blocks_servers() -> None:
    (failure,) = failures(postgresql(lock("AccessShareLock"), lock("AccessExclusiveLock"), TRANSACTION))
    assert failure == (
        "the transaction of pid 7 (idle in transaction, 90 s, app) holds AccessExclusiveLock on relation_tuple, for "
        "which servers wait; wait until it ends, or end it: SELECT pg_terminate_backend(7)"
    )


def test_a_lock_for_which_only_migrations_wait() -> None:
    held = (lock("AccessShareLock"), TRANSACTION)
    assert "for which a coming migration waits" in failures(postgresql(*held, revision=BEFORE_INDEXES))[0]
    # Nothing is left that changes the table.
    report = postgresql(*held)
    assert failures(report) == []
    (warning,) = warnings(report)
    assert warning.startswith("the transaction of pid 7 (idle in transaction, 90 s, app) is open; migrations")


def test_the_servers_own_vacuum_does_not_matter() -> None:
    assert failures(postgresql(lock("ShareUpdateExclusiveLock", worker=True), revision=BEFORE_INDEXES)) == []


def test_prepared_transactions() -> None:
    prepared = {**TRANSACTION, "pid": None, "application": "prepared transaction x", "state": "prepared"}
    (warning,) = warnings(postgresql(prepared))
    assert warning.startswith("prepared transaction x is open")
    assert "ROLLBACK PREPARED" in warning


def test_without_the_right_to_see_other_users() -> None:
    (warning,) = warnings(postgresql(server(sees_others=False)))
    assert "the age of other users' transactions is not visible; GRANT pg_monitor" in warning
    hidden = lock("ShareLock", application="", state=None, seconds=None)
    assert "the transaction of pid 7 (unknown) holds ShareLock" in failures(postgresql(hidden))[0]


def test_replicas() -> None:
    replica = {"fact": "replica", "application": "standby1", "state": "streaming", "seconds": 0.1, "bytes": 5}
    assert warnings(postgresql(replica)) == []
    assert (
        "standby1 is behind: 60 s, 2.0 GiB" in warnings(postgresql({**replica, "seconds": 60, "bytes": 2048 * MIB}))[0]
    )
    assert warnings(postgresql({**replica, "state": None, "seconds": None, "bytes": None})) == []


def test_an_index_that_was_not_finished() -> None:
    (failure,) = failures(postgresql({"fact": "broken_index", "name": "ix_gc_index", "table": "relation_tuple"}))
    assert failure.endswith("DROP INDEX CONCURRENTLY ix_gc_index, before a migration creates it again")


# ---------------------------------------------------------------- time


def big(rows: int) -> dict[str, Any]:
    return table(rows=rows, bytes=rows * 100, index_bytes=rows * 300)


def test_rows_by_the_size_now() -> None:
    counted = table(rows=1000, bytes=100_000)
    assert postgresql(counted, {"fact": "size", "name": "relation_tuple", "bytes": 300_000}).rows == {
        "alembic_version": 0,
        "relation_tuple": 3000,
    }
    never_counted = table(rows=-1, bytes=0)
    size = {"fact": "size", "name": "relation_tuple", "bytes": 200_000}
    assert postgresql(never_counted, size).rows["relation_tuple"] == 1000
    assert postgresql(never_counted).rows["relation_tuple"] == 0


def test_a_migration_that_takes_longer_than_its_time_limit() -> None:
    report = postgresql(big(1_000_000_000), revision=BEFORE_INDEXES)
    (failure,) = failures(report)
    assert "in all, and its time limit is 600 s" in failure.replace("10 min", "600 s")
    assert "set migration.activeDeadlineSeconds to" in failure
    assert "migration.migrationTimeout" in failure
    (longest,) = [each for each in report.estimates if "watch" in each.revision]
    assert (longest.seconds, longest.rows, longest.waits.value) == (1000, 1_000_000_000, "none")
    fields = {"migration": MigrationProps(active_deadline_seconds=100_000)}
    assert failures(postgresql(big(1_000_000_000), revision=BEFORE_INDEXES, props=fields)) == []


def test_a_migration_that_takes_more_than_half_of_its_time_limit() -> None:
    report = postgresql(big(300_000_000), revision=BEFORE_INDEXES)
    assert failures(report) == []
    (warning,) = warnings(report)
    assert warning.startswith("takes about 6 min in all, and its time limit is 10 min; set migration.activeDeadline")


def test_each_step_has_a_time_limit_of_its_own() -> None:
    settings = props()
    steps = plan_upgrade(ON_POSTGRESQL, "v1.30.0", "v1.56.0").steps
    question = Question(props=settings, steps=steps)
    jobs = [*question.jobs(BEFORE_INDEXES)]
    assert [job[-1] for job in jobs] == ["create-relationships-counters-table", NEW_HEAD]
    assert [revision for job in jobs for revision in job] == list(question.pending(BEFORE_INDEXES))


def test_the_target_of_a_partial_migration() -> None:
    report = postgresql(revision=BEFORE_INDEXES, props={"migration": MigrationProps(target_migration=OLD_HEAD)})
    assert report.pending[-1] == OLD_HEAD


def test_allowed_migrations_count() -> None:
    fields = {"version": "v1.39.0", "server": ServerProps(allowed_migrations=[NEW_HEAD])}
    assert failures(postgresql(revision=NEW_HEAD, props=fields)) == []
