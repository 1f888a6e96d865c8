"""PostgreSQL and CockroachDB. SpiceDB reaches both by a driver that follows libpq.

Passwords and TLS use libpq's own variables, which that driver reads in ``serve`` and in ``migrate``. The parameters of
a URI take precedence over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import quote

from attrs import field, frozen

from ..fields import Message
from ..flags import EnvVar, variable
from ..secrets import SecretFiles, SecretKey, as_secret_key, as_secret_keys
from ..types import Day
from .base import Pool, RelationshipIntegrity
from .sql import CredentialsProvider, ReadReplica, SQLDatastore

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
    read_pool: Pool | None = None
    """Connections for reads (``--datastore-conn-pool-read-…``). Defaults to SpiceDB's default, 20 connections."""
    write_pool: Pool | None = None
    """Connections for writes (``--datastore-conn-pool-write-…``). Defaults to SpiceDB's default, 10 connections."""

    def uri_of(self, host: str) -> str:
        """See `SQLDatastore.uri_of`. The URI has no password."""
        user, database = quote(self.user or "", safe=""), quote(self.database or "", safe="")
        return f"postgresql://{user}@{self.address(host)}/{database}"

    def parts(self, migrate: bool) -> tuple[EnvVar, ...]:
        """See `SQLDatastore.parts`."""
        uri = variable("datastore-conn-uri", self.uri_of(self.host or ""))
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

    connection_balancing: bool = True
    """Spreads connections evenly over the database's nodes (``--datastore-connection-balancing``). Defaults to on, as
    in SpiceDB. Disable it behind a proxy that balances connections itself."""
    relationship_integrity: RelationshipIntegrity | None = None
    """Signs relationships, to detect changes that were not made by SpiceDB. Defaults to off. You can only enable it on
    an empty database."""

    def settings_files(self) -> tuple[SecretFiles, ...]:
        """See `Datastore.settings_files`."""
        return self.relationship_integrity.files() if self.relationship_integrity else ()


@frozen(kw_only=True)
class PostgreSQL(LibpqDatastore):
    """PostgreSQL 13.8 or later. Set ``uri``, or the parts of the connection, such as ``host`` and ``database``.

    If you set the parts, SpiceDB reads the password from ``PGPASSWORD``. So you need not escape any character in it.
    SpiceDB's Watch API needs ``track_commit_timestamp=on`` in the database.
    """

    engine = "postgres"
    default_port = 5432

    credentials_provider: CredentialsProvider | None = None
    """Where servers and migration get the password of each connection (``--datastore-credentials-provider-name``,
    SpiceDB 1.32 and later). With ``aws-iam``, they ask AWS, with the role in ``service_account_annotations``. Defaults
    to none: ``password`` is used."""
    gc_interval: Day | None = None
    """Time between two garbage collections, which remove revisions that are older than ``gc_window``
    (``--datastore-gc-interval``). Defaults to SpiceDB's default, 3 min."""
    gc_max_operation_time: Day | None = None
    """Time limit of one garbage collection (``--datastore-gc-max-operation-time``). Defaults to SpiceDB's default, 1
    min. Use more if the servers' log says that garbage collection times out."""
    read_replicas: Sequence[ReadReplica] = field(factory=tuple, converter=as_secret_keys)
    """Up to 16 read replicas, from which servers read if they are recent enough (``--datastore-read-replica-conn-uri``,
    SpiceDB 1.35 and later). Set each replica as a host, or as a Secret and key that hold a whole URI. A host uses the
    primary's port, database, user, password and TLS. Each host must be one replica. If a host stood for
    several replicas, each request could reach a different one. Defaults to none."""
    read_replica_pool: Pool | None = None
    """Connections to each read replica (``--datastore-read-replica-conn-pool-read-…``). Defaults to SpiceDB's default,
    20 connections."""
