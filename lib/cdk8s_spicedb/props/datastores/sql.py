"""The SQL engines: a URI from a Secret, or its parts; and read replicas, for those that have them.

SpiceDB takes one replica from a variable, and several only from arguments. Kubernetes inserts secret URIs into those
when the container starts, so manifests contain only references.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote, urlencode

from annotated_types import Interval, Predicate
from attrs import field, frozen

from ..fields import Message, Pattern
from ..flags import DATASTORE_URI, REPLICA_URI, Flag, Setting
from ..secrets import (
    CA,
    SECRET_KEY,
    ConfigMapKey,
    EnvVar,
    SecretFiles,
    SecretKey,
    as_ca,
    as_number,
    as_secret_key,
    as_secret_keys,
    as_text,
    variable,
)
from ..types import Day, Fraction, Host, Port, is_host
from .base import Datastore, Pool, ReadPool, RelationshipIntegrity

_Name = Annotated[
    str,
    Pattern(r"[^\x00-\x1f]+", "a name, not empty"),
    Message(fix="use the name in the database, not encoded", redacted=True),
]
CredentialsProvider = Annotated[
    Literal["aws-iam"],
    Flag("datastore-credentials-provider-name", env=True),
    Message(fix="'aws-iam' is the only provider that SpiceDB has; remove it to use a password"),
]
ReadOnly = Annotated[bool, Flag("datastore-readonly")]
Quantization = Annotated[
    timedelta, Interval(ge=timedelta(0), le=timedelta(hours=1)), Flag("datastore-revision-quantization-interval")
]
Staleness = Annotated[Fraction, Flag("datastore-revision-quantization-max-staleness-percent")]
ReadDelay = Annotated[
    timedelta, Interval(ge=timedelta(0), le=timedelta(minutes=10)), Flag("datastore-follower-read-delay-duration")
]
ReadReplica = Annotated[
    Annotated[str, Predicate(is_host)] | SecretKey,
    Message(
        f"a host that is reached like the primary, or a {SECRET_KEY} with a whole URI",
        "use hosts such as 'replica-1.db' if you set the primary by its parts",
        redacted=True,
    ),
]
GC_WINDOW = "datastore-gc-window"
_ParamName = Annotated[
    str,
    Pattern(r"[A-Za-z_][A-Za-z0-9_.]*", "names of parameters"),
    Message(fix="use names such as 'TimeZone'"),
]
_ParamValue = Annotated[
    str, Pattern(r"[^\x00-\x1f]*", "their values, as texts"), Message(fix="quote numbers and booleans", redacted=True)
]
SET_URI = "{uri=}{SecretKey(…)|{name: …, key: …}}"
"""How to set the URI, in messages."""


@frozen(kw_only=True)
class SQLDatastore(Datastore):
    """An SQL engine, reached by ``uri`` or by its parts: ``host``, ``port``, ``database``, ``user``, ``password``.

    Each part can be in a Secret, such as those that Crossplane, RDS or an operator of the database writes.
    """

    default_port: ClassVar[int]

    uri: Annotated[SecretKey, Flag(DATASTORE_URI)] | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the whole connection URI, in the engine's own form (``--datastore-conn-uri``). It must
    not have a ``$``, because ``spicedb migrate`` expands it and ``spicedb serve`` does not: write ``%24`` for
    PostgreSQL and CockroachDB, and set the parts instead for MySQL. Defaults to none: the parts are used."""
    host: Host | SecretKey | None = field(default=None, converter=as_text)
    """DNS name or IP address of the database, or the Secret and key that hold it. Defaults to none: ``uri`` is used."""
    port: Port | SecretKey | None = field(default=None, converter=as_number)
    """TCP port of the database, or the Secret and key that hold it. Defaults to the engine's usual port."""
    database: _Name | SecretKey | None = field(default=None, converter=as_text)
    """Name of the database, not encoded, or the Secret and key that hold it. Defaults to none: ``uri`` is used."""
    user: _Name | SecretKey | None = field(default=None, converter=as_text)
    """Name of the database user, not encoded, or the Secret and key that hold it. Defaults to none: ``uri`` is
    used."""
    password: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the user's password. Do not encode it: you need not escape any character. Defaults to
    none, for users that the database knows in another way."""
    params: Mapping[_ParamName, _ParamValue] = field(factory=dict)
    """More parameters of the connection, for servers and migration, such as ``{"application_name": "spicedb"}``. They
    are for the parts; with ``uri``, write them into the URI. Never put a secret here. Defaults to none."""
    ca: CA | None = field(default=None, converter=as_ca)
    """Secret or ConfigMap, and key, that hold the CA certificates (PEM) that verify the database's certificate. They
    are mounted in servers and migration. Defaults to none: the public CAs in SpiceDB's image are used."""

    read_only: ReadOnly = False
    """Makes servers reject writes and keep old revisions (``--datastore-readonly``). Migrations still write. Defaults
    to off."""
    revision_quantization_interval: Quantization | None = None
    """Time for which requests share one revision and its cached answers, unless they ask for the latest revision
    (``--datastore-revision-quantization-interval``). With a longer time, servers read less from the database, but some
    requests see a write later. Defaults to SpiceDB's default, 5 s."""
    revision_quantization_max_staleness: Staleness | None = None
    """How much longer than ``revision_quantization_interval`` a revision may be used, as a part of that interval (0 to
    1). This keeps caches from expiring all at once (``--datastore-revision-quantization-max-staleness-percent``).
    Defaults to SpiceDB's default, 0.1."""
    follower_read_delay: ReadDelay | None = None
    """Minimum age of the revision that requests use, unless they ask for the latest revision. After this time, a read
    replica or a nearby database node also has the revision (``--datastore-follower-read-delay-duration``). Defaults to
    SpiceDB's default, 4.8 s, which CockroachDB's followers need."""
    gc_window: (
        Annotated[timedelta, Interval(ge=timedelta(minutes=1), le=timedelta(days=365)), Flag(GC_WINDOW)] | None
    ) = None
    """Time for which old revisions are kept (``--datastore-gc-window``). Requests at an older point in time need them,
    and so do watches that are behind. Defaults to SpiceDB's default, 24 h. CockroachDB's ``gc.ttlseconds`` must not be
    less."""
    max_connections: Annotated[int, Interval(ge=1, le=1_000_000)] | None = None
    """Number of connections that the database has for these servers. You get an error if the pools of all servers could
    open more, including servers that a roll-out adds. Defaults to none: connections are not counted."""

    @property
    def network_port(self) -> int:
        return self.port if isinstance(self.port, int) else self.default_port

    def secret_parts(self) -> Mapping[str, SecretKey]:
        """The parts that are in Secrets, by their names."""
        parts = {name: getattr(self, name) for name in ("host", "port", "user", "database", "password")}
        return {name: part for name, part in parts.items() if isinstance(part, SecretKey)}

    @abstractmethod
    def connections(self) -> int:
        """Maximum number of connections of one server to the database."""

    @property
    def max_servers(self) -> int | None:
        return None if self.max_connections is None else self.max_connections // self.connections()

    @abstractmethod
    def uri_of(self, host: str | SecretKey) -> str:
        """The URI of a host that servers reach like the primary."""

    @abstractmethod
    def parts(self, migrate: bool) -> tuple[EnvVar, ...]:
        """The variables with the URI of the parts, and the password."""

    def connection(self, uri: SecretKey | None, migrate: bool) -> tuple[EnvVar, ...]:
        uri = uri or self.uri
        return (variable(DATASTORE_URI, uri),) if uri else self.parts(migrate)

    def file_keys(self) -> Mapping[str, SecretKey | ConfigMapKey | None]:
        return {"ca.crt": self.ca}


