"""The check of MySQL."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ....plans.words import duration
from ....props.datastores import MySQL
from ....props.datastores.base import Datastore
from ..finding import Finding
from .engine import EngineCheck
from .findings import ALL_RIGHTS, DATABASE, LOCKS, NO_LOCKS, RIGHTS, Limit, revision_findings, room_findings
from .question import Fact, Facts, Question

# By digest, because it gets the migration's credentials. It is the digest of the index for all architectures.
_CLIENT = "docker.io/library/mariadb:10.11.19@sha256:7db29378d4fdab73f8123bbc2b48905c90d1a4b00cf848b028f1e81e623257f2"
_NEEDED = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX", "DROP")
_BLOCKS_WRITES = ("SHARED_NO_WRITE", "SHARED_NO_READ_WRITE", "SHARED_READ_ONLY", "EXCLUSIVE")
_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<database>\S+?)\.(?P<table>\S+) TO ")


class MySQLCheck(EngineCheck):
    """Asks MySQL, or MariaDB, in a session whose transactions are read-only."""

    image = _CLIENT
    script = "mysql.sh"
    sql = "mysql.sql"
    tls = "datastore.tls"
    dollar = "set datastore.host, user, password and database instead of a URI with a $"
    tables = (
        "relation_tuple",
        "relation_tuple_transaction",
        "namespace_config",
        "caveat",
        "relationship_counters",
        "mysql_metadata",
        "mysql_migration_version",
        "stored_schema",
        "stored_schema_revision",
    )

    def prefix(self, datastore: Datastore) -> str:
        return datastore.table_prefix or "" if isinstance(datastore, MySQL) else ""

    def findings(self, facts: Facts, question: Question, revision: str | None) -> Iterator[Finding]:
        yield from _server(facts.one("server"))
        yield from revision_findings(question, revision)
        yield _rights(facts, question, revision)
        yield from room_findings(question, _limits(facts, question))
        changes = {self.prefix(question.datastore) + table for table in question.changes(revision)}
        yield from self._locks(facts, question, changes)
        if isinstance(question.datastore, MySQL) and question.datastore.read_replicas:
            text = "the primary does not know how far its replicas are behind"
            yield Finding.warning("Database replicas", text, "look at SHOW REPLICA STATUS on each replica")

    def _locks(self, facts: Facts, question: Question, changes: set[str]) -> Iterator[Finding]:
        found = []
        for fact in facts.each("lock"):
            # Of LOCK TABLES, and of statements that change a table.
            if str(fact["mode"]).removeprefix("MDL_") in _BLOCKS_WRITES:
                text = f"thread {fact['pid']} holds {fact['mode']} on {fact['table']}, for which servers wait"
                found.append(Finding.failure(LOCKS, text, _end(fact)))
        found += _transactions(facts, changes)
        table = dict(self.found_tables(facts, question)).get("relation_tuple")
        if table and "readable" not in facts and not found:
            text = f"{table['name']} cannot be read: a session has locked it (LOCK TABLES), or changes it"
            fix = "SHOW PROCESSLIST shows the sessions; wait until it ends, or KILL it"
            found.append(Finding.failure(LOCKS, text, fix))
        yield from found
        if "sees_transactions" not in facts:
            text = "open transactions are not visible to the migration's user"
            yield Finding.warning("Database transactions", text, "GRANT PROCESS ON *.* TO the migration's user")
        elif not found:
            yield NO_LOCKS


def _transactions(facts: Facts, changes: set[str]) -> Iterator[Finding]:
    """Transactions for which migrations wait. All servers then wait behind the migration."""
    held: dict[int, set[str]] = {}
    for fact in facts.each("lock"):
        held.setdefault(int(fact["pid"]), set()).add(str(fact["table"]))
    for fact in facts.each("transaction"):
        tables = held.get(int(fact["pid"]), set())
        if "sees_locks" in facts and not tables:
            continue
        uses = f"uses {', '.join(sorted(tables))}" if tables else "may use tables of SpiceDB"
        text = (
            f"the transaction of thread {fact['pid']} ({str(fact['state']).lower()}, {duration(fact['seconds'])}, "
            f"{fact['rows']} rows changed) {uses}; migrations wait for it, and then all servers do"
        )
        # Without locks to see, one that changed rows most probably changed SpiceDB's.
        certain = bool(tables & changes) if tables else bool(changes and int(fact["rows"]))
        yield (Finding.failure if certain else Finding.warning)("Database transactions", text, _end(fact))


def _end(fact: Fact) -> str:
    return f"wait until it ends, or end it: KILL {fact['pid']}"


def _server(server: Fact) -> Iterator[Finding]:
    version = str(server["version"])
    if "mariadb" in f"{version} {server.get('comment')}".lower():
        text = f"MariaDB {version.partition('-')[0]}: SpiceDB's maintainers test MySQL only"
        yield Finding.warning("Database version", text, "test each upgrade on a copy of the database first")
    elif int(version.partition(".")[0]) < 8:
        text = f"MySQL {version} is older than SpiceDB supports"
        yield Finding.failure("Database version", text, "upgrade MySQL to 8")
    else:
        yield Finding.ok("Database version", f"MySQL {version}")
    if server.get("read_only"):
        fix = "connect to the primary, or SET GLOBAL read_only = OFF"
        yield Finding.failure(DATABASE, "the server is read-only, and cannot be migrated", fix)


def _rights(facts: Facts, question: Question, revision: str | None) -> Finding:
    server = facts.one("server")
    database = str(server["database"])
    if not any(line["text"].startswith("GRANT ") for line in facts.each("line")):
        return Finding.warning(RIGHTS, "the grants of the migration's user cannot be read", "look at SHOW GRANTS")
    missing = ", ".join(right for right in _NEEDED if right not in granted(facts, database))
    if not missing:
        return ALL_RIGHTS
    make = Finding.failure if question.pending(revision) else Finding.warning
    user = "'@'".join(str(server["user"]).rsplit("@", 1))
    fix = f"GRANT {missing} ON `{database}`.* TO '{user}'"
    return make(RIGHTS, f"the migration's user lacks {missing} on the database {database}", fix)


def granted(facts: Facts, database: str) -> set[str]:
    """The rights on all tables of a database, by the user's grants."""
    found: set[str] = set()
    for line in facts.each("line"):
        match = _GRANT.match(line["text"])
        if match is None or match["table"].strip("`") != "*" or not _covers(match["database"].strip("`"), database):
            continue
        rights = {right.strip().upper() for right in match["rights"].split(",")}
        found |= set(_NEEDED) if rights & {"ALL", "ALL PRIVILEGES"} else rights
    return found


def _covers(pattern: str, database: str) -> bool:
    """Whether a grant on a pattern is one on a database. ``_`` and ``%`` are placeholders unless escaped."""
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(part) or re.escape(part[-1]) for part in re.findall(r"\\.|.", pattern))
    return pattern == "*" or re.fullmatch(expression, database, re.DOTALL) is not None


def _limits(facts: Facts, question: Question) -> list[Limit]:
    server = facts.one("server")
    found = []
    for line in facts.each("line"):
        name, _, count = line["text"].partition(" ")
        if name == "Threads_connected":
            # One of them is the check's own.
            fix = "increase max_connections in MySQL"
            found.append(Limit("max_connections", int(server["connections"]), int(count) - 1, fix))
    own = int(server.get("user_connections") or 0)
    if own and question.props.migration.datastore_uri is None:
        fix = "ALTER USER … WITH MAX_USER_CONNECTIONS 0"
        found.append(Limit("limit of the user", own, int(server.get("own") or 0), fix))
    return found
