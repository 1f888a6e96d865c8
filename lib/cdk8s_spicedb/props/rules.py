"""What the parts of a SpiceDB ask of each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

from ..checks import hide, rule, show
from ..datastore.base import Datastore
from ..delivery import Delivery
from ..errors import Problem
from ..releases import ReleaseTable, is_version
from ..secret import MadeName, SecretKey
from .capacity import Capacity
from .cleanup import CleanupProps
from .image import image_tag
from .migration import MigrationProps
from .monitoring import Monitoring
from .server import ServerProps

if TYPE_CHECKING:
    from .client import PermissionTest

_FLAGS = {
    "server.schema_mode": "experimental-schema-mode",
    "server.datastore_migration_phase": "datastore-migration-phase",
    "server.allowed_migrations": "datastore-allowed-migrations",
    "migration.migration_timeout": "migration-timeout",
    "migration.backfill_batch_size": "migration-backfill-batch-size",
    "datastore.credentials_provider": "datastore-credentials-provider-name",
    "datastore.read_replicas": "datastore-read-replica-conn-uri",
}
"""The props that need a flag which SpiceDB did not always have."""


def _boots(setting: str) -> bool:
    return (
        setting.lower().replace("_", "-").removeprefix("--").removeprefix("spicedb-").startswith("datastore-bootstrap-")
    )


class Rules(Capacity):
    """The rules between the fields of `SpiceDBProps`."""

    __slots__ = ()

    if TYPE_CHECKING:
        version: str
        image: str | None
        datastore: Datastore
        delivery: Delivery
        server: ServerProps
        migration: MigrationProps
        cleanup: CleanupProps
        service_account_annotations: Mapping[str, str]
        monitoring: Monitoring
        test: PermissionTest | None
        releases: ReleaseTable

    @rule("image", "version")
    def _image_is_of_version(self) -> Iterator[Problem]:
        tag = image_tag(self.image or "")
        # A tag may add to its version what the image is for, such as v1.56.0-amd64.
        if tag is not None and is_version(tag) and tag != self.version and not tag.startswith(f"{self.version}-"):
            yield Problem(
                "image",
                show(self.image),
                f"an image of version {self.version}",
                "set version to the image's release; flags and migrations follow version",
            )

    @rule("version", "releases", "server", "migration", "datastore")
    def _version_has_flags(self) -> Iterator[Problem]:
        for path, flag in _FLAGS.items():
            part, name = path.split(".")
            value = getattr(getattr(self, part), name, None)
            if value and not self.releases.takes(flag, self.version):
                yield Problem(
                    path,
                    show(value),
                    f"nothing at version {self.version}: --{flag} exists since {self.releases.since(flag)}",
                    "leave it out, or take a later version",
                )

    @rule("version", "releases", "datastore", "migration")
    def _target_is_known(self) -> Iterator[Problem]:
        target, known = self.migration.target, self.releases.revisions(self.datastore.engine, self.version)
        if known and target != "head" and target not in known and not self.migration.allow_unknown_target:
            yield Problem(
                "migration.target_migration",
                show(target),
                f"head, {', '.join(known)} (the revisions of {self.datastore.engine} at {self.version})",
                "choose one of them, or set allow_unknown_target=True if it is meant",
            )

    @rule("delivery", "cleanup")
    def _clean_up_is_a_hook(self) -> Iterator[Problem]:
        if self.cleanup.enabled and not self.delivery.has_hooks:
            yield Problem(
                "cleanup.enabled",
                "True",
                f"False or None with delivery {self.delivery.value}, where it would not wait for the migration",
                "leave it out: Kubernetes removes the migration after migration.ttl_seconds_after_finished",
            )

    @rule("delivery", "migration")
    def _hooks_are_not_removed_by_time(self) -> Iterator[Problem]:
        ttl = self.migration.ttl_seconds_after_finished
        if ttl is not None and self.delivery.has_hooks:
            yield Problem(
                "migration.ttl_seconds_after_finished",
                show(ttl),
                f"nothing with delivery {self.delivery.value}, which waits for the Job and must find it",
                "leave it out: the clean-up, or the next release, removes the Job",
            )

    @rule("delivery", "datastore", "migration")
    def _migration_finds_what_it_needs(self) -> Iterator[Problem]:
        """With hooks the migration runs before the app's own objects are there."""
        if not (self.datastore.migrates and self.migration.enabled) or not self.delivery.has_hooks:
            return
        files, migration = self.datastore.files(), self.migration
        read = [variable.value for variable in self.datastore.env(uri=migration.datastore_uri, migrate=True)]
        keys = {
            key
            for key in [*read, *(key for each in files for key in each.files.values())]
            if isinstance(key, SecretKey)
        }
        late = {key.name: "datastore" for key in keys if isinstance(key.name, MadeName)}
        if isinstance(migration.service_account, MadeName):
            late[migration.service_account] = "migration.service_account"
        for name, field_name in sorted(late.items()):
            yield Problem(
                field_name,
                show(str(name)),
                "what exists before the release: the migration runs before the app's own objects are applied",
                "make it apart from this app and import it (from_secret_name, from_service_account_name), or name it",
            )

    @rule("service_account_annotations", "server")
    def _annotations_have_an_account(self) -> Iterator[Problem]:
        if self.server.service_account and self.service_account_annotations:
            yield Problem(
                "service_account_annotations",
                show(dict(self.service_account_annotations)),
                "nothing where server.service_account names one that exists",
                "annotate that ServiceAccount; for the migration's own give migration.service_account_annotations",
            )

    @rule("datastore", "server")
    def _env_is_not_set_for_you(self) -> Iterator[Problem]:
        own = {"SPICEDB_GRPC_PRESHARED_KEY", *(variable.name for variable in self.datastore.env())}
        for name in sorted(own & set(self.server.env)):
            yield Problem(
                f"server.env[{name}]",
                hide(self.server.env[name]),
                "variables other than those of preshared_key and datastore",
                "leave it out, and say it with preshared_key or datastore",
            )

    @rule("delivery", "test")
    def _helm_tests(self) -> Iterator[Problem]:
        if self.test and self.delivery is not Delivery.HELM:
            allowed = f"nothing with delivery {self.delivery.value}: only Helm has tests"
            yield Problem("test", "(set)", allowed, "leave it out")

    @rule("datastore", "server")
    def _nothing_is_bootstrapped(self) -> Iterator[Problem]:
        if not self.datastore.migrates:
            return
        given = [f"extra_args[{number}]" for number, argument in enumerate(self.server.extra_args) if _boots(argument)]
        given += [f"env[{name}]" for name in self.server.env if _boots(name)]
        for path in given:
            yield Problem(
                f"server.{path}",
                "(bootstrap)",
                "no bootstrap files with a datastore that keeps its data: the second server that starts finds it "
                "filled and stops, or, told to overwrite it, deletes everything first",
                "give the schema with schema=SchemaProps(text=…), and import relationships with zed",
            )

    @rule("server", "monitoring")
    def _metrics_are_served(self) -> Iterator[Problem]:
        if self.monitoring.pod_monitor and not self.server.metrics_enabled:
            yield Problem(
                "monitoring.pod_monitor",
                "(set)",
                "nothing with server.metrics_enabled=False",
                "leave it out, or write metrics_enabled=True",
            )

    @rule("server")
    def _http_is_served(self) -> Iterator[Problem]:
        ingress = self.server.ingress
        if ingress and ingress.port == "http" and not self.server.http_enabled:
            yield Problem(
                "server.ingress.port", show("http"), "grpc where http_enabled is False", "write http_enabled=True"
            )

    @rule("datastore", "migration")
    def _something_to_migrate(self) -> Iterator[Problem]:
        if self.datastore.migrates:
            return
        for setting in attrs.fields(MigrationProps):
            value = getattr(self.migration, setting.name)
            if setting.name != "enabled" and value != getattr(MigrationProps(), setting.name):
                yield Problem(
                    f"migration.{setting.name}",
                    show(value),
                    f"its default with the {self.datastore.engine} engine, which has no schema to migrate",
                    "leave it out, or choose a datastore that keeps its data",
                )

    @rule("datastore", "server")
    def _modes_are_for_schemas(self) -> Iterator[Problem]:
        for name in ("schema_mode", "datastore_migration_phase", "allowed_migrations"):
            value = getattr(self.server, name)
            if value and not self.datastore.migrates:
                yield Problem(
                    f"server.{name}", show(value), f"nothing with the {self.datastore.engine} engine", "leave it out"
                )
