"""What the tool that applies the manifests can do, and what exists before the release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches

import attrs

from ...delivery import Delivery
from ...errors import Problem
from ...versions import ReleaseTable, is_version, version_order
from ..backup import BACKUP_POD, OLDEST, BackupProps
from ..datastores import Datastore
from ..datastores.sql import PART_VARIABLES, LibpqDatastore
from ..fields import Problems, Rules, unset
from ..fieldtypes import redact, show
from ..flags import flagged, variable_name
from ..jobs import CleanupProps, MigrationProps, PermissionTest, SchemaProps
from ..pod import PodSettings
from ..secrets import EnvVar, MadeName, SecretKey
from ..server import ServerProps
from ..spicedb import SpiceDBProps, image_parts

_SHOWN = 6
"""How many revisions an error names."""


def cleanup_needs_hooks(delivery: Delivery, cleanup: CleanupProps, migration: MigrationProps) -> Problems:
    if not cleanup.enabled or delivery.has(migration.moment):
        return
    if delivery.has_hooks:
        allowed, fix = "{False} or {None} with migration.{hook=}{False}", "remove it: the next release deletes the Job"
        yield Problem("cleanup.enabled", "True", allowed, fix)
    else:
        when = f"with delivery {delivery.value}, where the clean-up would not wait for the migration"
        fix = "remove it: Kubernetes deletes the migration after migration.{ttl_seconds_after_finished}"
        yield Problem("cleanup.enabled", "True", f"{{False}} or {{None}} {when}", fix)


def hooks_have_no_ttl(delivery: Delivery, migration: MigrationProps) -> Problems:
    if delivery.has(migration.moment):
        when = f"with delivery {delivery.value}, which waits for the Job and must find it"
        fix = "remove it: the clean-up, or the next release, deletes the Job"
        yield from unset("migration.ttl_seconds_after_finished", migration.ttl_seconds_after_finished, when, fix)


def only_helm_has_tests(delivery: Delivery, test: PermissionTest | None) -> Problems:
    if not delivery.is_chart:
        yield from unset("test", test, f"with delivery {delivery.value}: only Helm has tests", shown="(set)")


def migration_finds_what_it_reads(
    delivery: Delivery, datastore: Datastore, migration: MigrationProps, pods: PodSettings
) -> Problems:
    """With hooks, the migration runs before the app's own objects exist."""
    if not (datastore.migrates and migration.enabled and delivery.has(migration.moment)):
        return
    keys: list[tuple[object, str]] = [
        (variable.value, "datastore") for variable in datastore.env(uri=migration.datastore_uri, migrate=True)
    ]
    keys += [(key, "datastore") for folder in datastore.files() for key in folder.files.values()]
    keys += [(value, "migration.env") for value in migration.env.values()]
    keys += [(value, "pods.env") for value in pods.env.values()]
    names = [(key.name, path) for key, path in keys if isinstance(key, SecretKey)]
    names += [(migration.service_account or "", "migration.service_account")]
    names += [(pods.service_account or "", "pods.service_account")]
    allowed = "an object that exists before the release: the migration runs before the app's own objects are applied"
    # Only Python has objects that the app makes.
    fix = "create it outside of this app, then import it (from_secret_name, from_service_account_name) or use its name"
    for name, path in sorted({name: path for name, path in names if isinstance(name, MadeName)}.items()):
        yield Problem(path, show(str(name)), allowed, fix)


def annotations_need_an_own_account(
    service_account_annotations: Mapping[str, str], server: ServerProps, pods: PodSettings
) -> Problems:
    if (server.service_account or pods.service_account) and service_account_annotations:
        whose = "server" if server.service_account else "pods"
        allowed = f"none when {whose}.{{service_account}} names your own ServiceAccount"
        fix = "annotate that ServiceAccount, and use migration.{service_account_annotations} for the migration's own"
        yield Problem("service_account_annotations", show(dict(service_account_annotations)), allowed, fix)


def migration_annotations_need_an_own_account(
    service_account: str | None, service_account_annotations: Mapping[str, str] | None
) -> Problems:
    if service_account and service_account_annotations:
        when = "when {service_account} names your own one"
        fix = "annotate that ServiceAccount, or remove {service_account}"
        yield from unset("service_account_annotations", dict(service_account_annotations), when, fix)


def timeout_before_deadline(migration_timeout: timedelta | None, active_deadline_seconds: int) -> Problems:
    if migration_timeout is not None and migration_timeout >= timedelta(seconds=active_deadline_seconds):
        allowed = f"less than {{active_deadline_seconds}}, {active_deadline_seconds} s"
        fix = "raise {active_deadline_seconds}: a migration that Kubernetes stops cannot report what it was doing"
        yield Problem("migration_timeout", show(migration_timeout), allowed, fix)


def env_is_not_set_twice(
    datastore: Datastore,
    pods: PodSettings,
    server: ServerProps,
    migration: MigrationProps,
    schema: SchemaProps | None,
    test: PermissionTest | None,
    backup: BackupProps | None,
) -> Problems:
    parts = {"pods": pods, "server": server, "migration": migration, "schema": schema, "test": test, "backup": backup}
    given = {part: props.env for part, props in parts.items() if props and props.env}
    if not given:
        return
    uri = migration.datastore_uri
    of_migration = _connection_names(datastore.env(uri=uri, migrate=True), None if uri else datastore)
    of_servers = _connection_names(datastore.env(), datastore)
    clients = {"ZED_TOKEN", "JOB_COMPLETION_INDEX", BACKUP_POD}
    own = {
        "pods": of_servers | of_migration | clients,
        "server": of_servers,
        "migration": of_migration,
        "schema": clients,
        "test": clients,
        "backup": clients,
    }
    for part, env in given.items():
        for name in sorted(own[part] & set(env)):
            allowed = "variables other than those of {preshared_key} and datastore"
            fix = "remove it, and set it with {preshared_key} or datastore"
            yield Problem(f"{part}.env[{name}]", redact(env[name]), allowed, fix)


