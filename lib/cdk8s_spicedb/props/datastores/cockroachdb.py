"""CockroachDB."""

from __future__ import annotations

from attrs import field, frozen

from ..secrets import SecretFiles, SecretKey, as_secret_key
from . import libpq
from .integrity import RelationshipIntegrity
from .pool import Pool
from .sql import SQLDatastore


@frozen(kw_only=True)
class CockroachDB(SQLDatastore):
    """CockroachDB. Set ``uri``, or the parts of the connection, such as ``host`` and ``database``.

    A password is optional: in many clusters, users authenticate with ``client_certificate`` and ``client_key``. SpiceDB
    has no credentials provider for this engine.
    """

    engine = "cockroachdb"
    default_port = 26257
    uri_of, parts, options = libpq.uri_of, libpq.parts, libpq.options

    sslmode: libpq.SSLMode | None = None
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
    connection_balancing: bool = True
    """Spreads connections evenly over the database's nodes (``--datastore-connection-balancing``). Defaults to on, as
    in SpiceDB. Disable it behind a proxy that balances connections itself."""
    relationship_integrity: RelationshipIntegrity | None = None
    """Signs relationships, to detect changes that were not made by SpiceDB. Defaults to off. You can only enable it on
    an empty database."""

    def settings_files(self) -> tuple[SecretFiles, ...]:
        """See `Datastore.settings_files`."""
        return self.relationship_integrity.files() if self.relationship_integrity else ()
