"""PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen

from ..checks import optional, rule
from ..env import EnvVar, variable
from ..errors import Problem
from .libpq import LibpqDatastore
from .sql import credentials_provider_check


@frozen(kw_only=True)
class PostgreSQL(LibpqDatastore):
    """PostgreSQL 13.8 or later, by URI or by parts.

    The parts' password travels in ``PGPASSWORD``, so no character in it can break ``migrate`` or ``serve``.
    SpiceDB's Watch API needs ``track_commit_timestamp=on`` in the database.
    """

    engine = "postgres"
    default_port = 5432

    credentials_provider: str | None = field(default=None, metadata=optional(credentials_provider_check()))
    """Who gives the password at each connection (``--datastore-credentials-provider-name``, SpiceDB 1.32 and later).
    ``aws-iam``: AWS, to the role that ``service_account_annotations`` names. Default: nobody, ``password`` counts."""

    def _settings(self) -> tuple[EnvVar, ...]:
        provider = self.credentials_provider
        own = (variable("datastore-credentials-provider-name", provider),) if provider else ()
        return (*own, *super()._settings())

    @rule("uri", "host", "password", "credentials_provider", "client_certificate")
    def _one_proof(self) -> Iterator[Problem]:
        yield from self._proofs(
            password=self.password,
            credentials_provider=self.credentials_provider,
            client_certificate=self.client_certificate,
        )
