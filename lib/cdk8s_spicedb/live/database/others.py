"""The checks of engines of which little can be asked."""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Finding
from .base import EngineCheck
from .facts import Facts
from .report import DatabaseReport, Question
from .schema import revision_findings

SPANNER = DatabaseReport(
    findings=(
        Finding.warning(
            "Database",
            "not checked: the check does not support Spanner; its revision, sessions and sizes are not known",
            "look into the table schema_version in the Google Cloud console before you upgrade",
        ),
    )
)
CLOUD_CREDENTIALS = DatabaseReport(
    findings=(
        Finding.warning(
            "Database",
            "not checked: its password comes from AWS, which the client of this check cannot ask",
            "look into the database yourself before you upgrade",
        ),
    )
)


class CockroachDBCheck(EngineCheck):
    """Asks CockroachDB through PostgreSQL's protocol: only for what both have. Tested without a CockroachDB."""

    image = "docker.io/library/postgres:15"
    script = "postgres.sh"
    sql = "cockroachdb.sql"

    def findings(self, facts: Facts, question: Question, revision: str | None) -> Iterator[Finding]:
        """See `EngineCheck.findings`."""
        yield Finding.ok("Database version", str(facts.one("server")["version"]).partition(" (")[0])
        yield from revision_findings(question, revision)
        if facts.one("create").get("allowed") is False:
            make = Finding.failure if question.pending(revision) else Finding.warning
            user = facts.one("server").get("user")
            fix = f"GRANT CREATE ON DATABASE {facts.one('server').get('database')} TO {user}"
            yield make("Database rights", "the migration's user has no permission to create tables", fix)
