"""The check of MySQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ...props import SpiceDBProps
from ..finding import Finding
from .base import EngineCheck
from .connection import Words
from .facts import Fact, Facts
from .report import Question
from .room import Limit, room_findings
from .schema import duration, revision_findings

_NEEDED = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX", "DROP")
_OLDEST = 8
_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<database>\S+?)\.(?P<table>\S+) TO ")


class MySQLCheck(EngineCheck):
    """Asks MySQL, or MariaDB, in a session whose transactions are read-only."""

    image = "docker.io/library/mariadb:10.11"
    script = "mysql.sh"
    sql = "mysql.sql"
    words = Words("datastore.tls", "set datastore.host, user, password and database instead of a URI with a $")
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

    def prefix(self, props: SpiceDBProps) -> str:
        """See `EngineCheck.prefix`."""
        return getattr(props.datastore, "table_prefix", None) or ""

    def findings(self, facts: Facts, question: Question, revision: str | None) -> Iterator[Finding]:
        """See `EngineCheck.findings`."""
        yield from _server(facts.one("server"))
        yield from revision_findings(question, revision)
        yield from _rights(facts, question, revision)
        yield from room_findings(question, _limits(facts, question))
        changes = {self.prefix(question.props) + table for table in question.changes(revision)}
        yield from self._locks(facts, question, changes)

    def rows(self, facts: Facts, question: Question) -> Mapping[str, int]:
        """See `EngineCheck.rows`."""
        return {name: int(fact["rows"] or 0) for name, fact in self._tables(facts, question)}

    def sizes(self, facts: Facts, question: Question) -> Mapping[str, int]:
        """See `EngineCheck.sizes`."""
        return {
            name: int(fact["bytes"] or 0) + int(fact["index_bytes"] or 0)
            for name, fact in self._tables(facts, question)
        }

    def _tables(self, facts: Facts, question: Question) -> Iterator[tuple[str, Fact]]:
        prefix = self.prefix(question.props)
        for fact in facts.each("table"):
            yield fact["name"][len(prefix) :], fact

    def _locks(self, facts: Facts, question: Question, changes: set[str]) -> Iterator[Finding]:
        ours, database = {self.prefix(question.props) + table for table in self.tables}, facts.one("server")["database"]
        clear = True
        for used in _open_tables(facts):
            if used[0] == database and used[1] in ours:
                clear = False
                make = Finding.failure if used[1] in changes else Finding.warning
                text = f"a session uses {used[1]} or has locked it (LOCK TABLES)"
                yield make(
                    "Database locks", text, "SHOW PROCESSLIST shows the sessions; wait until it ends, or KILL it"
                )
        for fact in facts.each("transaction"):
            clear = False
            pid = fact["pid"]
            text = (
                f"the transaction of thread {pid} ({str(fact['state']).lower()}, {duration(fact['seconds'])}, "
                f"{fact['rows']} rows changed) is open; migrations that alter its tables wait, and then all servers do"
            )
            # Which tables it used is not known. One that changed rows most probably changed SpiceDB's.
            make = Finding.failure if changes and int(fact["rows"]) else Finding.warning
            yield make("Database transactions", text, f"wait until it ends, or end it: KILL {pid}")
        if "sees_transactions" not in facts:
            text = "open transactions are not visible to the migration's user"
            yield Finding.warning("Database transactions", text, "GRANT PROCESS ON *.* TO the migration's user")
        elif clear:
            yield Finding.ok("Database locks", "no transaction is in the way of migrations")


def _server(server: Fact) -> Iterator[Finding]:
    version = str(server["version"])
    if "mariadb" in f"{version} {server.get('comment')}".lower():
        text = f"MariaDB {version.partition('-')[0]}: SpiceDB's maintainers test MySQL only"
        yield Finding.warning("Database version", text, "test each upgrade on a copy of the database first")
    elif int(version.partition(".")[0]) < _OLDEST:
        yield Finding.failure(
            "Database version", f"MySQL {version} is older than SpiceDB supports", "upgrade MySQL to 8"
        )
    else:
        yield Finding.ok("Database version", f"MySQL {version}")
    if server.get("read_only"):
        fix = "connect to the primary, or SET GLOBAL read_only = OFF"
        yield Finding.failure("Database", "the server is read-only, and cannot be migrated", fix)


def _rights(facts: Facts, question: Question, revision: str | None) -> Iterator[Finding]:
    server = facts.one("server")
    database = str(server["database"])
    if not any(line["text"].startswith("GRANT ") for line in facts.each("line")):
        yield Finding.warning(
            "Database rights", "the grants of the migration's user cannot be read", "look at SHOW GRANTS"
        )
        return
    missing = [right for right in _NEEDED if right not in granted(facts, database)]
    if missing:
        make = Finding.failure if question.pending(revision) else Finding.warning
        user = "'@'".join(str(server["user"]).rsplit("@", 1))
        fix = f"GRANT {', '.join(missing)} ON `{database}`.* TO '{user}'"
        yield make(
            "Database rights", f"the migration's user lacks {', '.join(missing)} on the database {database}", fix
        )
    else:
        yield Finding.ok("Database rights", "the migration's user can create, alter and index tables")


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
    if pattern == "*":
        return True
    parts = re.findall(r"\\.|.", pattern)
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(expression, database, re.DOTALL) is not None


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


def _open_tables(facts: Facts) -> Iterator[tuple[str, str]]:
    """Database and name of each table that is in use."""
    for line in facts.each("line"):
        words = line["text"].split(" ")
        if len(words) == 4 and words[2].isdigit() and words[3].isdigit():
            yield words[0], words[1]
