"""What every datastore answers for itself, so that no other module compares engine names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import attrs
from attrs import frozen

from ..annotations import Message
from ..flags import EnvVar, Setting, variable
from ..secrets import SecretFiles, SecretKey
from .integrity import RelationshipIntegrity
from .pool import Pool

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
