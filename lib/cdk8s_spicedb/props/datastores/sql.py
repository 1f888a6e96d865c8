"""What the SQL engines have in common: a URI from a Secret, or its parts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval
from attrs import field, frozen

from ..annotations import Message, Pattern
from ..flags import EnvVar, Setting, variable
from ..secrets import SecretKey, as_secret_key
from ..types import Fraction, Host, Port
from .base import Datastore

_Name = Annotated[
    str,
    Pattern(r"[^\x00-\x1f]+"),
    Message("a name, not empty", "use the name in the database, not encoded", redacted=True),
]
CredentialsProvider = Annotated[
    Literal["aws-iam"],
    Message(fix="'aws-iam' is the only provider that SpiceDB has; remove it to use a password"),
]
Quantization = Annotated[timedelta, Interval(ge=timedelta(0), le=timedelta(hours=1))]
ReadDelay = Annotated[timedelta, Interval(ge=timedelta(0), le=timedelta(minutes=10))]


@frozen(kw_only=True)
class SQLDatastore(Datastore):
    """An SQL engine, reached by ``uri`` or by its parts: ``host``, ``port``, ``database``, ``user``, ``password``."""

    default_port: ClassVar[int]

    uri: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret key with the whole connection URI, in the engine's own form (``--datastore-conn-uri``). Write ``$`` as
    ``%24`` in it: ``spicedb migrate`` expands ``$``, ``spicedb serve`` does not. Defaults to none: the parts are
    used."""
    host: Host | None = None
    """DNS name or IP address of the database. Defaults to none: ``uri`` is used."""
    port: Port | None = None
    """TCP port of the database. Defaults to the engine's usual port."""
    database: _Name | None = None
    """Name of the database, not encoded. Defaults to none: ``uri`` is used."""
    user: _Name | None = None
    """Name of the database user, not encoded. Defaults to none: ``uri`` is used."""
    password: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret key with the user's password, not encoded: you need not escape any character. Defaults to none, for
    users with a certificate or a credentials provider."""
    ca: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret key with the CA certificates (PEM) that verify the database's certificate, mounted in servers and
    migration. Defaults to none: the public CAs in SpiceDB's image are used."""

    read_only: bool = False
    """Rejects writes (``--datastore-readonly``) and keeps old revisions. Migrations still write. Defaults to off."""
    revision_quantization_interval: Quantization | None = None
    """Time for which requests that do not need the latest revision share one, and its cached answers
    (``--datastore-revision-quantization-interval``). A longer time causes fewer reads, and delays until all requests
    see a write. Defaults to SpiceDB's own, 5 s."""
    revision_quantization_max_staleness: Fraction | None = None
    """How much older than that interval a revision may be, as a part of it (0 to 1), so that caches do not all expire
    at once (``--datastore-revision-quantization-max-staleness-percent``). Defaults to SpiceDB's own, 0.1."""
    follower_read_delay: ReadDelay | None = None
    """Minimum age of a revision for requests that do not need the latest, so that a read replica or a nearby database
    node has it (``--datastore-follower-read-delay-duration``). Defaults to SpiceDB's own, 4.8 s, which CockroachDB's
    followers need."""
    gc_window: Annotated[timedelta, Interval(ge=timedelta(minutes=1), le=timedelta(days=365))] | None = None
    """Time for which old revisions are kept, for requests at a point in time and for watches that are behind
    (``--datastore-gc-window``). Defaults to SpiceDB's own, 24 h. CockroachDB's ``gc.ttlseconds`` must not be less."""
    max_connections: Annotated[int, Interval(ge=1, le=1_000_000)] | None = None
    """Number of connections that the database has for these servers. It is an error if the pools of all servers, with
    those that a roll-out adds, could open more. Defaults to none: connections are not counted."""

    @property
    def network_port(self) -> int:
        """See `Datastore.network_port`."""
        return self.port or self.default_port

    @abstractmethod
    def connections(self) -> int:
        """Maximum number of connections of one server to the database."""

    @abstractmethod
    def uri_of(self, host: str, *, migrate: bool = False) -> str:
        """The URI of a host that is reached like the primary."""

    @abstractmethod
    def connection(self, migrate: bool) -> tuple[EnvVar, ...]:
        """The variables with the URI of the parts, and the password."""

    @abstractmethod
    def options(self) -> tuple[EnvVar, ...]:
        """The variables that apply with ``uri`` and with the parts: TLS, and the engine's own."""

    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        """See `Datastore.env`."""
        uri = uri or self.uri
        connection = (variable("datastore-conn-uri", uri),) if uri else self.connection(migrate)
        return (variable("datastore-engine", self.engine), *connection, *self.options())

    def settings(self) -> Mapping[str, Setting]:
        """See `Datastore.settings`."""
        return {
            **read_settings(
                self.read_only,
                self.revision_quantization_interval,
                self.revision_quantization_max_staleness,
                self.follower_read_delay,
            ),
            "datastore-gc-window": self.gc_window,
        }

    def address(self, host: str) -> str:
        """Host and port, as URIs have them."""
        return f"{f'[{host}]' if ':' in host else host}:{self.port or self.default_port}"


def read_settings(
    read_only: bool, quantization: timedelta | None, staleness: float | None, delay: timedelta | None
) -> dict[str, Setting]:
    """The settings of reads by flag, which every persistent engine has."""
    return {
        "datastore-readonly": read_only or None,
        "datastore-revision-quantization-interval": quantization,
        "datastore-revision-quantization-max-staleness-percent": staleness,
        "datastore-follower-read-delay-duration": delay,
    }
