"""What every datastore answers for itself, so that no other module compares engine names."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Annotated, ClassVar

import attrs
from annotated_types import Interval
from attrs import field, frozen

from ..fields import Message, Pattern
from ..flags import EnvVar, Setting, variable
from ..secrets import SecretFiles, SecretKey, required_secret_key
from ..types import Week

_FOLDER = "/etc/spicedb/integrity"
_KeyId = Annotated[
    str, Pattern(r"[-._A-Za-z0-9]+", "letters, digits, '-', '_' and '.'", "use a name such as '2026-11'", max_length=63)
]


@frozen(kw_only=True)
class ExpiredIntegrityKey:
    """A key that signed relationships in the past."""

    id: _KeyId
    """Name under which the key signed. Required."""
    key: SecretKey = field(converter=required_secret_key)
    """Secret and key that hold the signing key. Required."""
    expired_at: datetime
    """Time at which the key was replaced. Relationships that were signed with this key later are invalid. Required."""


@frozen(kw_only=True)
class RelationshipIntegrity:
    """Signed relationships (``--datastore-relationship-integrity-…``). The database must be empty when you enable this.

    A request fails if it reads a relationship without a valid signature.
    """

    key_id: _KeyId
    """Name of the signing key, which is written with each relationship. Required."""
    key: SecretKey = field(converter=required_secret_key)
    """Secret and key that hold the signing key (HMAC-SHA256). It can be any bytes, but must not be empty. Required."""
    expired_keys: Sequence[ExpiredIntegrityKey] = ()
    """Keys that signed earlier relationships. Defaults to none."""

    def files(self) -> tuple[SecretFiles, ...]:
        """The files with the keys."""
        keys = {self.key_id: self.key, **{expired.id: expired.key for expired in self.expired_keys}}
        return (SecretFiles("integrity", _FOLDER, keys),)

    def settings(self, prefix: str) -> dict[str, Setting]:
        """Its settings by flag; ``prefix`` is the beginning of the flags."""
        expired = [
            {
                "key_id": key.id,
                "key_filename": f"{_FOLDER}/{key.id}",
                "expired_at": key.expired_at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z"),
            }
            for key in self.expired_keys
        ]
        return {
            f"{prefix}-enabled": True,
            f"{prefix}-current-key-id": self.key_id,
            f"{prefix}-current-key-filename": f"{_FOLDER}/{self.key_id}",
            f"{prefix}-expired-keys": list(map(json.dumps, expired)),
        }


@frozen(kw_only=True)
class Pool:
    """Connections of each server to the database, for reads or for writes (``--datastore-conn-pool-…``).

    Fields that you leave out use SpiceDB's defaults. MySQL's engine has only ``max_open``, ``max_lifetime`` and
    ``max_idle_time``.
    """

    max_open: Annotated[int, Interval(ge=1, le=10_000)] | None = None
    """Maximum number of connections of each server (``…-max-open``). Defaults to SpiceDB's default, 20 for reads and 10
    for writes. New servers cannot start when the database has no connection left."""
    min_open: Annotated[int, Interval(ge=0, le=10_000)] | None = None
    """Minimum number of connections that each server keeps open, so that a burst of requests does not wait
    (``…-min-open``). Defaults to ``max_open`` if you set that, and otherwise to SpiceDB's default, 20 for reads and 10
    for writes."""
    max_lifetime: Week | None = None
    """Maximum age of a connection (``…-max-lifetime``). Defaults to SpiceDB's default, 30 min. With a shorter time,
    servers notice a failover or a change behind a proxy sooner."""
    max_lifetime_jitter: Week | None = None
    """Random variation of ``max_lifetime``, so that connections are not all replaced at once
    (``…-max-lifetime-jitter``). Defaults to SpiceDB's default: a fifth of ``max_lifetime``, or 30 min with
    CockroachDB."""
    max_idle_time: Week | None = None
    """Time after which a connection is closed if it is not used (``…-max-idletime``). Defaults to SpiceDB's default, 30
    min."""
    health_check_interval: Week | None = None
    """Time between health checks of the connections (``…-healthcheck-interval``). Defaults to SpiceDB's default, 30
    s."""

    def settings(self, prefix: str) -> dict[str, Setting]:
        """Its settings by flag; ``prefix`` is the beginning of the pool's flags."""
        # SpiceDB's own minimum may be above the maximum that is set.
        minimum = self.max_open if self.min_open is None else self.min_open
        return {
            f"{prefix}-max-open": self.max_open,
            f"{prefix}-min-open": minimum,
            f"{prefix}-max-lifetime": self.max_lifetime,
            f"{prefix}-max-lifetime-jitter": self.max_lifetime_jitter,
            f"{prefix}-max-idletime": self.max_idle_time,
            f"{prefix}-healthcheck-interval": self.health_check_interval,
        }


