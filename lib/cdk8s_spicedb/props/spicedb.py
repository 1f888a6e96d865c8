"""One SpiceDB: what its servers, its migration and its clean-up have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs
from attrs import Factory, field, frozen

from ..checks import each, hide, instance, optional, passes, require, rule, show, text
from ..datastore import Datastore
from ..delivery import Delivery
from ..errors import InvalidProps, Problem
from ..labels import LONGEST_NAME, Component, annotations_check, labels_check, object_name
from ..releases import ReleaseTable, is_version, known_releases, version_check
from ..secret import SecretKey, secret_key
from ..upgrade import UpgradeStep
from .cleanup import CleanupProps
from .image import has_digest, image_check, image_tag
from .migration import MigrationProps
from .server import DEFAULT_REPLICAS, ServerProps
from .step import props_at

_FLAGS = {
    "server.schema_mode": "experimental-schema-mode",
    "server.datastore_migration_phase": "datastore-migration-phase",
    "server.allowed_migrations": "datastore-allowed-migrations",
    "migration.migration_timeout": "migration-timeout",
    "migration.backfill_batch_size": "migration-backfill-batch-size",
    "datastore.credentials_provider": "datastore-credentials-provider-name",
}
"""The props that need a flag which SpiceDB did not always have."""


def _newest() -> str:
    return known_releases().newest


_NAME = text(
    r"[a-z]([-a-z0-9]*[a-z0-9])?",
    f"lower-case letters, digits and '-', beginning with a letter, at most {LONGEST_NAME}",
    "shorten or rename it; it names the Service, and the Jobs with a suffix",
    most=LONGEST_NAME,
)


def _own_secret(props: SpiceDBProps) -> SecretKey:
    # A name that is refused itself is no reason to refuse the key as well.
    return SecretKey(props.name if passes(_NAME, props.name) else "spicedb", "preshared-key")


@frozen(kw_only=True)
class SpiceDBProps:
    """One SpiceDB. Only the datastore is required."""

    name: str = field(default="spicedb", metadata=_NAME)
    """The name of the Deployment, Service and ServiceAccount, and the instance in every label. Default: ``spicedb``. A
    second SpiceDB in the namespace needs another; changing it later replaces every object."""
    version: str = field(factory=_newest, metadata=version_check())
    """The SpiceDB release, such as ``v1.56.0``. Default: the newest that this version of the package knows; state it,
    so that an update of the package is no update of SpiceDB."""
    image: str | None = field(default=None, metadata=optional(image_check(complete=False)))
    """The image of servers and migration. Without tag and digest, ``version`` is its tag. Default:
    ``ghcr.io/authzed/spicedb``, which has no pull limits for anonymous users."""
    image_pull_secrets: Sequence[str] = field(
        factory=tuple,
        metadata=each(
            text(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", "names of Secrets", "give the names of Secrets in the namespace")
        ),
    )
    """The Secrets with which images are pulled, for every pod (``imagePullSecrets``). Default: none."""
    datastore: Datastore = field(
        metadata=instance(
            Datastore,
            "PostgreSQL(…), CockroachDB(…), MySQL(…), Spanner(…) or Memory()",
            "choose one; Memory() is for trying SpiceDB out",
            shown=False,
        )
    )
    """Where relationships are kept. Required: no default is safe in production."""
    preshared_key: SecretKey = field(
        default=Factory(_own_secret, takes_self=True), metadata=secret_key("the preshared key")
    )
    """The Secret key that holds the API key of clients (``--grpc-preshared-key``). Default: ``preshared-key`` in the
    Secret that has the release's name."""
    delivery: Delivery = field(
        default=Delivery.HELM,
        metadata=instance(
            Delivery,
            "Delivery.HELM, Delivery.ARGOCD or Delivery.KUBECTL",
            "import Delivery and use one of its members",
        ),
    )
    """Who applies the manifests. Default: Helm."""
    server: ServerProps = field(
        factory=ServerProps, metadata=instance(ServerProps, "ServerProps(…)", "write server=ServerProps(…)")
    )
    """The servers. Default: two, with dispatch between them."""
    migration: MigrationProps = field(
        factory=MigrationProps,
        metadata=instance(MigrationProps, "MigrationProps(…)", "write migration=MigrationProps(…)"),
    )
    """The migration. Default: to the head of the version, before each install and upgrade."""
    cleanup: CleanupProps = field(
        factory=CleanupProps, metadata=instance(CleanupProps, "CleanupProps(…)", "write cleanup=CleanupProps(…)")
    )
    """The clean-up. Default: removes the finished migration after each install and upgrade, where there are hooks."""
    service_account_annotations: Mapping[str, str] = field(factory=dict, metadata=annotations_check())
    """Annotations of the ServiceAccounts of servers and migration, for workload identity, for instance
    ``{"eks.amazonaws.com/role-arn": "arn:…"}``. Default: none."""
    labels: Mapping[str, str] = field(factory=dict, metadata=labels_check())
    """Labels of every object beside this package's own; pods have ``pod_labels``. Default: none."""
    annotations: Mapping[str, str] = field(factory=dict, metadata=annotations_check())
    """Annotations of every object; pods have ``pod_annotations``. Default: none."""
    releases: ReleaseTable = field(
        factory=known_releases,
        metadata=instance(
            ReleaseTable, "a ReleaseTable", "extend the known one: known_releases().with_release('v1.99.0', {})"
        ),
    )
    """What is known of SpiceDB's releases. Default: the table of this package."""

    @property
    def full_image(self) -> str:
        """The image of servers and migration, with its tag or digest."""
        image = self.image or "ghcr.io/authzed/spicedb"
        return image if has_digest(image) or image_tag(image) else f"{image}:{self.version}"

    @property
    def replicas(self) -> int:
        """How many servers run."""
        return self.server.replicas or min(DEFAULT_REPLICAS, self.datastore.most_replicas or DEFAULT_REPLICAS)

    @property
    def dispatches(self) -> bool:
        """Whether servers share the work of a request."""
        if self.server.dispatch_enabled is None:
            return self.datastore.most_replicas != 1
        return self.server.dispatch_enabled

    @property
    def migrates(self) -> bool:
        """Whether the release has a migration."""
        return self.datastore.migrates and self.migration.enabled

    @property
    def cleans_up(self) -> bool:
        """Whether the release has a clean-up."""
        return self.migrates and (self.delivery.has_hooks if self.cleanup.enabled is None else self.cleanup.enabled)

    @property
    def migration_ttl_seconds(self) -> int | None:
        """How long a migration that ended is kept; None where the clean-up, or the next release, removes it."""
        return self.migration.ttl_seconds_after_finished or self.delivery.migration_ttl_seconds

    @property
    def progress_deadline_seconds(self) -> int | None:
        """How long the servers' roll-out may stand still, where that is not Kubernetes' default."""
        if not self.migrates:
            return None
        return self.delivery.progress_deadline_seconds(self.migration.active_deadline_seconds)

    @property
    def service_account(self) -> str:
        """The ServiceAccount of the servers."""
        return self.server.service_account or self.name

    @property
    def migration_service_account(self) -> str | None:
        """The ServiceAccount of the migration; None: the namespace's default one, without a token."""
        own = object_name(self.name, Component.MIGRATION) if self.migration_identity else None
        return self.migration.service_account or own

    @property
    def allowed_migrations(self) -> Sequence[str]:
        """The revisions besides its own head on which a server starts."""
        if self.server.allowed_migrations is not None:
            return self.server.allowed_migrations
        return self.releases.allowed_migrations(self.datastore.engine, self.version)

    @property
    def migration_identity(self) -> Mapping[str, str]:
        """The annotations of the migration's own ServiceAccount; without any it has none."""
        if self.migration.service_account:
            return {}
        own = self.migration.service_account_annotations
        return self.service_account_annotations if own is None else own

    def at(self, step: UpgradeStep) -> SpiceDBProps:
        """These props as a step of a plan wants them: its version, migration, schema mode and phase.

        The image follows: its tag is the step's version. Where the step's version has the flag,
        ``server.allowed_migrations`` stays as it is set, and so does ``server.schema_mode`` in a plan without modes.
        Raises `InvalidProps` with every problem of these props, among them an image with a digest, or with a tag that
        does not begin with ``version``: each step needs one of its own.
        """
        return props_at(self, step)

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

    @rule("datastore", "server")
    def _servers_share_data(self) -> Iterator[Problem]:
        most = self.datastore.most_replicas
        if most is None:
            return
        if self.server.replicas is not None and self.server.replicas > most:
            yield Problem(
                "server.replicas",
                show(self.server.replicas),
                f"at most {most} with the {self.datastore.engine} engine",
                "leave it out, or choose a datastore that servers can share",
            )
        if self.server.dispatch_enabled:
            yield Problem(
                "server.dispatch_enabled",
                "True",
                f"False or None with the {self.datastore.engine} engine",
                "leave it out: there is no other server to dispatch to",
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


def require_migration(props: SpiceDBProps) -> None:
    """Raises `InvalidProps` unless the props are sound and have something to migrate."""
    require(props)
    if not props.datastore.migrates:
        engine = props.datastore.engine
        allowed, fix = "an engine with a schema to migrate", "choose PostgreSQL, CockroachDB, MySQL or Spanner"
        raise InvalidProps(type(props).__name__, [Problem("datastore", engine, allowed, fix)])


def require_cleanup(props: SpiceDBProps) -> None:
    """Raises `InvalidProps` unless the props are sound and there is a finished migration to remove."""
    require_migration(props)
    if not props.delivery.has_hooks:
        allowed, fix = "one with hooks", "choose Delivery.HELM or Delivery.ARGOCD, or leave the clean-up out"
        raise InvalidProps(type(props).__name__, [Problem("delivery", show(props.delivery), allowed, fix)])
