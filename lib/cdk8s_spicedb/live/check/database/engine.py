"""What the check of each engine has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from ....props import SpiceDBProps
from ....versions import Estimate
from ..finding import Finding
from .findings import DATABASE, Words, connection_findings, estimate_findings, estimates, uri_findings
from .pod import Client, script
from .question import DatabaseReport, Facts, Question

PATIENCE_SECONDS = 10
"""Age from which an open transaction is worth a finding."""


class EngineCheck(ABC):
    """The check of one engine: what its client asks, and what the answers mean."""

    image: ClassVar[str]
    """Image of its client."""
    script: ClassVar[str]
    """File of ``scripts/`` that connects."""
    sql: ClassVar[str]
    """File of ``scripts/`` with what it asks."""
    words: ClassVar[Words] = Words("datastore.sslmode", "write %24 instead of $ in the URI")
    """What fixes are called with this engine."""
    tables: ClassVar[Sequence[str]] = ()
    """Tables of SpiceDB, without prefix."""

    def client(self, props: SpiceDBProps, image: str | None) -> Client:
        """The client that the pod runs."""
        prefix = self.prefix(props)
        values = {
            "{tables}": ", ".join(f"'{prefix}{table}'" for table in self.tables),
            "{prefix}": prefix,
            "{patience}": str(PATIENCE_SECONDS),
        }
        sql = script(self.sql)
        for name, value in values.items():
            sql = sql.replace(name, value)
        return Client(image or self.image, self.script, sql)

    def prefix(self, props: SpiceDBProps) -> str:
        """The prefix of the tables."""
        return ""

    def report(self, facts: Facts, question: Question) -> DatabaseReport:
        """The findings of all facts."""
        failed = [*connection_findings(facts, question, self.words)]
        if "server" not in facts:
            return DatabaseReport(findings=failed or [_nothing(question)])
        revision, rows, sizes = self.revision(facts), self.rows(facts, question), self.sizes(facts, question)
        found: Sequence[Estimate] = estimates(question, revision, rows)
        findings = [
            *failed,
            Finding.ok(DATABASE, f"{question.place} answers"),
            *uri_findings(facts, question, self.words),
            *self.findings(facts, question, revision),
            *estimate_findings(question, revision, found, sizes),
        ]
        return DatabaseReport(
            findings=findings,
            revision=revision,
            server_version=self.server_version(facts),
            pending=question.pending(revision),
            rows=rows,
            estimates=found,
        )

    @abstractmethod
    def findings(self, facts: Facts, question: Question, revision: str | None) -> Iterator[Finding]:
        """The findings of the engine, from what a client that connected learned."""

    @staticmethod
    def server_version(facts: Facts) -> str | None:
        """The version of the server, in its own words."""
        version = facts.one("server").get("version")
        return str(version) if version else None

    @staticmethod
    def revision(facts: Facts) -> str | None:
        """The revision of the schema. None if there is none."""
        return facts.one("revision").get("revision") or None

    def rows(self, facts: Facts, question: Question) -> Mapping[str, int]:
        """The number of rows of each table, without prefix."""
        return {}

    def sizes(self, facts: Facts, question: Question) -> Mapping[str, int]:
        """The bytes of each table with its indexes, without prefix."""
        return {}


def _nothing(question: Question) -> Finding:
    return Finding.failure(
        DATABASE,
        f"{question.place} answers, but not to the queries of this check",
        "try another client image with --database-image",
    )