def backup_needs_a_newer_release(version: str, backup: BackupProps | None) -> Problems:
    if backup is not None and is_version(version) and version_order(version) < version_order(OLDEST):
        allowed = f"{OLDEST} or later with {{backup}}: zed uses a request that older releases do not have"
        yield Problem("version", show(version), allowed, "remove {backup}, and use the command `backup`")


def _connection_names(variables: Iterable[EnvVar], datastore: Datastore | None) -> set[str]:
    """The names of the variables that connect to a datastore. `no_flag_is_set_twice` is about those of SpiceDB."""
    found = {variable.name for variable in variables if not variable.name.startswith(variable_name(""))}
    # The parts in the URI take precedence over these, which would have no effect.
    has_parts = isinstance(datastore, LibpqDatastore) and datastore.uri is None
    return found | set(PART_VARIABLES.values()) if has_parts else found


def image_has_the_version(image: str | None, version: str) -> Problems:
    _, tag, _ = image_parts(image or "")
    # A tag may have a suffix, such as v1.56.0-amd64.
    if tag is not None and is_version(tag) and tag != version and not tag.startswith(f"{version}-"):
        fix = "set version to the image's release; flags and migrations follow version"
        yield Problem("image", show(image), f"an image of version {version}", fix)


def version_has_the_flags(
    version: str, releases: ReleaseTable, server: ServerProps, migration: MigrationProps, datastore: Datastore
) -> Problems:
    parts = {"server": server, "migration": migration, "datastore": datastore}
    for part, props in parts.items():
        for path, flag, value in flagged(props):
            is_set = value not in (None, (), [])
            if is_set and not flag.inverse and not releases.takes(flag.name, version):
                default = not value if isinstance(value, bool) else None
                allowed = f"{{{default}}} at version {version}: --{flag.name} exists since {releases.since(flag.name)}"
                yield Problem(f"{part}.{path}", show(value), allowed, "remove it, or use a later version")
            elif is_set and not flag.works_at(version):
                allowed = f"{{None}} at version {version}, whose servers ignore --{flag.name}"
                fix = f"remove it, or use {flag.ignored_before} or later"
                yield Problem(f"{part}.{path}", show(value), allowed, fix)


def version_has_the_schema_mode(version: str, releases: ReleaseTable, server: ServerProps) -> Problems:
    mode, modes = server.schema_mode, releases.modes(version)
    if mode is not None and modes and mode not in modes:
        allowed = f"{', '.join(modes)} (the modes of {version})"
        yield Problem("server.schema_mode", show(mode), allowed, "use one of them, or another version")


def target_is_known(version: str, releases: ReleaseTable, datastore: Datastore, migration: MigrationProps) -> Problems:
    target, known = migration.target, releases.revisions(datastore.engine, version)
    if known and target != "head" and target not in known and not migration.allow_unknown_target:
        near = get_close_matches(str(target), known, _SHOWN, 0)
        more = f", and {len(known) - _SHOWN} others" if len(known) > _SHOWN else ""
        allowed = f"head, {', '.join(near)}{more} (the revisions of {datastore.engine} at {version})"
        fix = "use one of them, or set {allow_unknown_target=}{True} if you mean another"
        yield Problem("migration.target_migration", show(target), allowed, fix)


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


def accepted_advisories_are_known(accept_advisories: Sequence[str], releases: ReleaseTable) -> Problems:
    for name in accept_advisories:
        if releases.advisory(name) is None:
            fix = "use its whole name, as `cdk8s-spicedb releases` prints it, or remove it"
            yield Problem("accept_advisories", show(name), "names of advisories that this package knows", fix)


def schema_has_one_source(text: str | None, config_map: str | None) -> Problems:
    if text is None and config_map is None:
        yield Problem("text", "None", "the schema, or {config_map}", "set one of them")
    if text is not None:
        yield from unset("config_map", config_map, "when {text} is set", "remove one of them")


def claim_has_its_own_volume(claim: str | None, storage: str | None, storage_class: str | None) -> Problems:
    if claim is not None:
        when, fix = "when {claim} names a claim that exists", "remove it, or remove {claim}: the release then makes one"
        yield from unset("storage", storage, when, fix)
        yield from unset("storage_class", storage_class, when, fix)


RULES: Rules = {
    SpiceDBProps: (
        cleanup_needs_hooks,
        hooks_have_no_ttl,
        only_helm_has_tests,
        migration_finds_what_it_reads,
        annotations_need_an_own_account,
        env_is_not_set_twice,
        backup_needs_a_newer_release,
        image_has_the_version,
        version_has_the_flags,
        version_has_the_schema_mode,
        target_is_known,
        only_schemas_are_migrated,
        accepted_advisories_are_known,
    ),
    SchemaProps: (schema_has_one_source,),
    BackupProps: (claim_has_its_own_volume,),
    MigrationProps: (
        migration_annotations_need_an_own_account,
        timeout_before_deadline,
    ),
}
