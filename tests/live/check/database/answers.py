"""Answers of databases, as the pod of the check prints them, and the reports on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cdk8s_spicedb import MySQL, PostgreSQL, SecretKey, SpiceDBProps
from cdk8s_spicedb.live.check.database.engine import EngineCheck
from cdk8s_spicedb.live.check.database.mysql import MySQLCheck
from cdk8s_spicedb.live.check.database.postgresql import PostgreSQLCheck
from cdk8s_spicedb.live.check.database.question import DatabaseReport, Facts, Question
from cdk8s_spicedb.live.check.finding import Level

Answer = dict[str, Any]
OLD_HEAD, NEW_HEAD = "add-index-for-transaction-gc", "populate-schema-tables"
ON_POSTGRESQL = PostgreSQL(host="db", database="spicedb", user="spicedb", password=SecretKey("spicedb", "password"))
ON_MYSQL = MySQL(host="db", database="spicedb", user="spicedb", password=SecretKey("spicedb", "password"))
MIB = 1 << 20


def props(**fields: Any) -> SpiceDBProps:
    """The newest release on PostgreSQL."""
    settings = {"version": "v1.56.0", "datastore": ON_POSTGRESQL, "preshared_key": SecretKey("spicedb", "key")}
    return SpiceDBProps(**{**settings, **fields})


def server(**changes: Any) -> Answer:
    """PostgreSQL, as it describes itself."""
    normal = {
        "fact": "server",
        "version": "15.4",
        "number": 150004,
        "user": "spicedb",
        "database": "spicedb",
        "schema": "public",
        "standby": False,
        "read_only": False,
        "statement_timeout": 0,
        "track_commit_timestamp": True,
        "create": True,
        "sees_others": True,
    }
    return {**normal, **changes}


def table(name: str = "relation_tuple", **changes: Any) -> Answer:
    """A table of PostgreSQL."""
    normal = {"owned": True, "owner": "spicedb", "writable": True, "rows": 0, "bytes": 0, "index_bytes": 0}
    return {"fact": "table", "name": name, **normal, **changes}


def connections(**changes: Any) -> Answer:
    """Connections of PostgreSQL."""
    normal = {"limit": 500, "reserved": 3, "used": 0, "role_limit": -1, "role_used": 0, "database_limit": -1}
    return {"fact": "connections", **normal, "database_used": 0, **changes}


def at(revision: str) -> list[Answer]:
    """The revision of PostgreSQL's schema."""
    return [table("alembic_version"), {"fact": "revision", "revision": revision}]


def postgresql(*answers: Answer, revision: str | None = OLD_HEAD, **options: Any) -> DatabaseReport:
    """The report on a PostgreSQL that is healthy apart from these answers, of which the later ones count."""
    known = [server(), connections(), *(at(revision) if revision else [])]
    replaced = {answer["fact"] for answer in answers} & {"server", "connections"}
    answers = (*(answer for answer in known if answer["fact"] not in replaced), *answers)
    return _report(PostgreSQLCheck(), answers, props(**options.pop("props", {})), **options)


def mysql(
    *answers: Answer, revision: str | None = "add_expiration_to_relation_tuple", **options: Any
) -> DatabaseReport:
    """The report on a MySQL that is healthy apart from these answers."""
    described = {
        "fact": "server",
        "version": "8.0.36",
        "comment": "MySQL Community Server",
        "user": "spicedb@%",
        "database": "spicedb",
        "read_only": 0,
        "connections": 500,
        "user_connections": 0,
        "own": 0,
    }
    known: list[Answer] = [
        described,
        *([{"fact": "revision", "revision": revision}] if revision else []),
    ]
    if not any(answer.get("text", "").startswith("Threads_connected") for answer in answers):
        known.append({"fact": "line", "text": "Threads_connected 1"})
    if not any(answer["fact"] == "line" and answer["text"].startswith("GRANT") for answer in answers):
        known.append({"fact": "line", "text": "GRANT ALL PRIVILEGES ON `spicedb`.* TO `spicedb`@`%`"})
    replaced = {answer["fact"] for answer in answers} & {"server"}
    found = (*(answer for answer in known if answer["fact"] not in replaced), *answers)
    return _report(MySQLCheck(), found, props(**{"datastore": ON_MYSQL, **options.pop("props", {})}), **options)


def facts_of(answers: Sequence[Answer]) -> Facts:
    """Answers, as the check reads them from the log of the pod."""
    return Facts.read("\n".join(map(json.dumps, answers)))


def _report(check: EngineCheck, answers: Sequence[Answer], settings: SpiceDBProps, **options: Any) -> DatabaseReport:
    facts = facts_of([*answers, {"fact": "done"}])
    return check.report(facts, Question(props=settings, **options))


def failures(report: DatabaseReport) -> list[str]:
    """What must be fixed, each with its fix."""
    return [f"{each.text}; {each.fix}" for each in report.findings if each.level is Level.FAILURE]


def warnings(report: DatabaseReport) -> list[str]:
    """What should be known, each with its fix."""
    return [f"{each.text}; {each.fix}" for each in report.findings if each.level is Level.WARNING]