FOLDER = "/etc/spicedb/datastore"
# These tables have the fields of all engines. An engine uses those that it has.
_FILES = {"ca": "ca.crt", "client_certificate": "tls.crt", "client_key": "tls.key", "credentials": "credentials.json"}
"""The file of each field that is mounted in servers and migration."""
_VARIABLES = {
    "table_prefix": "datastore-mysql-table-prefix",
    "credentials_provider": "datastore-credentials-provider-name",
    "emulator_host": "datastore-spanner-emulator-host",
}
"""The flag of each field that servers and migration need. Both read it from a variable."""
_FLAGS = {
    "read_only": "datastore-readonly",
    "revision_quantization_interval": "datastore-revision-quantization-interval",
    "revision_quantization_max_staleness": "datastore-revision-quantization-max-staleness-percent",
    "follower_read_delay": "datastore-follower-read-delay-duration",
    "gc_window": "datastore-gc-window",
    "read_pool": "datastore-conn-pool-read",
    "write_pool": "datastore-conn-pool-write",
    "gc_interval": "datastore-gc-interval",
    "gc_max_operation_time": "datastore-gc-max-operation-time",
    "connection_balancing": "datastore-connection-balancing",
    "relationship_integrity": "datastore-relationship-integrity",
}
"""The flag of each field that only servers need, or the beginning of its flags."""


@frozen(kw_only=True)
class Datastore(ABC):
    """Where SpiceDB keeps its schema and relationships: one of the engines of this package."""

    message: ClassVar[Message] = Message(
        "PostgreSQL(…), CockroachDB(…), MySQL(…), Spanner(…) or Memory()",
        "choose one; Memory() is for trying SpiceDB out",
        redacted=True,
    )
    engine: ClassVar[str]
    """SpiceDB's name for the engine (``--datastore-engine``)."""
    migrates: ClassVar[bool] = True
    """Whether it has a schema to migrate."""
    max_replicas: ClassVar[int | None] = None
    """Maximum number of servers that can share it. None: any number."""

    @classmethod
    def members(cls) -> Mapping[str, type[Datastore]]:
        """The classes of all engines, by SpiceDB's name for the engine."""
        from . import ENGINES

        return ENGINES

    @property
    def network_port(self) -> int | None:
        """TCP port of the database, as far as it is known. None: there is nothing to connect to."""
        return None

    @property
    def max_servers(self) -> int | None:
        """Maximum number of servers for which it has connections. None: they are not counted."""
        return None

    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        """The variables that connect servers and migration to it.

        ``uri`` replaces the datastore's own credentials. ``migrate`` is set for the variables of ``spicedb migrate``,
        which reads them differently with some engines.
        """
        values = {flag: getattr(self, name, None) for name, flag in _VARIABLES.items()}
        return (
            variable("datastore-engine", self.engine),
            *self.connection(uri, migrate),
            *(variable(flag, value) for flag, value in values.items() if value),
            *self.options(),
        )

    @abstractmethod
    def connection(self, uri: SecretKey | None, migrate: bool) -> tuple[EnvVar, ...]:
        """The variables with the URI, or with the URI of the parts and the password."""

    def options(self) -> tuple[EnvVar, ...]:
        """The variables that apply with every URI: TLS, and paths of files."""
        return ()

    def settings(self) -> Mapping[str, Setting]:
        """Settings of the servers by flag, apart from the connection. None is left to SpiceDB."""
        return settings_of(self, _FLAGS)

    def files(self) -> tuple[SecretFiles, ...]:
        """The files that its variables refer to."""
        found = {file: getattr(self, name) for name, file in _FILES.items() if getattr(self, name, None)}
        return (SecretFiles("datastore", FOLDER, found),) if found else ()

    def settings_files(self) -> tuple[SecretFiles, ...]:
        """The files that its settings refer to, which the migration does not need."""
        return ()


def settings_of(datastore: Datastore, flags: Mapping[str, str]) -> dict[str, Setting]:
    """The settings of some fields by flag. A field with its default is left to SpiceDB."""
    defaults = {field.name: field.default for field in attrs.fields(type(datastore))}
    found: dict[str, Setting] = {}
    for name, flag in flags.items():
        value = getattr(datastore, name, None)
        if isinstance(value, (Pool, RelationshipIntegrity)):
            found.update(value.settings(flag))
        elif value != defaults.get(name):
            found[flag] = value
    return found


@frozen(kw_only=True)
class Memory(Datastore):
    """Relationships in the server's own memory, to try SpiceDB out and for tests. They are lost when the server stops.

    There is only one server, and no dispatch, because several servers would not see each other's data. There is nothing
    to migrate or to clean up.
    """

    engine = "memory"
    migrates = False
    max_replicas = 1

    def connection(self, uri: SecretKey | None, migrate: bool) -> tuple[EnvVar, ...]:
        """See `Datastore.connection`."""
        return ()
