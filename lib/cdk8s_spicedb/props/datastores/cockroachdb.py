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
    """CockroachDB, by URI or by parts.

    A password is optional: many clusters know their users by ``client_certificate`` and ``client_key``. SpiceDB has no
    credentials provider for this engine.
    """

    engine = "cockroachdb"
    default_port = 26257
    uri_of, parts, options = libpq.uri_of, libpq.parts, libpq.options

    sslmode: libpq.SSLMode | None = None
    """Use and verification of TLS to the database (libpq's ``sslmode``). Defaults to ``verify-full`` with the parts or
    a ``ca``, because with anything less somebody in between can read permissions. With only ``uri``, defaults to what
    the URI says."""
    client_certificate: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret key with the certificate (PEM) by which the database knows the user. Defaults to none."""
    client_key: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret key with the private key (PEM) of ``client_certificate``. Defaults to none."""
    read_pool: Pool | None = None
    """Connections for reads (``--datastore-conn-pool-read-…``). Defaults to SpiceDB's own, 20."""
    write_pool: Pool | None = None
    """Connections for writes (``--datastore-conn-pool-write-…``). Defaults to SpiceDB's own, 10."""
    connection_balancing: bool = True
    """Spreads connections evenly over the database's nodes (``--datastore-connection-balancing``). Defaults to on, as
    in SpiceDB. Disable it behind a proxy that balances them."""
    relationship_integrity: RelationshipIntegrity | None = None
    """Signs relationships, to detect changes by anything but SpiceDB. Defaults to off. You can only enable it on an
    empty database."""

    def settings_files(self) -> tuple[SecretFiles, ...]:
        """See `Datastore.settings_files`."""
        return self.relationship_integrity.files() if self.relationship_integrity else ()
