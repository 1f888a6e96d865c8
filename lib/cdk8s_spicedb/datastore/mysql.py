"""MySQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from attrs import field, frozen

from ..checks import one_of, optional, rule, show, text
from ..env import EnvVar, Setting, variable
from ..errors import Problem
from ..volume import SecretFiles
from .base import FOLDER
from .pool import POOL, Pool
from .primary import PrimaryDatastore

_PASSWORD = "DATASTORE_PASSWORD"


@frozen(kw_only=True)
class MySQL(PrimaryDatastore):
    """MySQL 8 or a server that speaks its protocol, by URI or by parts.

    The driver reads the password from the URI alone, and takes what stands there as it is. Kubernetes puts it into the
    servers' URI (``$(NAME)``), and ``spicedb migrate`` into its own (``${NAME}``): that program would expand a ``$`` in
    a finished one. So no character in the password can break either.

    There is no client certificate here: the driver takes one from its caller only, and SpiceDB gives none.
    """

    engine = "mysql"
    default_port = 3306

    user: str | None = field(
        default=None,
        metadata=optional(
            text(
                r"[^\x00-\x1f:$]+",
                "the database user, without ':' and '$', which a MySQL URI cannot hold",
                "use a user with another name, or uri=SecretKey(…) with the whole connection URI",
                shown=False,
            )
        ),
    )
    """The database user, as it is. Default: none, ``uri`` is used."""
    tls: str | None = field(
        default=None,
        metadata=optional(
            one_of(
                "true",
                "false",
                "skip-verify",
                "preferred",
                fix="write 'true' to check the database's certificate and name, 'false' for no TLS; it is a text",
            )
        ),
    )
    """How TLS to the database is used and checked (the driver's ``tls`` parameter). Default with the parts: ``true``,
    because anything less lets somebody in between read permissions; with ``uri``, what the URI says."""
    table_prefix: str | None = field(
        default=None,
        metadata=optional(
            text(
                r"[A-Za-z0-9_]+",
                "letters, digits and '_', at most 24",
                "MySQL's table names have at most 64 characters; choose a short prefix such as 'spicedb_'",
                most=24,
            )
        ),
    )
    """What the names of all tables begin with (``--datastore-mysql-table-prefix``). Default: nothing."""
    pool: Pool | None = field(default=None, metadata=optional(POOL))
    """The connections, which this engine does not keep apart by reads and writes (``--datastore-conn-pool-read-…``).
    Default: SpiceDB's own, 20."""

    def settings(self) -> Mapping[str, Setting]:
        """See `Datastore.settings`."""
        pool = self.pool.settings("datastore-conn-pool-read") if self.pool else {}
        return {flag: value for flag, value in {**super().settings(), **pool}.items() if "-min-open" not in flag}

    def connections(self) -> int:
        """See `SQLDatastore.connections`."""
        return (self.pool and self.pool.max_open) or 20

    def _parts(self, migrate: bool) -> tuple[EnvVar, ...]:
        password = () if self.password is None else (EnvVar(_PASSWORD, self.password),)
        return (*password, variable("datastore-conn-uri", self._uri_of(self.host or "", migrate)))

    def _uri_of(self, host: str, migrate: bool = False) -> str:
        reference = f":${{{_PASSWORD}}}" if migrate else f":$({_PASSWORD})"
        account = f"{self.user}{reference if self.password else ''}"
        database = quote(self.database or "", safe="")
        return f"{account}@tcp({self._address(host)})/{database}?parseTime=true&tls={self.tls or 'true'}"

    def _settings(self) -> tuple[EnvVar, ...]:
        prefix = (variable("datastore-mysql-table-prefix", self.table_prefix),) if self.table_prefix else ()
        own = (*prefix, *self._provider())
        # The driver has no setting for a CA, but Go's certificate pool takes in the files of this folder.
        return (*own, EnvVar("SSL_CERT_DIR", FOLDER)) if self.ca else own

    def files(self) -> tuple[SecretFiles, ...]:
        """See `Datastore.files`."""
        return self._files({"ca.crt": self.ca})

    @rule("uri", "host", "password", "credentials_provider")
    def _one_proof(self) -> Iterator[Problem]:
        yield from self._proofs(password=self.password, credentials_provider=self.credentials_provider)

    @rule("uri", "tls", "ca")
    def _tls_is_used(self) -> Iterator[Problem]:
        if self.uri is not None and self.tls is not None:
            yield Problem(
                "tls", show(self.tls), "nothing when uri is given", "write it into the URI: ?parseTime=true&tls=true"
            )
        elif self.tls == "false" and self.ca:
            yield Problem("tls", show(self.tls), "a mode with TLS where ca is given", "write 'true', or leave ca out")

    @rule("pool", "read_replica_pool")
    def _pools_are_simple(self) -> Iterator[Problem]:
        for path, pool in {"pool": self.pool, "read_replica_pool": self.read_replica_pool}.items():
            for name in ("min_open", "max_lifetime_jitter", "health_check_interval") if pool else ():
                value = getattr(pool, name)
                if value is not None:
                    allowed = "nothing with the mysql engine, whose driver has no such setting"
                    yield Problem(f"{path}.{name}", show(value), allowed, "leave it out")
