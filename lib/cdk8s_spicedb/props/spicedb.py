"""One SpiceDB: what its servers, its migration and its clean-up have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import Factory, field, frozen

from ..checks import each, flag, instance, one_of, optional, passes, show, text
from ..datastore.base import Datastore
from ..delivery import Delivery
from ..errors import InvalidProps, Problem
from ..labels import LONGEST_NAME, Component, annotations_check, labels_check, object_name
from ..releases import ReleaseTable, known_releases, version_check
from ..secret import SecretKey, required_secret_key, secret_key
from .availability import DEFAULT_REPLICAS
from .cleanup import CleanupProps
from .image import has_digest, image_check, image_tag
from .migration import MigrationProps
from .monitoring import Monitoring
from .rules import Rules
from .server import ServerProps
from .step import props_at

if TYPE_CHECKING:
    from ..upgrade import UpgradeStep
    from .client import PermissionTest, SchemaProps
    from .network import NetworkPolicies
    from .patch import Patch


def _newest() -> str:
    return known_releases().newest


def _as_secret_keys(keys: object) -> object:
    # What is no sequence is left to the check.
    return tuple(map(required_secret_key, keys)) if isinstance(keys, (list, tuple)) else keys


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
class SpiceDBProps(Rules):
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
    image_pull_policy: str | None = field(default=None, metadata=optional(one_of("Always", "IfNotPresent", "Never")))
    """When nodes pull images (``imagePullPolicy``), for every pod. Default: Kubernetes' own, ``IfNotPresent`` for an
    image with a tag: with ``Always`` no server starts while the registry is away."""
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
        default=Factory(_own_secret, takes_self=True),
        converter=required_secret_key,
        metadata=secret_key("the preshared key"),
    )
    """The Secret key that holds the API key of clients (``--grpc-preshared-key``). Default: ``preshared-key`` in the
    Secret that has the release's name."""
    other_preshared_keys: Sequence[SecretKey] = field(
        factory=tuple,
        converter=_as_secret_keys,
        metadata=each(secret_key("each preshared key")),
    )
    """The Secret keys of more API keys that clients may use; servers use ``preshared_key`` among themselves. With them
    a key is replaced in three roll-outs that lose no request: the new one here; the new one as ``preshared_key`` and
    the old one here, whereupon clients change over; then the new one alone. No key may hold a ``,`` or a ``"``, which
    is where SpiceDB takes a list apart. Default: none."""
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
    network_policies: NetworkPolicies | None = field(
        default=None,
        metadata=optional(
            instance(
                f"{__package__}.network:NetworkPolicies",
                "NetworkPolicies(…)",
                "write network_policies=NetworkPolicies(clients=[…])",
            )
        ),
    )
    """NetworkPolicies for all pods of the release. Default: none, because only the user knows who the clients are."""
    monitoring: Monitoring = field(
        factory=Monitoring,
        metadata=instance(Monitoring, "Monitoring(…)", "write monitoring=Monitoring(pod_monitor=PodMonitor())"),
    )
    """Objects for Prometheus and Grafana. Default: none."""
    schema: SchemaProps | None = field(
        default=None,
        metadata=optional(
            instance(
                f"{__package__}.client:SchemaProps",
                "SchemaProps(text=…)",
                "write schema=SchemaProps(text='definition …')",
            )
        ),
    )
    """A schema that is written after each install and upgrade. Default: none; applications write their own."""
    test: PermissionTest | None = field(
        default=None,
        metadata=optional(
            instance(
                f"{__package__}.client:PermissionTest",
                "PermissionTest(resource=…, permission=…, subject=…)",
                "write test=PermissionTest(resource='document', permission='read', subject='user')",
            )
        ),
    )
    """What ``helm test`` checks. Default: nothing, because a check needs names from the schema."""
    openshift: bool = field(default=False, metadata=flag())
    """Leaves users and groups of pods to OpenShift, which gives each namespace its own. Default: off; pods run as the
    user of SpiceDB's image, 65532."""
    patches: Sequence[Patch] = field(
        factory=tuple,
        metadata=each(
            instance(
                f"{__package__}.patch:Patch",
                "a Patch(kind=…, operations=[…])",
                "write Patch(kind='Deployment', operations=[…])",
            )
        ),
    )
    """Changes to the objects of the release, for what has no prop. Default: none."""
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
        """How many servers run; with an autoscaler, at least."""
        if self.server.autoscaling:
            return self.server.autoscaling.min_replicas
        return self.server.replicas or min(DEFAULT_REPLICAS, self.datastore.most_replicas or DEFAULT_REPLICAS)

    @property
    def most_replicas(self) -> int:
        """How many servers run at most, apart from roll-outs."""
        return self.server.autoscaling.max_replicas if self.server.autoscaling else self.replicas

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
        return str(self.server.service_account or self.name)

    @property
    def migration_service_account(self) -> str | None:
        """The ServiceAccount of the migration; None: the namespace's default one, without a token."""
        own = object_name(self.name, Component.MIGRATION) if self.migration_identity else None
        given = self.migration.service_account
        return str(given) if given else own

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


def require_migration(props: SpiceDBProps) -> None:
    """Raises `InvalidProps` unless sound props have something to migrate."""
    if not props.datastore.migrates:
        engine = props.datastore.engine
        allowed, fix = "an engine with a schema to migrate", "choose PostgreSQL, CockroachDB, MySQL or Spanner"
        raise InvalidProps(type(props).__name__, [Problem("datastore", engine, allowed, fix)])


def require_cleanup(props: SpiceDBProps) -> None:
    """Raises `InvalidProps` unless with sound props there is a finished migration to remove."""
    require_migration(props)
    if not props.delivery.has_hooks:
        allowed, fix = "one with hooks", "choose Delivery.HELM or Delivery.ARGOCD, or leave the clean-up out"
        raise InvalidProps(type(props).__name__, [Problem("delivery", show(props.delivery), allowed, fix)])
