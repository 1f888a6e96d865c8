"""What a release of SpiceDB, and its engine, can do."""

from __future__ import annotations

import attrs

from ...errors import Problem
from ...releases import ReleaseTable, is_version
from ..annotations import Problems, rule, unset
from ..datastores import Datastore
from ..image import image_parts
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
def image_has_the_version(image: str | None, version: str) -> Problems:
    _, tag, _ = image_parts(image or "")
    # A tag may have a suffix, such as v1.56.0-amd64.
    if tag is not None and is_version(tag) and tag != version and not tag.startswith(f"{version}-"):
        fix = "set version to the image's release; flags and migrations follow version"
        yield Problem("image", show(image), f"an image of version {version}", fix)


@rule(SpiceDBProps)
def version_has_the_flags(
    version: str, releases: ReleaseTable, server: ServerProps, migration: MigrationProps, datastore: Datastore
) -> Problems:
    parts = {"server": server, "migration": migration, "datastore": datastore}
    for path, flag in _FLAGS.items():
        part, name = path.split(".")
        if not releases.takes(flag, version):
            when = f"at version {version}: --{flag} exists since {releases.since(flag)}"
            yield from unset(path, getattr(parts[part], name, None) or None, when, "remove it, or use a later version")


@rule(SpiceDBProps)
def target_is_known(version: str, releases: ReleaseTable, datastore: Datastore, migration: MigrationProps) -> Problems:
    target, known = migration.target, releases.revisions(datastore.engine, version)
    if known and target != "head" and target not in known and not migration.allow_unknown_target:
        allowed = f"head, {', '.join(known)} (the revisions of {datastore.engine} at {version})"
        fix = "use one of them, or set allow_unknown_target=True if you mean another"
        yield Problem("migration.target_migration", show(target), allowed, fix)


@rule(SpiceDBProps)
def only_schemas_are_migrated(datastore: Datastore, server: ServerProps, migration: MigrationProps) -> Problems:
    if datastore.migrates:
        return
    when = f"with the {datastore.engine} engine"
    for name, value in attrs.asdict(migration, recurse=False).items():
        if name != "enabled" and value != getattr(MigrationProps(), name):
            allowed = f"its default {when}, which has no schema to migrate"
            yield Problem(f"migration.{name}", show(value), allowed, "remove it, or use a persistent datastore")
    for name in ("schema_mode", "datastore_migration_phase", "allowed_migrations"):
        yield from unset(f"server.{name}", getattr(server, name) or None, when)