def in_brackets(host: str) -> str:
    """A host as URIs have it."""
    return f"[{host}]" if ":" in host else host


_REPLICA_PROVIDER = "datastore-read-replica-credentials-provider-name"


# Without slots, because a class with slots cannot have two bases with slots.
@frozen(kw_only=True, slots=False)
class ReplicatedDatastore(SQLDatastore):
    """What PostgreSQL and MySQL have in common: read replicas, garbage collection, and a provider of credentials."""

    credentials_provider: CredentialsProvider | None = None
    """Where servers and migration get the password of each connection (``--datastore-credentials-provider-name``,
    SpiceDB 1.32 and later). With ``aws-iam``, they ask AWS, with the role in ``service_account_annotations``. Defaults
    to none: ``password`` is used."""
    gc_interval: Annotated[Day, Flag("datastore-gc-interval")] | None = None
    """Time between two garbage collections, which remove revisions that are older than ``gc_window``
    (``--datastore-gc-interval``). Defaults to SpiceDB's default, 3 min."""
    gc_max_operation_time: Annotated[Day, Flag("datastore-gc-max-operation-time")] | None = None
    """Time limit of one garbage collection (``--datastore-gc-max-operation-time``). Defaults to SpiceDB's default, 1
    min. Use more if the servers' log says that garbage collection times out."""
    read_replicas: Annotated[
        Sequence[ReadReplica], Flag(_REPLICA_PROVIDER, computed=True), Flag(REPLICA_URI, computed=True)
    ] = field(factory=tuple, converter=as_secret_keys)
    """Up to 16 read replicas, from which servers read if they are recent enough (``--datastore-read-replica-conn-uri``,
    SpiceDB 1.35 and later). Set each replica as a host, or as a Secret and key that hold a whole URI, with its port. A
    host uses the primary's port, database, user, password and TLS. Each host must be one replica. If a host stood for
    several replicas, each request could reach a different one. With two or more, URIs from Secrets are in the command
    line of the servers, and with MySQL the password too, because SpiceDB takes several replicas only from arguments.
    Defaults to none."""
    read_replica_pool: Annotated[Pool, Flag("datastore-read-replica-conn-pool-read-…")] | None = None
    """Connections to each read replica (``--datastore-read-replica-conn-pool-read-…``). Defaults to SpiceDB's default,
    20 connections."""

    @property
    def needs_identity(self) -> bool:
        return self.credentials_provider is not None

    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        replicas = {} if migrate else self._replicas()
        if len(replicas) == 1:
            found = [variable(REPLICA_URI, replica) for replica in replicas.values()]
        else:
            found = [EnvVar(name, replica) for name, replica in replicas.items() if isinstance(replica, SecretKey)]
        return (*super().env(uri=uri, migrate=migrate), *found)

    def settings(self) -> Mapping[str, Setting]:
        replicas = self._replicas()
        uris = [f"$({name})" if isinstance(uri, SecretKey) else uri for name, uri in replicas.items()]
        return {
            **super().settings(),
            _REPLICA_PROVIDER: self.credentials_provider if replicas else None,
            REPLICA_URI: uris if len(uris) > 1 else None,
        }

    def _replicas(self) -> dict[str, str | SecretKey]:
        """The URI of each read replica, by the name of its variable."""
        return {
            f"DATASTORE_READ_REPLICA_{number}_URI": replica if isinstance(replica, SecretKey) else self.uri_of(replica)
            for number, replica in enumerate(self.read_replicas, 1)
        }


