"""The check of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ....plans.words import duration
from ..finding import Finding
from .engine import EngineCheck
from .findings import REVISION, Limit, bytes_text, revision_findings, room_findings
from .question import Fact, Facts, Question

_OLDEST, _OLDEST_TEXT = 130008, "13.8"
_LAG_SECONDS, _LAG_BYTES = 30, 1 << 30
_TYPICAL_ROW_BYTES = 200
_BLOCKS_WRITES = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
_MONITOR = "GRANT pg_monitor TO the migration's user, to see the transactions and the replicas"


class PostgreSQLCheck(EngineCheck):
    """Asks PostgreSQL in one read-only transaction, which takes no lock that a server or a migration waits for."""

    image = "docker.io/library/postgres:15"
    script = "postgres.sh"
    sql = "postgres.sql"
    tables = (
        "relation_tuple",
        "relation_tuple_transaction",
        "namespace_config",
        "caveat",
        "relationship_counter",
        "metadata",
        "schema",
        "schema_revision",
        "alembic_version",
    )

    def findings(self, facts: Facts, question: Question, revision: str | None) -> Iterator[Finding]:
        """See `EngineCheck.findings`."""
        yield from _server(facts.one("server"))
        yield from _revision(facts, question, revision)
        yield from _rights(facts, question, revision)
        yield from _broken_indexes(facts)
        yield from room_findings(question, _limits(facts, question))
        yield from _locks(facts, question.changes(revision))
        yield from _replicas(facts)

    def rows(self, facts: Facts, question: Question) -> Mapping[str, int]:
        """See `EngineCheck.rows`. As PostgreSQL's planner does it: by the size now, and the last count."""
        now = {fact["name"]: int(fact["bytes"]) for fact in facts.each("size")}
        found = {}
        for fact in facts.each("table"):
            rows, counted = max(int(fact["rows"]), 0), int(fact["bytes"])
            size = now.get(fact["name"], counted)
            found[fact["name"]] = round(rows * size / counted) if counted and rows else size // _TYPICAL_ROW_BYTES
        return found

    def sizes(self, facts: Facts, question: Question) -> Mapping[str, int]:
        """See `EngineCheck.sizes`."""
        return {fact["name"]: int(fact["bytes"]) + int(fact["index_bytes"]) for fact in facts.each("table")}


def _server(server: Fact) -> Iterator[Finding]:
    version = str(server["version"])
    if int(server["number"]) < _OLDEST:
        fix = f"upgrade PostgreSQL to {_OLDEST_TEXT} or later"
        yield Finding.failure("Database version", f"PostgreSQL {version} is older than SpiceDB supports", fix)
    else:
        yield Finding.ok("Database version", f"PostgreSQL {version}")
    if server.get("standby"):
        fix = "connect the migration and the servers to the primary"
        yield Finding.failure("Database", "this server is a replica, and cannot be migrated", fix)
    elif server.get("read_only"):
        fix = "ALTER ROLE or ALTER DATABASE … RESET default_transaction_read_only; first check whether its disk is full"
        yield Finding.failure("Database", "transactions are read-only by default", fix)
    if server.get("statement_timeout"):
        limit = duration(int(server["statement_timeout"]) / 1000)
        fix = f'ALTER ROLE "{server["user"]}" SET statement_timeout = 0'
        yield Finding.warning("Database settings", f"PostgreSQL ends statements of migrations after {limit}", fix)
    if not server.get("track_commit_timestamp"):
        fix = "ALTER SYSTEM SET track_commit_timestamp = on, and restart PostgreSQL"
        yield Finding.warning("Database settings", "track_commit_timestamp is off; SpiceDB's Watch API needs it", fix)


def _revision(facts: Facts, question: Question, revision: str | None) -> Iterator[Finding]:
    if revision is None and any(fact["name"] == "alembic_version" for fact in facts.each("table")):
        yield Finding.failure(
            REVISION,
            "the table alembic_version cannot be read, or has no row",
            "GRANT SELECT ON alembic_version TO the migration's user, and end transactions that lock the table",
        )
        return
    yield from revision_findings(question, revision)


def _rights(facts: Facts, question: Question, revision: str | None) -> Iterator[Finding]:
    server, pending = facts.one("server"), question.pending(revision)
    user, make = _quoted(server["user"]), Finding.failure if pending else Finding.warning
    complete = True
    if server.get("schema") is None:
        fix = f"ALTER ROLE {user} SET search_path = the schema of SpiceDB's tables, and GRANT USAGE, CREATE ON it"
        yield Finding.failure(
            "Database rights", "no schema of the search_path exists, or the user has no permission to use it", fix
        )
        return
    schema = _quoted(server["schema"])
    if not server.get("create"):
        complete = False
        fix = f"GRANT CREATE ON SCHEMA {schema} TO {user}"
        yield make(
            "Database rights",
            f"the migration's user has no permission to create tables and indexes in the schema {schema}",
            fix,
        )
    foreign = [fact for fact in facts.each("table") if not fact["owned"]]
    if foreign:
        complete = False
        owners = sorted({_quoted(fact["owner"]) for fact in foreign})
        names = ", ".join(fact["name"] for fact in foreign)
        fix = f"GRANT {', '.join(owners)} TO {user}, or ALTER TABLE … OWNER TO {user}"
        yield make("Database rights", f"the migration's user does not own {names}, and cannot alter or index them", fix)
    locked_out = [fact["name"] for fact in facts.each("table") if not fact["writable"]]
    if locked_out and question.props.migration.datastore_uri is None:
        complete = False
        names = ", ".join(locked_out)
        fix = f"GRANT SELECT, INSERT, UPDATE, DELETE ON {names} TO {user}"
        yield Finding.failure("Database rights", f"the servers' user has no permission to write to {names}", fix)
    if complete:
        yield Finding.ok("Database rights", "the migration's user can create, alter and index tables")


