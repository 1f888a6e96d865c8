"""Settings of one SpiceDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

import attrs
from attrs import Factory, field, frozen

from ..delivery import Delivery, DeliveryName
from ..errors import InvalidProps, Problem
from ..labels import Component, object_name
from ..versions import ALLOWED_MIGRATIONS, ReleaseTable, known_releases, version_order
from .backup import OLDEST, BackupProps
from .datastores.base import Datastore
from .fields import Message, Opaque, as_member, problems, type_of
from .fieldtypes import show
from .flags import PRESHARED_KEY, Flag, flagged
from .jobs import CleanupProps, MigrationProps, PermissionTest, SchemaProps
from .monitoring import Monitoring
from .network import NetworkPolicies
from .patch import Patch
from .pod import PodSettings, combined
from .secrets import MadeName, SecretKey, as_secret_keys, required_secret_key
from .server import DEFAULT_REPLICAS, DRAIN_DELAY, SCHEMA_MODE, ServerProps
from .types import Annotations, Image, Labels, ObjectName, PullPolicy, ReleaseName, Version
from .upgrade_backup import UpgradeBackup


def image_parts(image: str) -> tuple[str, str | None, str | None]:
    """Repository, tag and digest of an image reference."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return (name.removesuffix(f":{tag}") if tag else name), tag or None, digest or None


def image_at(image: str, version: str, other: str) -> str | None:
    """The same image at another version. None if its tag does not begin with the version."""
    repository, tag, digest = image_parts(image)
    if digest or not (tag is None or tag == version or tag.startswith(f"{version}-")):
        return None
    return image if tag is None else f"{repository}:{other}{tag.removeprefix(version)}"


