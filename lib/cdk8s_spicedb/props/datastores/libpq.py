"""PostgreSQL and CockroachDB. SpiceDB reaches both by a driver that follows libpq.

Passwords and TLS use libpq's own variables, which that driver reads in ``serve`` and in ``migrate``. The parameters of
a URI take precedence over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import quote

from attrs import field, frozen

from ..fields import Message
from ..flags import DATASTORE_URI, Flag
from ..secrets import EnvVar, SecretFiles, SecretKey, as_secret_key, variable
from .base import Pool, ReadPool, RelationshipIntegrity
from .sql import ReplicatedDatastore, SQLDatastore

SSLMode = Annotated[
    Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    Message(fix="use 'verify-full' to verify the database's certificate and name, 'disable' for no TLS"),
]
_VARIABLES = {"ca.crt": "PGSSLROOTCERT", "tls.crt": "PGSSLCERT", "tls.key": "PGSSLKEY"}
"""The variable with the path of each file."""


@frozen(kw_only=True)
class LibpqDatastore(SQLDatastore):
    """What PostgreSQL and CockroachDB have in common."""

    sslmode: SSLMode | None = None
    """Use and verification of TLS to the database (libpq's ``sslmode``). Defaults to ``verify-full`` with the parts or
    a ``ca``, because with any weaker mode somebody in the network can read permissions. With only ``uri``, it defaults
    to what the URI says."""
    client_certificate: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the certificate (PEM) with which the user authenticates to the database. Defaults to
    none."""
    client_key: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the private key (PEM) of ``client_certificate``. Defaults to none."""
    read_pool: ReadPool | None = None
    """Connections for reads (``--datastore-conn-pool-read-…``). Defaults to SpiceDB's default, 20 connections."""
    write_pool: Annotated[Pool, Flag("datastore-conn-pool-write-…")] | None = None
    """Connections for writes (``--datastore-conn-pool-write-…``). Defaults to SpiceDB's default, 10 connections."""

    def uri_of(self, host: str) -> str:
        """See `SQLDatastore.uri_of`. The URI has no password."""
        user, database = quote(self.user or "", safe=""), quote(self.database or "", safe="")
        return f"postgresql://{user}@{self.address(host)}/{database}"

    def connections(self) -> int:
        """See `SQLDatastore.connections`."""
        reads, writes = self.read_pool and self.read_pool.max_open, self.write_pool and self.write_pool.max_open
        return (reads or 20) + (writes or 10)

    def file_keys(self) -> Mapping[str, SecretKey | None]:
        """See `Datastore.file_keys`."""
        return {**super().file_keys(), "tls.crt": self.client_certificate, "tls.key": self.client_key}

    def parts(self, migrate: bool) -> tuple[EnvVar, ...]:
        """See `SQLDatastore.parts`."""
        uri = variable(DATASTORE_URI, self.uri_of(self.host or ""))
        return (uri,) if self.password is None else (uri, EnvVar("PGPASSWORD", self.password))

    def options(self) -> tuple[EnvVar, ...]:
        """See `Datastore.options`."""
        sslmode = self.sslmode or ("verify-full" if self.host or self.ca else None)
        mode = (EnvVar("PGSSLMODE", sslmode),) if sslmode else ()
        return (*mode, *(EnvVar(_VARIABLES[file], files.path(file)) for files in self.files() for file in files.files))


@frozen(kw_only=True)
class CockroachDB(LibpqDatastore):
    """CockroachDB. Set ``uri``, or the parts of the connection, such as ``host`` and ``database``.

    A password is optional: in many clusters, users authenticate with ``client_certificate`` and ``client_key``. SpiceDB
    has no credentials provider for this engine.
    """

    engine = "cockroachdb"
    default_port = 26257

    connection_balancing: Annotated[bool, Flag("datastore-connection-balancing")] = True
    """Spreads connections evenly over the database's nodes (``--datastore-connection-balancing``). Defaults to on, as
    in SpiceDB. Disable it behind a proxy that balances connections itself."""
    relationship_integrity: Annotated[RelationshipIntegrity, Flag("datastore-relationship-integrity-…")] | None = None
    """Signs relationships, to detect changes that were not made by SpiceDB. Defaults to off. You can only enable it on
    an empty database."""

    def settings_files(self) -> tuple[SecretFiles, ...]:
        """See `Datastore.settings_files`."""
        return self.relationship_integrity.files() if self.relationship_integrity else ()


@frozen(kw_only=True)
class PostgreSQL(ReplicatedDatastore, LibpqDatastore):
    """PostgreSQL 13.8 or later. Set ``uri``, or the parts of the connection, such as ``host`` and ``database``.

    If you set the parts, SpiceDB reads the password from ``PGPASSWORD``. So you need not escape any character in it.
    SpiceDB's Watch API needs ``track_commit_timestamp=on`` in the database.
    """

    engine = "postgres"
    default_port = 5432
