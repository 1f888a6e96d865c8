"""What a release of SpiceDB, and its engine, can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from ...errors import Problem
from ...releases import ReleaseTable, is_version
from ..annotations import rule
from ..datastores import Datastore
from ..image import image_tag
from ..kinds import show
from ..migration import MigrationProps
from ..server import ServerProps
from ..spicedb import SpiceDBProps

_FLAGS = {
    "server.schema_mode": "experimental-schema-mode",
    "server.datastore_migration_phase": "datastore-migration-phase",
    "server.allowed_migrations": "datastore-allowed-migrations",
    "migration.migration_timeout": "migration-timeout",
    "migration.backfill_batch_size": "migration-backfill-batch-size",
    "datastore.credentials_provider": "datastore-credentials-provider-name",
    "datastore.read_replicas": "datastore-read-replica-conn-uri",
}
"""The props whose flag SpiceDB did not always have."""


@rule(SpiceDBProps)
def image_has_the_version(image: str | None, version: str) -> Iterator[Problem]:
    tag = image_tag(image or "")
    # A tag may have a suffix, such as v1.56.0-amd64.
    if tag is not None and is_version(tag) and tag != version and not tag.startswith(f"{version}-"):
        fix = "set version to the image's release; flags and migrations follow version"
        yield Problem("image", show(image), f"an image of version {version}", fix)


@rule(SpiceDBProps)
def version_has_the_flags(
    version: str, releases: ReleaseTable, server: ServerProps, migration: MigrationProps, datastore: Datastore
) -> Iterator[Problem]:
    parts: dict[str, Any] = {"server": server, "migration": migration, "datastore": datastore}
    for path, flag in _FLAGS.items():
        part, name = path.split(".")
        value = getattr(parts[part], name, None)
        if value and not releases.takes(flag, version):
            allowed = f"None at version {version}: --{flag} exists since {releases.since(flag)}"
            yield Problem(path, show(value), allowed, "remove it, or use a later version")


@rule(SpiceDBProps)
def target_is_known(
    version: str, releases: ReleaseTable, datastore: Datastore, migration: MigrationProps
) -> Iterator[Problem]:
    target, known = migration.target, releases.revisions(datastore.engine, version)
    if known and target != "head" and target not in known and not migration.allow_unknown_target:
        yield Problem(
            "migration.target_migration",
            show(target),
            f"head, {', '.join(known)} (the revisions of {datastore.engine} at {version})",
            "use one of them, or set allow_unknown_target=True if you mean another",
        )


@rule(SpiceDBProps)
def only_schemas_are_migrated(
    datastore: Datastore, server: ServerProps, migration: MigrationProps
) -> Iterator[Problem]:
    if datastore.migrates:
        return
    defaults = MigrationProps()
    for field in attrs.fields(MigrationProps):
        value = getattr(migration, field.name)
        if field.name != "enabled" and value != getattr(defaults, field.name):
            allowed = f"its default with the {datastore.engine} engine, which has no schema to migrate"
            yield Problem(f"migration.{field.name}", show(value), allowed, "remove it, or use a persistent datastore")
    for name in ("schema_mode", "datastore_migration_phase", "allowed_migrations"):
        value = getattr(server, name)
        if value:
            yield Problem(f"server.{name}", show(value), f"None with the {datastore.engine} engine", "remove it")
