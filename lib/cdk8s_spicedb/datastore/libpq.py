"""What PostgreSQL and CockroachDB share: SpiceDB reaches both through a driver that follows libpq.

Passwords and TLS go in libpq's own variables, which that driver reads in ``serve`` and ``migrate`` alike. A URI's own
parameters win over them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from attrs import field, frozen

from ..checks import one_of, optional, rule, show
from ..env import EnvVar, Setting, variable
from ..errors import Problem
from ..secret import SecretKey, as_secret_key, secret_key
from ..volume import SecretFiles
from .pool import POOL, Pool
from .sql import SQLDatastore


def _most(pool: Pool | None, own: int) -> int:
    return (pool and pool.max_open) or own


_CA, _CERTIFICATE, _KEY = "ca.crt", "tls.crt", "tls.key"


@frozen(kw_only=True)
class LibpqDatastore(SQLDatastore):
    """An engine that speaks PostgreSQL's protocol."""

    sslmode: str | None = field(
        default=None,
        metadata=optional(
            one_of(
                "disable",
                "allow",
                "prefer",
                "require",
                "verify-ca",
                "verify-full",
                fix="write 'verify-full' to check the database's certificate and name, 'disable' for no TLS",
            )
        ),
    )
    """How TLS to the database is used and checked (libpq's ``sslmode``). Default: ``verify-full`` with the parts or a
    ``ca``, because anything less lets somebody in between read permissions; with ``uri`` alone, what the URI says."""
    client_certificate: SecretKey | None = field(
        default=None, converter=as_secret_key, metadata=optional(secret_key("the client certificate"))
    )
    """The Secret key that holds the certificate (PEM) by which the database knows the user. Default: none."""
    client_key: SecretKey | None = field(
        default=None, converter=as_secret_key, metadata=optional(secret_key("the client certificate's key"))
    )
    """The Secret key that holds the private key (PEM) of ``client_certificate``. Default: none."""

    read_pool: Pool | None = field(default=None, metadata=optional(POOL))
    """The connections for reads (``--datastore-conn-pool-read-…``). Default: SpiceDB's own, 20."""
    write_pool: Pool | None = field(default=None, metadata=optional(POOL))
    """The connections for writes (``--datastore-conn-pool-write-…``). Default: SpiceDB's own, 10."""

    def settings(self) -> Mapping[str, Setting]:
        """See `Datastore.settings`."""
        pools = {"read": self.read_pool, "write": self.write_pool}
        own = {
            flag: value
            for name, pool in pools.items()
            if pool
            for flag, value in pool.settings(f"datastore-conn-pool-{name}").items()
        }
        return {**super().settings(), **own}

    def connections(self) -> int:
        """See `SQLDatastore.connections`."""
        return _most(self.read_pool, 20) + _most(self.write_pool, 10)

    def _parts(self, migrate: bool) -> tuple[EnvVar, ...]:
        uri = variable("datastore-conn-uri", self._uri_of(self.host or ""))
        return (uri,) if self.password is None else (uri, EnvVar("PGPASSWORD", self.password))

    def _uri_of(self, host: str, migrate: bool = False) -> str:
        user, database = quote(self.user or "", safe=""), quote(self.database or "", safe="")
        return f"postgresql://{user}@{self._address(host)}/{database}"

    def _settings(self) -> tuple[EnvVar, ...]:
        named = {"PGSSLROOTCERT": _CA, "PGSSLCERT": _CERTIFICATE, "PGSSLKEY": _KEY}
        settings = [
            EnvVar(name, files.path(file))
            for files in self.files()
            for name, file in named.items()
            if file in files.files
        ]
        sslmode = self.sslmode or ("verify-full" if self.host or self.ca else None)
        return (EnvVar("PGSSLMODE", sslmode), *settings) if sslmode else tuple(settings)

    def files(self) -> tuple[SecretFiles, ...]:
        """See `Datastore.files`."""
        return self._files({_CA: self.ca, _CERTIFICATE: self.client_certificate, _KEY: self.client_key})

    @rule("client_certificate", "client_key")
    def _certificate_with_key(self) -> Iterator[Problem]:
        pair = {"client_certificate": self.client_certificate, "client_key": self.client_key}
        missing = [name for name, value in pair.items() if value is None]
        if len(missing) == 1:
            yield Problem(
                missing[0],
                "None",
                "client_certificate and client_key together",
                f"give {missing[0]} too; Secrets of type kubernetes.io/tls hold both, as tls.crt and tls.key",
            )

    @rule("sslmode", "ca", "client_certificate")
    def _tls_is_used(self) -> Iterator[Problem]:
        if self.sslmode == "disable" and (self.ca or self.client_certificate):
            yield Problem(
                "sslmode",
                show(self.sslmode),
                "a mode with TLS where ca or client_certificate is given",
                "write 'verify-full', or leave the certificates out",
            )
