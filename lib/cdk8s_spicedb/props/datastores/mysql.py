"""MySQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import quote

from attrs import frozen

from ..fields import Message, Pattern
from ..flags import DATASTORE_URI, Flag, Setting
from ..secrets import EnvVar, variable
from .base import FOLDER, ReadPool
from .sql import SET_URI, ReplicatedDatastore

_PASSWORD = "DATASTORE_PASSWORD"
_User = Annotated[
    str,
    Pattern(r"[^\x00-\x1f:$]+", "the database user, without ':' and '$', which a MySQL URI cannot contain"),
    Message(
        fix=f"use a user with another name, or {SET_URI} with the whole connection URI",
        redacted=True,
    ),
]
_Prefix = Annotated[
    str,
    Pattern(r"[A-Za-z0-9_]+", "letters, digits and '_', at most 24", max_length=24),
    Message(fix="use a short prefix such as 'spicedb_': MySQL's table names have at most 64 characters"),
]
_TLSMode = Annotated[
    Literal["true", "false", "skip-verify", "preferred"],
    Message(fix="use 'true' to verify the database's certificate and name, 'false' for no TLS, in quotes"),
]


@frozen(kw_only=True)
class MySQL(ReplicatedDatastore):
    """MySQL 8, or a server with its protocol. Set ``uri``, or the parts of the connection, such as ``host`` and
    ``database``.

    SpiceDB's MySQL driver reads the password only from the URI, exactly as it is written there. For the servers,
    Kubernetes inserts the password into the URI (``$(NAME)``). For the migration, ``spicedb migrate`` inserts it
    (``${NAME}``), because it would expand a ``$`` in a password that is already there. So you need not escape any
    character in the password.

    Client certificates are not supported, because SpiceDB does not pass them to the driver.
    """

    engine = "mysql"
    default_port = 3306

    user: _User | None = None
    """Name of the database user. Defaults to none: ``uri`` is used."""
    tls: _TLSMode | None = None
    """Use and verification of TLS to the database (the driver's ``tls`` parameter). Defaults to ``true`` with the
    parts, because with any weaker mode somebody in the network can read permissions. With ``uri``, it defaults to what
    the URI says."""
    table_prefix: Annotated[_Prefix, Flag("datastore-mysql-table-prefix", env=True)] | None = None
    """Prefix of all table names (``--datastore-mysql-table-prefix``). Defaults to none."""
    pool: ReadPool | None = None
    """Connections for reads and writes, which this engine does not separate (``--datastore-conn-pool-read-…``).
    Defaults to SpiceDB's default, 20 connections."""

    def connections(self) -> int:
        """See `SQLDatastore.connections`."""
        return (self.pool and self.pool.max_open) or 20

    def uri_of(self, host: str, migrate: bool = False) -> str:
        """See `SQLDatastore.uri_of`."""
        reference = f"${{{_PASSWORD}}}" if migrate else f"$({_PASSWORD})"
        account = f"{self.user}:{reference}" if self.password else self.user
        database = quote(self.database or "", safe="")
        return f"{account}@tcp({self.address(host)})/{database}?parseTime=true&tls={self.tls or 'true'}"

    def parts(self, migrate: bool) -> tuple[EnvVar, ...]:
        """See `SQLDatastore.parts`."""
        uri = variable(DATASTORE_URI, self.uri_of(self.host or "", migrate))
        return (uri,) if self.password is None else (EnvVar(_PASSWORD, self.password), uri)

    def options(self) -> tuple[EnvVar, ...]:
        """See `Datastore.options`."""
        # The driver has no setting for a CA, but Go's certificate pool reads the files of this folder.
        return (EnvVar("SSL_CERT_DIR", FOLDER),) if self.ca else ()

    def settings(self) -> Mapping[str, Setting]:
        """See `Datastore.settings`."""
        # The driver keeps no minimum of connections.
        return {flag: value for flag, value in super().settings().items() if "-min-open" not in flag}
