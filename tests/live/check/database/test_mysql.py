"""What the answers of MySQL mean."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb.live.check.database.mysql import granted

from .answers import ON_MYSQL, facts_of, failures, mysql, warnings

SEES = {"fact": "sees_transactions", "count": 0}
BEFORE_REBUILD, HEAD = "add_expiration_to_relation_tuple", "identifiers_case_sensitive"


def grants(*texts: str) -> list[dict[str, Any]]:
    return [{"fact": "line", "text": f"GRANT {text} TO `spicedb`@`%`"} for text in texts]


def test_a_healthy_database() -> None:
    report = mysql(SEES)
    assert (failures(report), warnings(report)) == ([], [])
    assert report.pending == ("add_schema_tables", "populate_schema_tables", HEAD)


@pytest.mark.parametrize(
    ("texts", "missing"),
    [
        (["ALL PRIVILEGES ON *.*"], ""),
        (["ALL PRIVILEGES ON `other`.*"], "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP"),
        (["SELECT, INSERT, UPDATE, DELETE ON `spicedb`.*", "CREATE, DROP ON *.*"], "ALTER, INDEX"),
        (["SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON `spice%`.*"], ""),
        (["ALL PRIVILEGES ON `spiced_`.*"], ""),
        ([r"ALL PRIVILEGES ON `spiced\_`.*"], "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP"),
        (["ALL PRIVILEGES ON `spicedb`.`caveat`"], "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP"),
    ],
)
def test_grants(texts: list[str], missing: str) -> None:
    found = failures(mysql(SEES, *grants("USAGE ON *.*", *texts)))
    expected = f"the migration's user lacks {missing} on the database spicedb; GRANT {missing} ON `spicedb`.* TO "
    assert found == ([f"{expected}'spicedb'@'%'"] if missing else [])


def test_missing_grants_without_anything_to_migrate() -> None:
    report = mysql(SEES, *grants("SELECT ON `spicedb`.*"), revision=HEAD)
    assert failures(report) == []
    assert "lacks INSERT" in warnings(report)[0]


def test_grants_of_other_databases_do_not_count() -> None:
    assert granted(facts_of(grants("SELECT ON `spicedb`.*")), "spicedb2") == set()


def test_versions() -> None:
    described = {"fact": "server", "user": "spicedb@%", "database": "spicedb", "connections": 500, "comment": "x"}
    assert "MySQL 5.7.44 is older" in failures(mysql(SEES, {**described, "version": "5.7.44-log"}))[0].replace(
        "-log", ""
    )
    assert (
        "MariaDB 10.11.6: SpiceDB's maintainers test MySQL only"
        in warnings(mysql(SEES, {**described, "version": "10.11.6-MariaDB"}))[0]
    )
    assert "read-only" in failures(mysql(SEES, {**described, "version": "8.4.0", "read_only": 1}))[0]


def test_connections() -> None:
    full = {"fact": "line", "text": "Threads_connected 480"}
    assert failures(mysql(SEES, full))[0].startswith("max_connections: 21 of 500 are free, and SpiceDB needs 42 more")
    described = {"version": "8.4.0", "user": "spicedb@%", "database": "spicedb", "connections": 50, "own": 0}
    few = {"fact": "server", **described, "user_connections": 30}
    (failure,) = failures(mysql(SEES, few))
    assert failure.startswith("limit of the user: 30 of 30 are free, and SpiceDB needs 42 more")
    assert failure.endswith("(datastore.pool)")


def test_transactions() -> None:
    open_one = {"fact": "transaction", "pid": 7, "state": "RUNNING", "seconds": 300, "tables": 0, "rows": 0}
    (warning,) = warnings(mysql(SEES, open_one))
    assert (
        "the transaction of thread 7 (running, 5 min, 0 rows changed) may use tables of SpiceDB; migrations wait"
        in warning
    )
    assert warning.endswith("KILL 7")
    assert failures(mysql(SEES, {**open_one, "rows": 3}))
    assert not failures(mysql(SEES, {**open_one, "rows": 3}, revision=HEAD))
    assert "GRANT PROCESS ON *.*" in warnings(mysql())[0]


def test_locks_that_can_be_seen() -> None:
    seen = (SEES, {"fact": "sees_locks", "by": "x"})
    open_one = {"fact": "transaction", "pid": 7, "state": "RUNNING", "seconds": 300, "tables": 0, "rows": 3}
    assert (failures(mysql(*seen, open_one)), warnings(mysql(*seen, open_one))) == ([], [])
    held = {"fact": "lock", "pid": 7, "table": "relation_tuple", "mode": "SHARED_READ"}
    assert "rows changed) uses relation_tuple; migrations wait" in failures(mysql(*seen, open_one, held))[0]
    assert "uses caveat" in warnings(mysql(*seen, open_one, {**held, "table": "caveat"}))[0]
    # Requests of servers hold such locks too, but not for long.
    assert failures(mysql(*seen, held)) == []
    (failure,) = failures(mysql(*seen, {**held, "mode": "MDL_SHARED_NO_READ_WRITE"}))
    assert failure.startswith("thread 7 holds MDL_SHARED_NO_READ_WRITE on relation_tuple, for which servers wait")


def test_replicas() -> None:
    settings = attrs.evolve(ON_MYSQL, read_replicas=["replica"])
    assert "SHOW REPLICA STATUS" in warnings(mysql(SEES, props={"datastore": settings}))[0]


def test_locked_tables() -> None:
    relationships = {"fact": "table", "name": "relation_tuple", "rows": 1, "bytes": 1, "index_bytes": 1}
    assert "a session has locked it (LOCK TABLES)" in failures(mysql(SEES, relationships))[0]
    assert failures(mysql(SEES, relationships, {"fact": "readable", "rows": 1})) == []


def test_a_table_that_is_rebuilt() -> None:
    rows = {"fact": "table", "name": "relation_tuple", "rows": 10_000_000, "bytes": 1 << 30, "index_bytes": 1 << 30}
    readable = {"fact": "readable", "rows": 1}
    report = mysql(SEES, readable, rows)
    assert warnings(report) == [
        "rewrites relation_tuple, about 60 s for 10 million relationships (2.0 GiB with indexes); writes wait; "
        "migrate when there is little traffic, or change the table beforehand"
    ]
    assert failures(mysql(SEES, readable, {**rows, "rows": 110_000_000}))
