"""What PostgreSQL and CockroachDB have in common: SpiceDB reaches both by a driver that follows libpq.

Passwords and TLS use libpq's own variables, which that driver reads in ``serve`` and in ``migrate``. The parameters of
a URI take precedence over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import quote

from ..annotations import Message
from ..flags import EnvVar, Setting, variable
from ..secrets import SecretFiles
from .base import secret_files

if TYPE_CHECKING:
    from .cockroachdb import CockroachDB
    from .postgresql import PostgreSQL

SSLMode = Annotated[
    Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    Message(fix="use 'verify-full' to verify the database's certificate and name, 'disable' for no TLS"),
]
_CA, _CERTIFICATE, _KEY = "ca.crt", "tls.crt", "tls.key"


def uri_of(datastore: PostgreSQL | CockroachDB, host: str) -> str:
    """The URI of a host, without a password."""
    user, database = quote(datastore.user or "", safe=""), quote(datastore.database or "", safe="")
    return f"postgresql://{user}@{datastore.address(host)}/{database}"


def connection(datastore: PostgreSQL | CockroachDB) -> tuple[EnvVar, ...]:
    """The variables with the URI of the parts, and the password."""
    uri = variable("datastore-conn-uri", uri_of(datastore, datastore.host or ""))
    return (uri,) if datastore.password is None else (uri, EnvVar("PGPASSWORD", datastore.password))


def options(datastore: PostgreSQL | CockroachDB) -> tuple[EnvVar, ...]:
    """The variables of TLS."""
    variables = {"PGSSLROOTCERT": _CA, "PGSSLCERT": _CERTIFICATE, "PGSSLKEY": _KEY}
    found = [
        EnvVar(name, folder.path(file))
        for folder in files(datastore)
        for name, file in variables.items()
        if file in folder.files
    ]
    sslmode = datastore.sslmode or ("verify-full" if datastore.host or datastore.ca else None)
    return (EnvVar("PGSSLMODE", sslmode), *found) if sslmode else tuple(found)


def files(datastore: PostgreSQL | CockroachDB) -> tuple[SecretFiles, ...]:
    """The certificates."""
    return secret_files({_CA: datastore.ca, _CERTIFICATE: datastore.client_certificate, _KEY: datastore.client_key})


def pool_settings(datastore: PostgreSQL | CockroachDB) -> dict[str, Setting]:
    """The settings of the pools by flag."""
    pools = {"read": datastore.read_pool, "write": datastore.write_pool}
    return {
        flag: value
        for name, pool in pools.items()
        if pool
        for flag, value in pool.settings(f"datastore-conn-pool-{name}").items()
    }
