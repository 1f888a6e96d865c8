"""PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from ..checks import rule
from ..env import EnvVar
from ..errors import Problem
from .libpq import LibpqDatastore
from .primary import PrimaryDatastore


@frozen(kw_only=True)
class PostgreSQL(PrimaryDatastore, LibpqDatastore):
    """PostgreSQL 13.8 or later, by URI or by parts.

    The parts' password travels in ``PGPASSWORD``, so no character in it can break ``migrate`` or ``serve``.
    SpiceDB's Watch API needs ``track_commit_timestamp=on`` in the database.
    """

    engine = "postgres"
    default_port = 5432

    def _settings(self) -> tuple[EnvVar, ...]:
        return (*self._provider(), *super()._settings())

    @rule("uri", "host", "password", "credentials_provider", "client_certificate")
    def _one_proof(self) -> Iterator[Problem]:
        yield from self._proofs(
            password=self.password,
            credentials_provider=self.credentials_provider,
            client_certificate=self.client_certificate,
        )
