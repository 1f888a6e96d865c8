"""What was asked about a database, and the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from attrs import field, frozen

from ....plans.plan import UpgradeStep
from ....props import SpiceDBProps
from ....props.datastores.sql import SQLDatastore
from ....props.secrets import SecretKey
from ....versions import EngineReleases, Estimate
from ..finding import Finding, Level

TRANSACTION_IDS = "Transaction ids"
"""Subject of findings about ids of transactions in the tables."""


@frozen(kw_only=True)
class DatabaseReport:
    """What the check of a database found."""

    findings: Sequence[Finding]
    """All findings, in the order in which they were checked."""
    revision: str | None = None
    """Revision of the schema. None before the first migration, and if it cannot be read."""
    server_version: str | None = None
    """Version of the database server, in its own words. None if it cannot be read."""
    pending: Sequence[str] = ()
    """Revisions that the coming migrations apply."""
    rows: Mapping[str, int] = field(factory=dict)
    """Number of rows of each table of SpiceDB, as the database estimates it. Without the prefix of the tables."""
    estimates: Sequence[Estimate] = ()
    """How long the coming migrations should take."""

    repairable: bool = False
    """Whether SpiceDB can repair what `misread` says."""

    @property
    def misread(self) -> Sequence[Finding]:
        """Why SpiceDB does not see all that is in the database, although it serves."""
        return [each for each in self.findings if each.subject == TRANSACTION_IDS]

    @property
    def ok(self) -> bool:
        """Whether nothing must be fixed first."""
        return all(finding.level is not Level.FAILURE for finding in self.findings)


@frozen(kw_only=True)
class Question:
    """What is going to happen to the database."""

    props: SpiceDBProps
    """The release that is going to run."""
    steps: Sequence[UpgradeStep] = ()
    """Steps of the upgrade. None: the migration of ``props``."""
    running_servers: int = 0
    """Number of servers that hold connections already."""
    options: str = ""
    """Options of kubectl for the namespace."""

    @property
    def datastore(self) -> SQLDatastore:
        """The database. Only SQL databases are asked."""
        return cast(SQLDatastore, self.props.datastore)

    @property
    def releases(self) -> EngineReleases:
        """What is known about the engine."""
        return self.props.releases.engines.get(self.datastore.engine) or EngineReleases((), {})

    @property
    def version(self) -> str:
        """Version of the servers after the last step."""
        return self.steps[-1].version if self.steps else self.props.version

    @property
    def target(self) -> str | None:
        """Revision after the last migration. None if it is not known."""
        target = self.steps[-1].revision if self.steps else self.props.migration.target_migration
        if target in self.releases.revisions:
            return target
        known = self.props.releases.knows(self.datastore.engine, self.version)
        return self.releases.heads[self.version] if known and target in (None, "head") else None

    def pending(self, revision: str | None) -> Sequence[str]:
        """The revisions that the coming migrations apply to a schema. None: to an empty database."""
        if self.target is None or (revision is not None and revision not in self.releases.revisions):
            return ()
        return self.releases.between(revision, self.target)

    def jobs(self, revision: str | None) -> Iterator[Sequence[str]]:
        """The revisions that each coming migration Job applies to a schema."""
        known, left = self.releases.revisions, self.pending(revision)
        for end in [step.revision for step in self.steps] or [self.target]:
            done = [each for each in left if end in known and known.index(each) <= known.index(end)]
            left = left[len(done) :]
            if done:
                yield done

    def changes(self, revision: str | None) -> set[str]:
        """The tables that the coming migrations change, of those that grow with the number of relationships."""
        costs = self.releases.costs
        return {costs[pending].table for pending in self.pending(revision) if pending in costs}

    @property
    def uri(self) -> SecretKey | None:
        """The Secret and key with the URI with which the migration connects. None: it connects with parts."""
        return self.props.migration.datastore_uri or self.datastore.uri

    @property
    def place(self) -> str:
        """Where the database is, in words."""
        if self.uri:
            return f"the database of {key_text(self.uri)}"
        if isinstance(self.datastore.host, SecretKey):
            return f"the database of {key_text(self.datastore.host)}"
        port = "" if isinstance(self.datastore.port, SecretKey) else f":{self.datastore.network_port}"
        return f"{self.datastore.host}{port}"


def key_text(key: SecretKey) -> str:
    """A key of a Secret in words."""
    return f"key {key.key} in Secret {key.name}"


Fact = Mapping[str, Any]


@frozen
class Facts:
    """The facts of one check, in the order in which the pod printed them, each with the name that its ``fact`` has."""

    all: Sequence[Fact] = ()

    @classmethod
    def read(cls, log: str) -> Facts:
        """Reads the log of the pod. Lines that are not facts are left out."""
        found = []
        for line in log.splitlines():
            with suppress(ValueError, RecursionError):
                fact = json.loads(line)
                if isinstance(fact, dict) and isinstance(fact.get("fact"), str):
                    found.append(fact)
        return cls(found)

    def each(self, name: str) -> list[Fact]:
        """All facts of a name."""
        return [fact for fact in self.all if fact["fact"] == name]

    def one(self, name: str) -> Fact:
        """The first fact of a name. Empty if there is none."""
        return next(iter(self.each(name)), {})

    def __contains__(self, name: str) -> bool:
        return bool(self.each(name))