def _broken_indexes(facts: Facts) -> Iterator[Finding]:
    """Indexes that an interrupted migration left. ``CREATE INDEX … IF NOT EXISTS`` would keep them."""
    for fact in facts.each("broken_index"):
        text = f"{fact['name']} of {fact['table']} is invalid, and no query uses it: its creation was interrupted"
        fix = f"DROP INDEX CONCURRENTLY {_quoted(fact['name'])}, before a migration creates it again"
        yield Finding.failure("Database indexes", text, fix)


def _limits(facts: Facts, question: Question) -> list[Limit]:
    fact = facts.one("connections")
    if not fact:
        return []
    free_for_us = int(fact["limit"]) - int(fact["reserved"])
    found = [Limit("max_connections", free_for_us, int(fact["used"]), "increase max_connections in PostgreSQL")]
    server = facts.one("server")
    user, database = _quoted(server["user"]), _quoted(server["database"])
    if _limited(fact["role_limit"]) and question.props.migration.datastore_uri is None:
        fix = f"ALTER ROLE {user} CONNECTION LIMIT -1"
        found.append(Limit(f"limit of the user {user}", int(fact["role_limit"]), int(fact["role_used"]), fix))
    if _limited(fact["database_limit"]):
        fix = f"ALTER DATABASE {database} CONNECTION LIMIT -1"
        limit, used = int(fact["database_limit"]), int(fact["database_used"])
        found.append(Limit(f"limit of the database {database}", limit, used, fix))
    return found


def _limited(limit: Any) -> bool:
    return limit is not None and int(limit) >= 0


def _locks(facts: Facts, changes: set[str]) -> Iterator[Finding]:
    strongest: dict[tuple[Any, str], Fact] = {}
    for fact in facts.each("lock"):
        key = (fact.get("pid"), fact["table"])
        if key not in strongest or fact["mode"] in _BLOCKS_WRITES:
            strongest[key] = fact
    named = set()
    for (pid, table), fact in strongest.items():
        # PostgreSQL ends its own vacuum when a migration needs the lock.
        if fact.get("worker"):
            continue
        if fact["mode"] in _BLOCKS_WRITES:
            text = f"{_session(fact)} holds {_mode(fact)} on {table}, for which servers wait"
        elif table in changes:
            text = f"{_session(fact)} holds {_mode(fact)} on {table}, for which a coming migration waits"
        else:
            continue
        named.add(pid)
        yield Finding.failure("Database locks", text, _end(fact))
    waits = [fact for fact in facts.each("transaction") if not fact.get("worker") and fact.get("pid") not in named]
    for fact in waits:
        text = f"{_session(fact)} is open; migrations that build an index wait until it ends"
        yield Finding.warning("Database transactions", text, _end(fact))
    if not named and not waits:
        if facts.one("server").get("sees_others"):
            yield Finding.ok("Database locks", "no transaction is in the way of migrations")
        else:
            text = "no lock is in the way, but the age of other users' transactions is not visible"
            yield Finding.warning("Database locks", text, _MONITOR)


def _session(fact: Fact) -> str:
    if fact.get("pid") is None:
        return str(fact.get("application") or "a prepared transaction")
    seconds = fact.get("seconds")
    details = [
        str(fact.get("state") or ""),
        duration(seconds) if seconds is not None else "",
        str(fact.get("application") or ""),
    ]
    return f"the transaction of pid {fact['pid']} ({', '.join(detail for detail in details if detail) or 'unknown'})"


def _mode(fact: Fact) -> str:
    return str(fact["mode"])


def _end(fact: Fact) -> str:
    if fact.get("pid") is None:
        return "COMMIT PREPARED or ROLLBACK PREPARED; pg_prepared_xacts lists them"
    return f"wait until it ends, or end it: SELECT pg_terminate_backend({fact['pid']})"


def _replicas(facts: Facts) -> Iterator[Finding]:
    for fact in facts.each("replica"):
        seconds, behind = fact.get("seconds"), fact.get("bytes")
        name = fact.get("application") or "a replica"
        if (seconds or 0) > _LAG_SECONDS or (behind or 0) > _LAG_BYTES:
            text = f"{name} is behind: {duration(seconds or 0)}, {bytes_text(behind or 0)}"
            yield Finding.warning(
                "Database replicas", text, "wait until it has caught up: building an index adds much to it"
            )
        elif fact.get("state") is not None:
            yield Finding.ok("Database replicas", f"{name} is up to date")


def _quoted(name: Any) -> str:
    """A name in SQL."""
    text = str(name)
    plain = text.isidentifier() and text.islower() and text.isascii()
    return text if plain else '"' + text.replace('"', '""') + '"'