def number_of(share: int | str, servers: int) -> int:
    """A number of servers. Kubernetes rounds a percentage up when it starts more."""
    return share if isinstance(share, int) else -(-int(share.rstrip("%")) * servers // 100)


def _as_delivery(delivery: Delivery | DeliveryName) -> Any:
    return as_member(Delivery, delivery)


def _own_secret(props: SpiceDBProps) -> SecretKey:
    # An invalid name must not make the key invalid as well.
    return SecretKey(props.name if type_of(ReleaseName).accepts(props.name) else "spicedb", "preshared-key")


class Step(Protocol):
    """What a step of an upgrade sets. See `cdk8s_spicedb.UpgradeStep`."""

    @property
    def version(self) -> str: ...
    @property
    def target_migration(self) -> str | None: ...
    @property
    def schema_mode(self) -> str | None: ...
    @property
    def datastore_migration_phase(self) -> str | None: ...
    @property
    def allowed_migrations(self) -> Sequence[str]: ...


@frozen(kw_only=True)
class SpiceDBProps:
    """One SpiceDB. Only the datastore is required."""

    name: ReleaseName = "spicedb"
    """Name of the Deployment, Service and ServiceAccount, and the value of the label ``app.kubernetes.io/instance``.
    Defaults to ``spicedb``. A second SpiceDB in the namespace needs another name. If you change the name later, every
    object is replaced."""
    version: Version = field(factory=lambda: known_releases().newest)
    """SpiceDB version, such as ``v1.57.1``. Defaults to the newest release that this version of the package knows. Set
    it, so that an update of the package does not update SpiceDB."""
    image: Image | None = None
    """Image of servers and migration. If it has neither tag nor digest, its tag is ``version``. Defaults to
    ``ghcr.io/authzed/spicedb``, which has no pull limits for anonymous users."""
    image_pull_policy: PullPolicy | None = None
    """Image pull policy of all pods (``imagePullPolicy``). Defaults to the default of Kubernetes, which is
    ``IfNotPresent`` for an image with a tag. With ``Always``, no server starts while the registry is unavailable."""
    image_pull_secrets: Sequence[
        Annotated[ObjectName, Message("names of Secrets", "use the names of Secrets in the namespace")]
    ] = ()
    """Image pull Secrets of all pods (``imagePullSecrets``). Defaults to none."""
    datastore: Datastore
    """Database in which SpiceDB keeps its schema and relationships. Required, because no default is safe in
    production."""
    preshared_key: Annotated[SecretKey, Flag(PRESHARED_KEY)] = field(
        default=Factory(_own_secret, takes_self=True), converter=required_secret_key
    )
    """Secret and key that hold the API key of clients (``--grpc-preshared-key``). Defaults to the key ``preshared-key``
    in the Secret that has the same name as this SpiceDB."""
    other_preshared_keys: Sequence[SecretKey] = field(factory=tuple, converter=as_secret_keys)
    """Secrets and keys that hold more API keys for clients. Servers use ``preshared_key`` among themselves. To replace
    a key without a lost request, roll out three times. First, add the new key here. Second, make it the
    ``preshared_key`` and move the old key here; then change the clients. Third, remove the old key. A key must not
    contain ``,`` or ``"``, because SpiceDB reads all keys as one list, in which these characters have a meaning.
    Defaults to none."""
    delivery: Delivery = field(default=Delivery.HELM, converter=_as_delivery)
    """Tool that applies the manifests: ``helm``, ``argocd`` or ``kubectl``. Defaults to Helm."""
    pods: PodSettings = field(factory=PodSettings)
    """Settings of all pods: labels, placement, volumes, containers, variables. Each kind of pod can add its own.
    Defaults to none."""
    server: ServerProps = field(factory=ServerProps)
    """Settings of the servers. Defaults to two servers."""
    migration: MigrationProps = field(factory=MigrationProps)
    """Settings of the migration. Defaults to a migration to the newest revision that ``version`` knows, before each
    install and upgrade."""
    cleanup: CleanupProps = field(factory=CleanupProps)
    """Settings of the clean-up. Defaults to a Job that deletes the finished migration Job after each install and
    upgrade, if ``delivery`` is ``helm`` or ``argocd``, which have hooks."""
    hook_logs: bool | None = None
    """Lets Helm print the logs of hooks: of the migration always, and of the others if they fail
    (``helm.sh/hook-output-log-policy``). Flux's helm-controller crashes if a hook has this annotation (seen in v1.6.1),
    so disable it there. Defaults to True. A written chart finds out by itself whether Helm or Flux installs it."""
    network_policies: NetworkPolicies | None = None
    """NetworkPolicies for all pods of the release. Defaults to none, because only you know the clients."""
    monitoring: Monitoring = field(factory=Monitoring)
    """Objects for Prometheus and Grafana. Defaults to none."""
    schema: SchemaProps | None = None
    """SpiceDB schema that a Job writes after each install and upgrade. Defaults to none: applications write their
    own."""
    test: PermissionTest | None = None
    """Permission checks that ``helm test`` runs. Defaults to none, because they need names from your schema."""
    backup: BackupProps | None = None
    """Backups on a schedule, by a CronJob that writes them to a volume. Defaults to none, because only you know where
    your backups belong."""
    rbac_create: bool = True
    """Creates Roles and RoleBindings: one for servers that dispatch, and one for the clean-up. Defaults to on.
    If you have no permission to create Roles and RoleBindings, set this to False, and ask a cluster administrator to
    create them first. The security documentation shows what they contain."""
    openshift: bool = False
    """Lets OpenShift choose the users and groups of pods, from the range of the namespace. Defaults to off: pods run as
    user 65532, the user of SpiceDB's image."""
    patches: Sequence[Patch] = ()
    """Changes to the objects of the release, for settings that have no prop. Defaults to none."""
    service_account_annotations: Annotations = field(factory=dict)
    """Annotations of the ServiceAccounts of servers and migration, for workload identity, such as
    ``{"eks.amazonaws.com/role-arn": "arn:…"}``. Defaults to none."""
    labels: Labels = field(factory=dict)
    """Labels of every object except pods, in addition to the ones that this package sets. For pods, use ``pod_labels``.
    Defaults to none."""
    annotations: Annotations = field(factory=dict)
    """Annotations of every object except pods. For pods, use ``pod_annotations``. Defaults to none."""
    accept_advisories: Sequence[str] = ()
    """Names of advisories that you accept, such as ``GHSA-jf7w-wx43-32gc``: you get no warning about them, and
    ``check`` does not fail because of them. Defaults to none. `cdk8s-spicedb releases` lists all advisories."""
    upgrade_backup: UpgradeBackup | None = None
    """Backup that the command `upgrade` makes before each step that may be impossible to roll back. It is not part
    of the release, and changes no manifest. Defaults to none: `upgrade` then makes a backup through SpiceDB's API."""
    releases: Annotated[
        ReleaseTable,
        Opaque,
        Message("a ReleaseTable", "extend the known one: known_releases().with_release('v1.99.0', {})"),
    ] = field(factory=known_releases)
    """Table of SpiceDB's releases: their migrations and flags. Defaults to the table of this package."""

    def __hash__(self) -> int:
        # The mappings in the other fields have no hash.
        return hash((self.name, self.version))

    @property
    def full_image(self) -> str:
        """Image of servers and migration, with its tag or digest."""
        image = self.image or "ghcr.io/authzed/spicedb"
        _, tag, digest = image_parts(image)
        return image if tag or digest else f"{image}:{self.version}"

    @property
    def replicas(self) -> int:
        """Number of servers; with an autoscaler, the minimum."""
        if self.server.autoscaling:
            return self.server.autoscaling.min_replicas
        return self.server.replicas or min(DEFAULT_REPLICAS, self.datastore.max_replicas or DEFAULT_REPLICAS)

    @property
    def max_replicas(self) -> int:
        """Maximum number of servers, apart from roll-outs."""
        return self.server.autoscaling.max_replicas if self.server.autoscaling else self.replicas

    @property
    def roll_out_replicas(self) -> int:
        """Maximum number of servers with connections in a roll-out: desired ones, the surge, and those that drain."""
        surge = number_of(self.max_surge, self.max_replicas)
        unavailable = number_of(self.server.max_unavailable, self.max_replicas)
        return min(self.max_replicas + surge + max(surge, 1) + unavailable, 2 * self.max_replicas)

    @property
    def max_surge(self) -> int | str:
        """Maximum number or percentage of additional servers in a roll-out."""
        if self.server.max_surge is not None:
            return self.server.max_surge
        servers, allowed = self.max_replicas, self.datastore.max_servers
        if allowed is None or allowed >= 2 * servers:
            return "50%"
        # A new server starts while an old one drains, so each one counts twice.
        return max((allowed - servers - number_of(self.server.max_unavailable, servers)) // 2, 1)

    @property
    def dispatches(self) -> bool:
        """Whether servers share the work of a request."""
        enabled: bool | None = self.server.dispatch_enabled
        return self.server.dispatch_tls is not None if enabled is None else enabled

    @property
    def migrates(self) -> bool:
        """Whether the release has a migration."""
        return self.datastore.migrates and self.migration.enabled

    @property
    def cleans_up(self) -> bool:
        """Whether the release has a clean-up."""
        return self.migrates and (self.migrates_first if self.cleanup.enabled is None else self.cleanup.enabled)

    @property
    def migrates_first(self) -> bool:
        """Whether a hook migrates, so that the migration has ended before the servers change."""
        return self.delivery.has(self.migration.moment)

    @property
    def migration_ttl_seconds(self) -> int | None:
        """Time that a finished migration is kept. None: the clean-up or the next release deletes it."""
        return self.migration.ttl_seconds_after_finished or self.delivery.migration_ttl_seconds

    @property
    def progress_deadline_seconds(self) -> int | None:
        """Time that the servers' roll-out may make no progress. None: Kubernetes' default."""
        if not self.migrates:
            return None
        migration = self.migration
        return self.delivery.progress_deadline_seconds(migration.moment, migration.active_deadline_seconds)

    @property
    def given_service_account(self) -> str | None:
        """ServiceAccount of the servers that exists before the release. None: the release has its own."""
        return self.server.service_account or self.pods.service_account

    @property
    def service_account(self) -> str:
        """ServiceAccount of the servers."""
        return str(self.given_service_account or self.name)

    @property
    def migration_has_account(self) -> bool:
        """Whether the migration has a ServiceAccount of its own, which the release creates."""
        if self.migration.service_account or self.migration_identity:
            return self.migration.service_account is None
        # The servers' ServiceAccount does not exist yet when the migration runs.
        unnamed = self.given_service_account is None and self.migration.service_account_annotations is None
        return unnamed and self.datastore.needs_identity

    @property
    def migration_service_account(self) -> str | None:
        """ServiceAccount of the migration. None: the namespace's default, without a token."""
        if self.migration_has_account:
            return object_name(self.name, Component.MIGRATION)
        found = self.migration.service_account or self.given_service_account
        # With hooks, the migration runs before the app's own objects exist.
        exists = not (self.delivery.has_hooks and isinstance(found, MadeName))
        return str(found) if found and exists else None

    def pods_of(self, component: Component) -> PodSettings:
        """The settings of a component's pods, with those of all pods."""
        parts: Mapping[Component, PodSettings | None] = {
            Component.SERVER: self.server,
            Component.MIGRATION: self.migration,
            Component.CLEANUP: self.cleanup,
            Component.SCHEMA: self.schema,
            Component.TEST: self.test,
            Component.BACKUP: self.backup,
        }
        return combined(self.pods, parts[component] or PodSettings())

    @property
    def allowed_migrations(self) -> Sequence[str]:
        """Revisions on which a server starts, in addition to its own head."""
        if self.server.allowed_migrations is not None:
            return self.server.allowed_migrations
        return self.releases.allowed_migrations(self.datastore.engine, self.version)

    @property
    def migration_identity(self) -> Mapping[str, str]:
        """Annotations of the migration's own ServiceAccount. Without any, it has none."""
        if self.migration.service_account:
            return {}
        own = self.migration.service_account_annotations
        return self.service_account_annotations if own is None else own

    def at(self, step: Step) -> SpiceDBProps:
        """These props for a step of a plan: with its version, migration, schema mode and phase.

        The tag of the image becomes the step's version. If that version has the flag, ``server.allowed_migrations`` and
        ``server.shutdown_drain_delay`` keep their values, and so does ``server.schema_mode`` in a plan without modes.
        Settings of the datastore that the version ignores are left out.
        Raises `InvalidProps` with every problem of these props, among them an image with a digest, or with a tag that
        does not begin with ``version``: each step needs an image of its own.
        """
        found = list(problems(self))
        image = image_at(self.image, self.version, step.version) if isinstance(self.image, str) else None
        if self.image is not None and image is None and all(problem.field != "image" for problem in found):
            allowed = f"an image without a digest, with no tag or one that begins with {self.version}"
            fix = "use the image without a tag; its tag follows version"
            found.append(Problem("image", show(self.image), allowed, fix))
        if found:
            raise InvalidProps(type(self).__name__, found)

        def kept(flag: str, value: Any) -> Any:
            return value if self.releases.takes(flag, step.version) else None

        mode: Any = step.schema_mode or kept(SCHEMA_MODE, self.server.schema_mode)
        migrations = kept(ALLOWED_MIGRATIONS, self.server.allowed_migrations)
        server = attrs.evolve(
            self.server,
            schema_mode=mode,
            datastore_migration_phase=step.datastore_migration_phase,
            allowed_migrations=step.allowed_migrations if migrations is None else migrations,
            shutdown_drain_delay=kept(DRAIN_DELAY, self.server.shutdown_drain_delay),
        )
        migration = attrs.evolve(self.migration, target_migration=step.target_migration)
        ignored = {path: None for path, flag, _ in flagged(self.datastore) if not flag.works_at(step.version)}
        datastore = attrs.evolve(self.datastore, **ignored)
        backup = None if version_order(step.version) < version_order(OLDEST) else self.backup
        return attrs.evolve(
            self,
            version=step.version,
            image=image,
            datastore=datastore,
            server=server,
            migration=migration,
            backup=backup,
        )


def require_migration(props: SpiceDBProps) -> None:
    """Raises `InvalidProps` unless valid props have a migration."""
    if not props.datastore.migrates:
        allowed, fix = "an engine with a schema to migrate", "use PostgreSQL, CockroachDB, MySQL or Spanner"
        raise InvalidProps(type(props).__name__, [Problem("datastore", props.datastore.engine, allowed, fix)])
    if not props.migration.enabled:
        allowed, fix = "True for the construct Migration or Cleanup", "remove the construct, or enable the migration"
        raise InvalidProps(type(props).__name__, [Problem("migration.enabled", "False", allowed, fix)])


def require_cleanup(props: SpiceDBProps) -> None:
    """Raises `InvalidProps` unless valid props have a finished migration to delete."""
    require_migration(props)
    if not props.delivery.has_hooks:
        allowed, fix = "a delivery with hooks", "use Delivery.HELM or Delivery.ARGOCD, or leave out the clean-up"
        raise InvalidProps(type(props).__name__, [Problem("delivery", show(props.delivery), allowed, fix)])
    if not props.migrates_first:
        allowed, fix = "True for the construct Cleanup", "leave out the clean-up: the next release deletes the Job"
        raise InvalidProps(type(props).__name__, [Problem("migration.hook", "False", allowed, fix)])
    if props.cleanup.enabled is False:
        allowed, fix = "True or None for the construct Cleanup", "remove the construct, or enable the clean-up"
        raise InvalidProps(type(props).__name__, [Problem("cleanup.enabled", "False", allowed, fix)])
