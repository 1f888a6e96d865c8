"""CockroachDB."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from ..flags import EnvVar, Setting
from ..secrets import SecretFiles, SecretKey, as_secret_key
from . import libpq
from .integrity import RelationshipIntegrity
from .pool import Pool, max_open
from .sql import SQLDatastore


@frozen(kw_only=True)
class CockroachDB(SQLDatastore):
    """CockroachDB, by URI or by parts.

    A password is optional: many clusters know their users by ``client_certificate`` and ``client_key``. SpiceDB has no
    credentials provider for this engine.
    """

    engine = "cockroachdb"
    default_port = 26257

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

    def connections(self) -> int:
        """See `SQLDatastore.connections`."""
        return max_open(self.read_pool, 20) + max_open(self.write_pool, 10)

    def uri_of(self, host: str, *, migrate: bool = False) -> str:
        """See `SQLDatastore.uri_of`."""
        return libpq.uri_of(self, host)

    def connection(self, migrate: bool) -> tuple[EnvVar, ...]:
        """See `SQLDatastore.connection`."""
        return libpq.connection(self)

    def options(self) -> tuple[EnvVar, ...]:
        """See `SQLDatastore.options`."""
        return libpq.options(self)

    def settings(self) -> Mapping[str, Setting]:
        """See `Datastore.settings`."""
        return {
            **super().settings(),
            **libpq.pool_settings(self),
            "datastore-connection-balancing": None if self.connection_balancing else False,
            **(self.relationship_integrity.settings() if self.relationship_integrity else {}),
        }

    def files(self) -> tuple[SecretFiles, ...]:
        """See `Datastore.files`."""
        return libpq.files(self)

    def settings_files(self) -> tuple[SecretFiles, ...]:
        """See `Datastore.settings_files`."""
        return self.relationship_integrity.files() if self.relationship_integrity else ()
