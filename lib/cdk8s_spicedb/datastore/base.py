"""What every datastore answers for itself, so that nobody compares engine names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from ..env import EnvVar, Setting
from ..secret import SecretKey
from ..volume import SecretFiles

FOLDER = "/etc/spicedb/datastore"


class Datastore(ABC):
    """Where SpiceDB keeps schema and relationships: one of the engines of this package."""

    engine: ClassVar[str]
    """SpiceDB's name for it (``--datastore-engine``)."""
    migrates: ClassVar[bool] = True
    """Whether there is a schema to migrate."""
    most_replicas: ClassVar[int | None] = None
    """How many servers can share it; None: any number."""

    @property
    def network_port(self) -> int | None:
        """The TCP port at which it is reached, as far as that is known; None: there is nothing to reach."""
        return None

    @abstractmethod
    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        """The variables that connect SpiceDB to it.

        Servers and migration get theirs here alike. ``uri`` replaces the datastore's own credentials, and ``migrate``
        says that ``spicedb migrate`` reads them, for engines where that program reads them in another way.
        """

    def settings(self) -> Mapping[str, Setting]:
        """By flag, what servers are told of it besides the connection; None is left to SpiceDB."""
        return {}

    def files(self) -> tuple[SecretFiles, ...]:
        """The files that its variables refer to."""
        return ()

    def settings_files(self) -> tuple[SecretFiles, ...]:
        """The files that its settings refer to, which the migration has no use for."""
        return ()

    def _files(self, files: dict[str, SecretKey | None]) -> tuple[SecretFiles, ...]:
        given = {file: key for file, key in files.items() if key is not None}
        return (SecretFiles("datastore", FOLDER, given),) if given else ()
