"""The check of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ....plans.words import duration
from ..finding import Finding
from .engine import EngineCheck
from .findings import ALL_RIGHTS, LOCKS, NO_LOCKS, REVISION, RIGHTS, Limit, bytes_text, revision_findings, room_findings
from .question import TRANSACTION_IDS, Fact, Facts, Question

# By digest, because it gets the migration's credentials. It is the digest of the index for all architectures.
_CLIENT = "docker.io/library/postgres:15.19@sha256:724292da1f2e50bdccfc3302ce75bbba7f4a6076701b588cc795fcac65683550"
_OLDEST, _OLDEST_TEXT = 130008, "13.8"
_OLDEST_REPAIR, _LARGEST_REPAIR = 150000, 2**31 - 1
"""Of `spicedb datastore repair transaction-ids`: it needs PostgreSQL 15, and reads ids as numbers of 32 bits."""
_LAG_SECONDS, _LAG_BYTES = 30, 1 << 30
_TYPICAL_ROW_BYTES = 200
_BLOCKS_WRITES = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
_MONITOR = "GRANT pg_monitor TO the migration's user, to see the transactions and the replicas"


class PostgreSQLCheck(EngineCheck):
    """Asks PostgreSQL in one read-only transaction, which takes no lock that a server or a migration waits for."""

    image = _CLIENT
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
        yield from _server(facts.one("server"))
        yield from _revision(facts, question, revision)
        yield from _transaction_ids(facts, question)
        yield from list(_rights(facts, question, revision)) or [ALL_RIGHTS]
        # An interrupted migration left these. `CREATE INDEX … IF NOT EXISTS` would keep them.
        for fact in facts.each("broken_index"):
            text = f"{fact['name']} of {fact['table']} is invalid, and no query uses it: its creation was interrupted"
            fix = f"DROP INDEX CONCURRENTLY {_quoted(fact['name'])}, before a migration creates it again"
            yield Finding.failure("Database indexes", text, fix)
        yield from room_findings(question, _limits(facts, question))
        yield from _locks(facts, question.changes(revision))
        yield from _replicas(facts)

    def can_repair(self, facts: Facts) -> bool:
        return _newest(facts) <= _LARGEST_REPAIR and int(facts.one("server")["number"]) >= _OLDEST_REPAIR

    def rows(self, facts: Facts, question: Question) -> Mapping[str, int]:
        # As PostgreSQL's planner does it: by the size now, and the last count.
        now = {fact["name"]: int(fact["bytes"]) for fact in facts.each("size")}
        found = {}
        for fact in facts.each("table"):
            rows, counted = max(int(fact["rows"]), 0), int(fact["bytes"])
            size = now.get(fact["name"], counted)
            found[fact["name"]] = round(rows * size / counted) if counted and rows else size // _TYPICAL_ROW_BYTES
        return found


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
        text = "the table alembic_version cannot be read, or has no row"
        fix = "GRANT SELECT ON alembic_version TO the migration's user, and end transactions that lock the table"
        yield Finding.failure(REVISION, text, fix)
    else:
        yield from revision_findings(question, revision)


def _newest(facts: Facts) -> int:
    """The newest transaction in the tables. 0: there is none."""
    return int(facts.one("transaction_ids").get("newest") or 0)


def _transaction_ids(facts: Facts, question: Question) -> Iterator[Finding]:
    """Whether this server has given out the ids that the tables hold. SpiceDB sees no row of a later transaction."""
    fact = facts.one("transaction_ids")
    newest, following = _newest(facts), int(fact.get("next") or 0)
    if newest < following or not fact:
        return
    text = (
        f"the newest transaction in the tables, {newest}, is in the future of this server, whose next one is "
        f"{following}: a dump was restored into it. SpiceDB serves, but does not see its schema and relationships"
    )
    if newest > _LARGEST_REPAIR:
        fix = (
            f"SpiceDB's repair fails with ids above {_LARGEST_REPAIR}: copy the database with its server instead, by a "
            "snapshot or pg_basebackup"
        )
    elif int(facts.one("server")["number"]) < _OLDEST_REPAIR:
        fix = f"upgrade PostgreSQL to {_OLDEST_REPAIR // 10000}, which SpiceDB's repair needs, and check again"
    else:
        command = f"cdk8s-spicedb repair --run --file FILE {question.options}".rstrip()
        fix = f"stop the servers, and run `{command}`"
    yield Finding.failure(TRANSACTION_IDS, text, fix)


def _rights(facts: Facts, question: Question, revision: str | None) -> Iterator[Finding]:
    server, pending = facts.one("server"), question.pending(revision)
    user, make = _quoted(server["user"]), Finding.failure if pending else Finding.warning
    if server.get("schema") is None:
        text = "no schema of the search_path exists, or the user has no permission to use it"
        fix = f"ALTER ROLE {user} SET search_path = the schema of SpiceDB's tables, and GRANT USAGE, CREATE ON it"
        yield Finding.failure(RIGHTS, text, fix)
        return
    if not server.get("create"):
        schema = _quoted(server["schema"])
        text = f"the migration's user has no permission to create tables and indexes in the schema {schema}"
        yield make(RIGHTS, text, f"GRANT CREATE ON SCHEMA {schema} TO {user}")
    foreign = [fact for fact in facts.each("table") if not fact["owned"]]
    if foreign:
        owners = sorted({_quoted(fact["owner"]) for fact in foreign})
        names = ", ".join(fact["name"] for fact in foreign)
        fix = f"GRANT {', '.join(owners)} TO {user}, or ALTER TABLE … OWNER TO {user}"
        yield make(RIGHTS, f"the migration's user does not own {names}, and cannot alter or index them", fix)
    locked_out = ", ".join(fact["name"] for fact in facts.each("table") if not fact["writable"])
    if locked_out and question.props.migration.datastore_uri is None:
        fix = f"GRANT SELECT, INSERT, UPDATE, DELETE ON {locked_out} TO {user}"
        yield Finding.failure(RIGHTS, f"the servers' user has no permission to write to {locked_out}", fix)


def _limits(facts: Facts, question: Question) -> list[Limit]:
    fact = facts.one("connections")
    if not fact:
        return []
    free_for_us = int(fact["limit"]) - int(fact["reserved"])
    found = [Limit("max_connections", free_for_us, int(fact["used"]), "increase max_connections in PostgreSQL")]
    server = facts.one("server")
    for kind, part in (("user", "role"), ("database", "database")):
        limit, name = fact[f"{part}_limit"], _quoted(server[kind])
        # A migration with a URI of its own may have another user than the servers.
        ours = kind == "database" or question.props.migration.datastore_uri is None
        if ours and limit is not None and int(limit) >= 0:
            fix = f"ALTER {part.upper()} {name} CONNECTION LIMIT -1"
            found.append(Limit(f"limit of the {kind} {name}", int(limit), int(fact[f"{part}_used"]), fix))
    return found


def _locks(facts: Facts, changes: set[str]) -> Iterator[Finding]:
    strongest: dict[tuple[Any, str], Fact] = {}
    for fact in facts.each("lock"):
        key = (fact.get("pid"), fact["table"])
        if key not in strongest or fact["mode"] in _BLOCKS_WRITES:
            strongest[key] = fact
    named = set()
    for (pid, table), fact in strongest.items():
        blocks = fact["mode"] in _BLOCKS_WRITES
        # PostgreSQL ends its own vacuum when a migration needs the lock.
        if (blocks or table in changes) and not fact.get("worker"):
            named.add(pid)
            wait = "servers wait" if blocks else "a coming migration waits"
            text = f"{_session(fact)} holds {fact['mode']} on {table}, for which {wait}"
            yield Finding.failure(LOCKS, text, _end(fact))
    waits = [fact for fact in facts.each("transaction") if not fact.get("worker") and fact.get("pid") not in named]
    for fact in waits:
        text = f"{_session(fact)} is open; migrations that build an index wait until it ends"
        yield Finding.warning("Database transactions", text, _end(fact))
    if not named and not waits:
        if facts.one("server").get("sees_others"):
            yield NO_LOCKS
        else:
            text = "no lock is in the way, but the age of other users' transactions is not visible"
            yield Finding.warning(LOCKS, text, _MONITOR)


def _session(fact: Fact) -> str:
    if fact.get("pid") is None:
        return str(fact.get("application") or "a prepared transaction")
    seconds = fact.get("seconds")
    details = (fact.get("state"), duration(seconds) if seconds is not None else "", fact.get("application"))
    return f"the transaction of pid {fact['pid']} ({', '.join(str(each) for each in details if each) or 'unknown'})"


def _end(fact: Fact) -> str:
    if fact.get("pid") is None:
        return "COMMIT PREPARED or ROLLBACK PREPARED; pg_prepared_xacts lists them"
    return f"wait until it ends, or end it: SELECT pg_terminate_backend({fact['pid']})"


def _replicas(facts: Facts) -> Iterator[Finding]:
    for fact in facts.each("replica"):
        seconds, behind = fact.get("seconds") or 0, fact.get("bytes") or 0
        name = fact.get("application") or "a replica"
        if seconds > _LAG_SECONDS or behind > _LAG_BYTES:
            text = f"{name} is behind: {duration(seconds)}, {bytes_text(behind)}"
            fix = "wait until it has caught up: building an index adds much to it"
            yield Finding.warning("Database replicas", text, fix)
        elif fact.get("state") is not None:
            yield Finding.ok("Database replicas", f"{name} is up to date")


def _quoted(name: Any) -> str:
    """A name in SQL."""
    text = str(name)
    plain = text.isidentifier() and text.islower() and text.isascii()
    return text if plain else '"' + text.replace('"', '""') + '"'


class CockroachDBCheck(EngineCheck):
    """Asks CockroachDB through PostgreSQL's protocol: only for what both have. Tested without a CockroachDB."""

    image = _CLIENT
    script = "postgres.sh"
    sql = "cockroachdb.sql"

    def findings(self, facts: Facts, question: Question, revision: str | None) -> Iterator[Finding]:
        yield Finding.ok("Database version", str(facts.one("server")["version"]).partition(" (")[0])
        yield from revision_findings(question, revision)
        if facts.one("create").get("allowed") is False:
            make = Finding.failure if question.pending(revision) else Finding.warning
            user = facts.one("server").get("user")
            fix = f"GRANT CREATE ON DATABASE {facts.one('server').get('database')} TO {user}"
            yield make(RIGHTS, "the migration's user has no permission to create tables", fix)
