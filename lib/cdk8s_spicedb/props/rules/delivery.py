"""What the tool that applies the manifests can do, and what exists before the release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from ...delivery import Delivery
from ...errors import Problem
from ..annotations import rule
from ..cleanup import CleanupProps
from ..client import PermissionTest
from ..datastores import Datastore
from ..kinds import redact, show
from ..migration import MigrationProps
from ..secrets import MadeName, SecretKey
from ..server import ServerProps
from ..spicedb import SpiceDBProps


@rule(SpiceDBProps)
def cleanup_needs_hooks(delivery: Delivery, cleanup: CleanupProps) -> Iterator[Problem]:
    if cleanup.enabled and not delivery.has_hooks:
        yield Problem(
            "cleanup.enabled",
            "True",
            f"False or None with delivery {delivery.value}, where it would not wait for the migration",
            "remove it: Kubernetes deletes the migration after migration.ttl_seconds_after_finished",
        )


@rule(SpiceDBProps)
def hooks_have_no_ttl(delivery: Delivery, migration: MigrationProps) -> Iterator[Problem]:
    ttl = migration.ttl_seconds_after_finished
    if ttl is not None and delivery.has_hooks:
        yield Problem(
            "migration.ttl_seconds_after_finished",
            show(ttl),
            f"None with delivery {delivery.value}, which waits for the Job and must find it",
            "remove it: the clean-up, or the next release, deletes the Job",
        )


@rule(SpiceDBProps)
def only_helm_has_tests(delivery: Delivery, test: PermissionTest | None) -> Iterator[Problem]:
    if test and delivery is not Delivery.HELM:
        yield Problem("test", "(set)", f"None with delivery {delivery.value}: only Helm has tests", "remove it")


@rule(SpiceDBProps)
def migration_finds_what_it_reads(
    delivery: Delivery, datastore: Datastore, migration: MigrationProps
) -> Iterator[Problem]:
    """With hooks, the migration runs before the app's own objects exist."""
    if not (datastore.migrates and migration.enabled and delivery.has_hooks):
        return
    read = [variable.value for variable in datastore.env(uri=migration.datastore_uri, migrate=True)]
    files = [key for folder in datastore.files() for key in folder.files.values()]
    fields: dict[str, str] = {}
    for path, values in {"datastore": [*read, *files], "migration.env": list(migration.env.values())}.items():
        for key in values:
            if isinstance(key, SecretKey) and isinstance(key.name, MadeName):
                fields[key.name] = path
    if isinstance(migration.service_account, MadeName):
        fields[migration.service_account] = "migration.service_account"
    for name, path in sorted(fields.items()):
        yield Problem(
            path,
            show(str(name)),
            "an object that exists before the release: the migration runs before the app's own objects are applied",
            "create it outside of this app, and import it (from_secret_name, from_service_account_name) or name it",
        )


@rule(SpiceDBProps)
def annotations_need_an_own_account(
    service_account_annotations: Mapping[str, str], server: ServerProps
) -> Iterator[Problem]:
    if server.service_account and service_account_annotations:
        yield Problem(
            "service_account_annotations",
            show(dict(service_account_annotations)),
            "none when server.service_account names one that exists",
            "annotate that ServiceAccount; for the migration's own use migration.service_account_annotations",
        )


@rule(MigrationProps)
def migration_annotations_need_an_own_account(
    service_account: str | None, service_account_annotations: Mapping[str, str] | None
) -> Iterator[Problem]:
    if service_account and service_account_annotations:
        yield Problem(
            "service_account_annotations",
            show(dict(service_account_annotations)),
            "None when service_account names one that exists",
            "annotate that ServiceAccount, or remove service_account",
        )


@rule(MigrationProps)
def timeout_before_deadline(migration_timeout: timedelta | None, active_deadline_seconds: int) -> Iterator[Problem]:
    if migration_timeout is not None and migration_timeout >= timedelta(seconds=active_deadline_seconds):
        yield Problem(
            "migration_timeout",
            show(migration_timeout),
            f"less than active_deadline_seconds, {active_deadline_seconds} s",
            "raise active_deadline_seconds: a migration that Kubernetes stops cannot report what it was doing",
        )


@rule(SpiceDBProps)
def env_is_not_set_twice(datastore: Datastore, server: ServerProps, migration: MigrationProps) -> Iterator[Problem]:
    own = {"SPICEDB_GRPC_PRESHARED_KEY", *(variable.name for variable in datastore.env())}
    for part, env in {"server": server.env, "migration": migration.env}.items():
        for name in sorted(own & set(env)):
            yield Problem(
                f"{part}.env[{name}]",
                redact(env[name]),
                "variables other than those of preshared_key and datastore",
                "remove it, and set it with preshared_key or datastore",
            )
