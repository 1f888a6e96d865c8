"""What every datastore answers for itself, so that no other module compares engine names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from ..annotations import Message
from ..flags import EnvVar, Setting
from ..secrets import SecretFiles, SecretKey

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

    @classmethod
    def members(cls) -> Mapping[str, type[Datastore]]:
        """The classes of all engines, by SpiceDB's name for the engine."""
        from . import ENGINES

        return ENGINES

    @property
    def network_port(self) -> int | None:
        """TCP port of the database, as far as it is known. None: there is nothing to connect to."""
        return None

    @abstractmethod
    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        """The variables that connect servers and migration to it.

        ``uri`` replaces the datastore's own credentials. ``migrate`` is set for the variables of ``spicedb migrate``,
        which reads them differently with some engines.
        """

    def settings(self) -> Mapping[str, Setting]:
        """Settings of the servers by flag, apart from the connection. None is left to SpiceDB."""
        return {}

    def files(self) -> tuple[SecretFiles, ...]:
        """The files that its variables refer to."""
        return ()

    def settings_files(self) -> tuple[SecretFiles, ...]:
        """The files that its settings refer to, which the migration does not need."""
        return ()


def secret_files(files: Mapping[str, SecretKey | None]) -> tuple[SecretFiles, ...]:
    """The files of a datastore that are set."""
    found = {file: key for file, key in files.items() if key is not None}
    return (SecretFiles("datastore", FOLDER, found),) if found else ()
