"""What PostgreSQL and CockroachDB have in common: SpiceDB reaches both by a driver that follows libpq.

Passwords and TLS use libpq's own variables, which that driver reads in ``serve`` and in ``migrate``. The parameters of
a URI take precedence over them. Both classes have the functions of this module as methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import quote

from ..annotations import Message
from ..flags import EnvVar, variable

if TYPE_CHECKING:
    from .cockroachdb import CockroachDB
    from .postgresql import PostgreSQL

SSLMode = Annotated[
    Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    Message(fix="use 'verify-full' to verify the database's certificate and name, 'disable' for no TLS"),
]
_VARIABLES = {"ca.crt": "PGSSLROOTCERT", "tls.crt": "PGSSLCERT", "tls.key": "PGSSLKEY"}
"""The variable with the path of each file."""


def uri_of(self: PostgreSQL | CockroachDB, host: str) -> str:
    """See `SQLDatastore.uri_of`. The URI has no password."""
    user, database = quote(self.user or "", safe=""), quote(self.database or "", safe="")
    return f"postgresql://{user}@{self.address(host)}/{database}"


def parts(self: PostgreSQL | CockroachDB, migrate: bool) -> tuple[EnvVar, ...]:
    """See `SQLDatastore.parts`."""
    uri = variable("datastore-conn-uri", self.uri_of(self.host or ""))
    return (uri,) if self.password is None else (uri, EnvVar("PGPASSWORD", self.password))


def options(self: PostgreSQL | CockroachDB) -> tuple[EnvVar, ...]:
    """See `Datastore.options`."""
    sslmode = self.sslmode or ("verify-full" if self.host or self.ca else None)
    mode = (EnvVar("PGSSLMODE", sslmode),) if sslmode else ()
    return (*mode, *(EnvVar(_VARIABLES[file], files.path(file)) for files in self.files() for file in files.files))
