"""What the SQL engines have in common: a URI from a Secret, or its parts; and read replicas, for those that have them.

SpiceDB takes one replica from a variable, and several only from arguments. Kubernetes inserts secret URIs into those
when the container starts, so manifests contain only references.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval, Predicate
from attrs import field, frozen

from ..fields import Message, Pattern
from ..flags import EnvVar, Setting, variable
from ..secrets import SECRET_KEY, SecretKey, as_secret_key
from ..types import Fraction, Host, Port, is_host
from .base import Datastore, settings_of

_Name = Annotated[
    str,
    Pattern(r"[^\x00-\x1f]+", "a name, not empty"),
    Message(fix="use the name in the database, not encoded", redacted=True),
]
CredentialsProvider = Annotated[
    Literal["aws-iam"],
    Message(fix="'aws-iam' is the only provider that SpiceDB has; remove it to use a password"),
]
Quantization = Annotated[timedelta, Interval(ge=timedelta(0), le=timedelta(hours=1))]
ReadDelay = Annotated[timedelta, Interval(ge=timedelta(0), le=timedelta(minutes=10))]
ReadReplica = Annotated[
    Annotated[str, Predicate(is_host)] | SecretKey,
    Message(
        f"a host that is reached like the primary, or a {SECRET_KEY} with a whole URI",
        "use hosts such as 'replica-1.db' if you set the primary by its parts",
        redacted=True,
    ),
]
SET_URI = "{uri=}{SecretKey(…)|{name: …, key: …}}"
"""How to set the URI, in messages."""
_REPLICA = "datastore-read-replica-conn-uri"
_REPLICA_POOLS = {"read_replica_pool": "datastore-read-replica-conn-pool-read", "pool": "datastore-conn-pool-read"}
_CONNECTIONS = {"read_pool": 20, "write_pool": 10, "pool": 20}
"""SpiceDB's own maximum for each pool."""


@frozen(kw_only=True)
class SQLDatastore(Datastore):
    """An SQL engine, reached by ``uri`` or by its parts: ``host``, ``port``, ``database``, ``user``, ``password``."""

    default_port: ClassVar[int]

    uri: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the whole connection URI, in the engine's own form (``--datastore-conn-uri``). In the
    URI, write ``%24`` instead of ``$``, because ``spicedb migrate`` expands ``$`` and ``spicedb serve`` does not.
    Defaults to none: the parts are used."""
    host: Host | None = None
    """DNS name or IP address of the database. Defaults to none: ``uri`` is used."""
    port: Port | None = None
    """TCP port of the database. Defaults to the engine's usual port."""
    database: _Name | None = None
    """Name of the database, not encoded. Defaults to none: ``uri`` is used."""
    user: _Name | None = None
    """Name of the database user, not encoded. Defaults to none: ``uri`` is used."""
    password: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the user's password. Do not encode it: you need not escape any character. Defaults to
    none, for users that the database knows in another way."""
    ca: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the CA certificates (PEM) that verify the database's certificate. They are mounted in
    servers and migration. Defaults to none: the public CAs in SpiceDB's image are used."""

    read_only: bool = False
    """Makes servers reject writes and keep old revisions (``--datastore-readonly``). Migrations still write. Defaults
    to off."""
    revision_quantization_interval: Quantization | None = None
    """Time for which requests share one revision and its cached answers, unless they ask for the latest revision
    (``--datastore-revision-quantization-interval``). With a longer time, servers read less from the database, but some
    requests see a write later. Defaults to SpiceDB's default, 5 s."""
    revision_quantization_max_staleness: Fraction | None = None
    """How much longer than ``revision_quantization_interval`` a revision may be used, as a part of that interval (0 to
    1). This keeps caches from expiring all at once (``--datastore-revision-quantization-max-staleness-percent``).
    Defaults to SpiceDB's default, 0.1."""
    follower_read_delay: ReadDelay | None = None
    """Minimum age of the revision that requests use, unless they ask for the latest revision. After this time, a read
    replica or a nearby database node also has the revision (``--datastore-follower-read-delay-duration``). Defaults to
    SpiceDB's default, 4.8 s, which CockroachDB's followers need."""
    gc_window: Annotated[timedelta, Interval(ge=timedelta(minutes=1), le=timedelta(days=365))] | None = None
    """Time for which old revisions are kept (``--datastore-gc-window``). Requests at an older point in time need them,
    and so do watches that are behind. Defaults to SpiceDB's default, 24 h. CockroachDB's ``gc.ttlseconds`` must not be
    less."""
    max_connections: Annotated[int, Interval(ge=1, le=1_000_000)] | None = None
    """Number of connections that the database has for these servers. You get an error if the pools of all servers could
    open more, including servers that a roll-out adds. Defaults to none: connections are not counted."""

    @property
    def network_port(self) -> int:
        """See `Datastore.network_port`."""
        return self.port or self.default_port

    def address(self, host: str) -> str:
        """Host and port, as URIs have them."""
        return f"{f'[{host}]' if ':' in host else host}:{self.network_port}"

    def connections(self) -> int:
        """Maximum number of connections of one server to the database."""
        pools = {name: getattr(self, name) for name in _CONNECTIONS if hasattr(self, name)}
        return sum((pool and pool.max_open) or _CONNECTIONS[name] for name, pool in pools.items())

    @property
    def max_servers(self) -> int | None:
        """See `Datastore.max_servers`."""
        return None if self.max_connections is None else self.max_connections // self.connections()

    @abstractmethod
    def uri_of(self, host: str) -> str:
        """The URI of a host that servers reach like the primary."""

    @abstractmethod
    def parts(self, migrate: bool) -> tuple[EnvVar, ...]:
        """The variables with the URI of the parts, and the password."""

    def connection(self, uri: SecretKey | None, migrate: bool) -> tuple[EnvVar, ...]:
        """See `Datastore.connection`."""
        uri = uri or self.uri
        return (variable("datastore-conn-uri", uri),) if uri else self.parts(migrate)

    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        """See `Datastore.env`."""
        replicas = {} if migrate else self._replicas()
        if len(replicas) == 1:
            found = [variable(_REPLICA, replica) for replica in replicas.values()]
        else:
            found = [EnvVar(name, replica) for name, replica in replicas.items() if isinstance(replica, SecretKey)]
        return (*super().env(uri=uri, migrate=migrate), *found)

    def settings(self) -> Mapping[str, Setting]:
        """See `Datastore.settings`."""
        replicas = self._replicas()
        uris = [f"$({name})" if isinstance(uri, SecretKey) else uri for name, uri in replicas.items()]
        provider = getattr(self, "credentials_provider", None)
        return {
            **super().settings(),
            "datastore-read-replica-credentials-provider-name": provider if replicas else None,
            _REPLICA: uris if len(uris) > 1 else None,
            **settings_of(self, _REPLICA_POOLS),
        }

    def _replicas(self) -> dict[str, str | SecretKey]:
        """The URI of each read replica, by the name of its variable."""
        return {
            f"DATASTORE_READ_REPLICA_{number}_URI": replica if isinstance(replica, SecretKey) else self.uri_of(replica)
            for number, replica in enumerate(getattr(self, "read_replicas", ()), 1)
        }
