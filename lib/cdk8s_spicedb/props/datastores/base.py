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
from ..flags import ENGINE, Flag, Setting, flagged, settings_of
from ..secrets import ConfigMapKey, EnvVar, SecretFiles, SecretKey, required_secret_key, variable
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

    enabled: ClassVar[bool] = True

    key_id: Annotated[_KeyId, Flag("…-enabled", value="enabled"), Flag("…-current-key-id")]
    """Name of the signing key, which is written with each relationship. Required."""
    key: Annotated[SecretKey, Flag("…-current-key-filename", value="file")] = field(converter=required_secret_key)
    """Secret and key that hold the signing key (HMAC-SHA256). It can be any bytes, but must not be empty. Required."""
    expired_keys: Annotated[Sequence[ExpiredIntegrityKey], Flag("…-expired-keys", value="expired")] = ()
    """Keys that signed earlier relationships. Defaults to none."""

    def files(self) -> tuple[SecretFiles, ...]:
        """The files with the keys."""
        keys = {self.key_id: self.key, **{expired.id: expired.key for expired in self.expired_keys}}
        return (SecretFiles("integrity", _FOLDER, keys),)

    @property
    def file(self) -> str:
        """Path of the file with the signing key."""
        return f"{_FOLDER}/{self.key_id}"

    @property
    def expired(self) -> list[str]:
        """The keys that signed earlier relationships, as SpiceDB reads them."""
        keys = [
            {
                "key_id": key.id,
                "key_filename": f"{_FOLDER}/{key.id}",
                "expired_at": key.expired_at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z"),
            }
            for key in self.expired_keys
        ]
        return list(map(json.dumps, keys))


@frozen(kw_only=True)
class Pool:
    """Connections of each server to the database, for reads or for writes (``--datastore-conn-pool-…``).

    Fields that you leave out use SpiceDB's defaults. MySQL's engine has only ``max_open``, ``max_lifetime`` and
    ``max_idle_time``.
    """

    max_open: Annotated[int, Interval(ge=1, le=10_000), Flag("…-max-open")] | None = None
    """Maximum number of connections of each server (``…-max-open``). Defaults to SpiceDB's default, 20 for reads and 10
    for writes. New servers cannot start when the database has no connection left."""
    min_open: Annotated[int, Interval(ge=0, le=10_000), Flag("…-min-open", value="minimum")] | None = None
    """Minimum number of connections that each server keeps open, so that a burst of requests does not wait
    (``…-min-open``). Defaults to ``max_open`` if you set that, and otherwise to SpiceDB's default, 20 for reads and 10
    for writes."""
    max_lifetime: Annotated[Week, Flag("…-max-lifetime")] | None = None
    """Maximum age of a connection (``…-max-lifetime``). Defaults to SpiceDB's default, 30 min. With a shorter time,
    servers notice a failover or a change behind a proxy sooner."""
    max_lifetime_jitter: Annotated[Week, Flag("…-max-lifetime-jitter")] | None = None
    """Random variation of ``max_lifetime``, so that connections are not all replaced at once
    (``…-max-lifetime-jitter``). Defaults to SpiceDB's default: a fifth of ``max_lifetime``, or 30 min with
    CockroachDB."""
    max_idle_time: Annotated[Week, Flag("…-max-idletime")] | None = None
    """Time after which a connection is closed if it is not used (``…-max-idletime``). Defaults to SpiceDB's default, 30
    min."""
    health_check_interval: Annotated[Week, Flag("…-healthcheck-interval")] | None = None
    """Time between health checks of the connections (``…-healthcheck-interval``). Defaults to SpiceDB's default, 30
    s."""

    @property
    def minimum(self) -> int | None:
        """Minimum number of connections. SpiceDB's own may be above the maximum that is set."""
        return self.max_open if self.min_open is None else self.min_open


ReadPool = Annotated[Pool, Flag("datastore-conn-pool-read-…")]
FOLDER = "/etc/spicedb/datastore"


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
    repair: ClassVar[str | None] = None
    """The operation of ``spicedb datastore repair`` that it needs after a dump was restored. None: it needs none."""
    can_be_rehearsed: ClassVar[bool] = True
    """Whether `rehearse` can start a database of this engine."""
    can_be_set_aside: ClassVar[bool] = False
    """Whether `rollback --restore` can set the tables aside."""
    restore: ClassVar[str] = "restore the backup of the datastore"
    """How to go back to a backup, in words."""

    @classmethod
    def members(cls) -> Mapping[str, type[Datastore]]:
        """The classes of all engines, by SpiceDB's name for the engine."""
        return ENGINES

    @property
    def network_port(self) -> int | None:
        """TCP port of the database, as far as it is known. None: there is nothing to connect to."""
        return None

    @property
    def needs_identity(self) -> bool:
        """Whether pods get their credentials by their ServiceAccount."""
        return False

    @property
    def max_servers(self) -> int | None:
        """Maximum number of servers for which it has connections. None: they are not counted."""
        return None

    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        """The variables that connect servers and migration to it.

        ``uri`` replaces the datastore's own credentials. ``migrate`` is set for the variables of ``spicedb migrate``,
        which reads them differently with some engines.
        """
        # The engine's own variables come first.
        own = {each.name for each in attrs.fields(type(self)) if not each.inherited}
        found = sorted(flagged(self), key=lambda each: each[0] not in own)
        return (
            variable(ENGINE, self.engine),
            *self.connection(uri, migrate),
            *(variable(flag.name, value) for _, flag, value in found if flag.env and value),
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
        return settings_of(self)

    def file_keys(self) -> Mapping[str, SecretKey | ConfigMapKey | None]:
        """The key of each file that is mounted in servers and migration."""
        return {}

    def files(self) -> tuple[SecretFiles, ...]:
        """The files that its variables refer to."""
        found = {file: key for file, key in self.file_keys().items() if key}
        return (SecretFiles("datastore", FOLDER, found),) if found else ()

    def settings_files(self) -> tuple[SecretFiles, ...]:
        """The files that its settings refer to, which the migration does not need."""
        return ()


@frozen(kw_only=True)
class Memory(Datastore):
    """Relationships in the server's own memory, to try SpiceDB out and for tests. They are lost when the server stops.

    There is only one server, and no dispatch, because several servers would not see each other's data. There is nothing
    to migrate or to clean up.
    """

    engine = "memory"
    migrates = False
    can_be_rehearsed = False
    max_replicas = 1

    def connection(self, uri: SecretKey | None, migrate: bool) -> tuple[EnvVar, ...]:
        return ()


ENGINES: dict[str, type[Datastore]] = {}
"""The classes of all engines, by SpiceDB's name for the engine. The package of datastores lists them."""
