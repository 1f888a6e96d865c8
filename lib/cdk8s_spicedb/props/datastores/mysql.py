"""MySQL: the parts of the connection are in one URI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import quote, urlencode

from attrs import field, frozen

from ..fields import Message, Pattern
from ..flags import DATASTORE_URI, Flag, Setting
from ..secrets import EnvVar, SecretKey, as_text, variable
from .base import FOLDER, ReadPool
from .sql import SET_URI, ReplicatedDatastore, in_brackets

MYSQL_PARAMS = {"tls": "tls"}
"""The prop of each parameter that a prop sets."""


def _variable(part: str) -> str:
    """The variable with a part from a Secret."""
    return f"DATASTORE_{part.upper()}"


def _reference(part: str, migrate: bool) -> str:
    """What becomes the value of a part: for ``spicedb migrate``, or for Kubernetes."""
    # Without braces, which Flux would take for its own variables.
    return f"${_variable(part)}" if migrate else f"$({_variable(part)})"


_User = Annotated[
    str,
    Pattern(r"[^\x00-\x1f:$]+", "the database user, without ':' and '$', which a MySQL URI cannot contain"),
    Message(fix=f"use a user with another name, or {SET_URI} with the whole connection URI", redacted=True),
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

    SpiceDB's MySQL driver reads the parts only from the URI, exactly as they are written there. For the servers,
    Kubernetes inserts parts from Secrets into the URI (``$(NAME)``). For the migration, ``spicedb migrate`` inserts
    them (``$NAME``), because it would expand a ``$`` in a value that is already there. So you need not escape any
    character in the password. In a Secret, the user must not contain ``:``, the database must not contain ``/``, ``?``
    and ``%``, and an IPv6 address needs brackets.

    Client certificates are not supported, because SpiceDB does not pass them to the driver.
    """

    engine = "mysql"
    can_be_set_aside = True
    default_port = 3306

    user: _User | SecretKey | None = field(default=None, converter=as_text)
    """Name of the database user, or the Secret and key that hold it. Defaults to none: ``uri`` is used."""
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
        return (self.pool and self.pool.max_open) or 20

    def uri_of(self, host: str | SecretKey, migrate: bool = False) -> str:
        def written(name: str, value: object) -> str:
            return str(value) if not isinstance(value, SecretKey) else _reference(name, migrate)

        password = f":{written('password', self.password)}" if self.password else ""
        address = in_brackets(host) if isinstance(host, str) else written("host", host)
        port = written("port", self.port or self.default_port)
        database = quote(self.database, safe="") if isinstance(self.database, str) else self.database
        # The driver decodes some values, and takes others as they are, such as a list of charsets.
        params = urlencode(self.params, quote_via=quote, safe=",")
        return (
            f"{written('user', self.user)}{password}@tcp({address}:{port})/{written('database', database)}"
            f"?parseTime=true&tls={self.tls or 'true'}{f'&{params}' if params else ''}"
        )

    def parts(self, migrate: bool) -> tuple[EnvVar, ...]:
        variables = (EnvVar(_variable(name), part) for name, part in self.secret_parts().items())
        return (*variables, variable(DATASTORE_URI, self.uri_of(self.host or "", migrate)))

    def options(self) -> tuple[EnvVar, ...]:
        # The driver has no setting for a CA, but Go's certificate pool reads the files of this folder.
        return (EnvVar("SSL_CERT_DIR", FOLDER),) if self.ca else ()

    def settings(self) -> Mapping[str, Setting]:
        # The driver keeps no minimum of connections.
        return {flag: value for flag, value in super().settings().items() if "-min-open" not in flag}