# ---------------------------------------------------------------- PostgreSQL and CockroachDB

SSLMode = Annotated[
    Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    Message(fix="use 'verify-full' to verify the database's certificate and name, 'disable' for no TLS"),
]
PART_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "database": "PGDATABASE",
    "password": "PGPASSWORD",
}
"""The variable of each part that the URI does not have. The driver takes its value as it is."""
LIBPQ_PARAMS = {
    "host": "host",
    "hostaddr": "host",
    "port": "port",
    "dbname": "database",
    "database": "database",
    "user": "user",
    "password": "password",
    "passfile": "password",
    "service": "host",
    "servicefile": "host",
    "sslmode": "sslmode",
    "sslrootcert": "ca",
    "sslcert": "client_certificate",
    "sslkey": "client_key",
}
"""The prop of each parameter that a prop sets."""
_VARIABLES = {"ca.crt": "PGSSLROOTCERT", "tls.crt": "PGSSLCERT", "tls.key": "PGSSLKEY"}
"""The variable with the path of each file."""


@frozen(kw_only=True)
class LibpqDatastore(SQLDatastore):
    """What PostgreSQL and CockroachDB have in common: SpiceDB reaches both by a driver that follows libpq.

    Parts from Secrets, passwords and TLS use libpq's own variables, which that driver reads in ``serve`` and in
    ``migrate``. The parameters of a URI take precedence over them.
    """

    sslmode: SSLMode | None = None
    """Use and verification of TLS to the database (libpq's ``sslmode``). Defaults to ``verify-full`` with the parts or
    a ``ca``, because with any weaker mode somebody in the network can read permissions. With only ``uri``, it defaults
    to what the URI says."""
    client_certificate: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the certificate (PEM) with which the user authenticates to the database. Defaults to
    none."""
    client_key: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the private key (PEM) of ``client_certificate``. Defaults to none."""
    read_pool: ReadPool | None = None
    """Connections for reads (``--datastore-conn-pool-read-…``). Defaults to SpiceDB's default, 20 connections."""
    write_pool: Annotated[Pool, Flag("datastore-conn-pool-write-…")] | None = None
    """Connections for writes (``--datastore-conn-pool-write-…``). Defaults to SpiceDB's default, 10 connections."""

    def uri_of(self, host: str | SecretKey) -> str:
        """The URI, without the password and the parts that are in Secrets."""
        user = f"{quote(self.user, safe='')}@" if isinstance(self.user, str) else ""
        address = in_brackets(host) if isinstance(host, str) else ""
        # Without a host there is no address, so the port is a variable too.
        port = f":{self.network_port}" if address and not isinstance(self.port, SecretKey) else ""
        database = quote(self.database, safe="") if isinstance(self.database, str) else ""
        query = urlencode(self.params, quote_via=quote, safe="")
        return f"postgresql://{user}{address}{port}/{database}{f'?{query}' if query else ''}"

    def connections(self) -> int:
        reads, writes = self.read_pool and self.read_pool.max_open, self.write_pool and self.write_pool.max_open
        return (reads or 20) + (writes or 10)

    def file_keys(self) -> Mapping[str, SecretKey | ConfigMapKey | None]:
        return {**super().file_keys(), "tls.crt": self.client_certificate, "tls.key": self.client_key}

    def parts(self, migrate: bool) -> tuple[EnvVar, ...]:
        parts: dict[str, str | SecretKey] = {**self.secret_parts()}
        if "host" in parts:
            parts.setdefault("port", str(self.network_port))
        variables = (EnvVar(PART_VARIABLES[name], parts[name]) for name in PART_VARIABLES if name in parts)
        return (variable(DATASTORE_URI, self.uri_of(self.host or "")), *variables)

    def options(self) -> tuple[EnvVar, ...]:
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

    connection_balancing: Annotated[bool, Flag("datastore-connection-balancing")] = True
    """Spreads connections evenly over the database's nodes (``--datastore-connection-balancing``). Defaults to on, as
    in SpiceDB. Disable it behind a proxy that balances connections itself."""
    relationship_integrity: Annotated[RelationshipIntegrity, Flag("datastore-relationship-integrity-…")] | None = None
    """Signs relationships, to detect changes that were not made by SpiceDB. Defaults to off. You can only enable it on
    an empty database."""

    def settings_files(self) -> tuple[SecretFiles, ...]:
        return self.relationship_integrity.files() if self.relationship_integrity else ()


@frozen(kw_only=True)
class PostgreSQL(ReplicatedDatastore, LibpqDatastore):
    """PostgreSQL 13.8 or later. Set ``uri``, or the parts of the connection, such as ``host`` and ``database``.

    If you set the parts, SpiceDB reads those that are in Secrets from libpq's variables, such as ``PGPASSWORD``. So you
    need not escape any character in them.
    SpiceDB's Watch API needs ``track_commit_timestamp=on`` in the database.
    """

    engine = "postgres"
    can_be_set_aside = True
    default_port = 5432
    # The tables hold ids of PostgreSQL's own transactions, and another server counts these anew.
    repair = "transaction-ids"
    restore = (
        "restore the backup of the datastore, and after a dump, repair the transaction ids with `cdk8s-spicedb repair`"
    )
