"""Settings of the migration."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any, Literal

from annotated_types import Interval, Unit
from attrs import field, frozen

from ..delivery import MIGRATION, MIGRATION_WITH_RELEASE, Hook
from .fields import Message, Pattern, as_member
from .flags import Flag
from .pod import PodProps, Resources, default_resources
from .secrets import CA, SecretKey, ServiceAccountName, as_ca, as_secret_key, name_of
from .types import (
    Annotations,
    Argument,
    Count,
    DNSName,
    LogLevel,
    ObjectName,
    PinnedImage,
    Revision,
    Seconds,
    Week,
)

RETRIES = {True: 3, False: 10}
"""Default number of retries of a migration, by whether it is a hook."""


class MigrationPhase(Enum):
    """A phase of a migration in several steps, for ``migrate --phase``."""

    WRITE = "write"
    """The new schema is written in addition to the old one."""
    READ = "read"
    """The new schema is read."""
    COMPLETE = "complete"
    """The old schema is gone."""


def _as_phase(phase: MigrationPhase | Literal["write", "read", "complete"] | None) -> Any:
    return as_member(MigrationPhase, phase)


@frozen(kw_only=True)
class MigrationProps(PodProps):
    """The Job that migrates the datastore before the servers of a new version start."""

    enabled: bool = True
    """Whether the release migrates the datastore. Defaults to True. Disable it if you migrate in another way. Also
    disable it to install an older SpiceDB on a newer schema, because the older migration would fail."""
    hook: bool = True
    """Whether the migration is a hook that runs before the release's own objects: ``pre-install,pre-upgrade`` in Helm,
    ``PreSync`` in Argo CD. Defaults to True, so that nothing changes if the migration fails. Set it to False if the
    release also installs the database or the Secrets, which a hook would not find. Then the migration is a Job of the
    release, and new servers become ready when it is done. In Argo CD, it is a ``Sync`` hook in wave 1, and the servers
    are in wave 2. ``Delivery.KUBECTL`` has no hooks."""
    target_migration: Annotated[Revision, Message("a migration revision, or 'head'")] | None = None
    """Revision at which the migration stops. Defaults to ``head``, the newest revision that the version knows. Servers
    start only on their own head and on ``ServerProps.allowed_migrations``. You get a warning if the target is not among
    them. If you also set ``target_phase``, SpiceDB gets both, the target first."""
    allow_unknown_target: bool = False
    """Accepts a ``target_migration`` that this package does not know for the version and engine, such as one of a fork
    of SpiceDB. Defaults to False, because a misspelled revision would fail only in the cluster."""
    target_phase: Annotated[MigrationPhase, Flag("phase", computed=True)] | None = field(
        default=None, converter=_as_phase
    )
    """Phase of the migration (``--phase``): ``write``, ``read`` or ``complete``. No released SpiceDB has that flag: you
    get a warning, and the Job fails. SpiceDB's own phases are settings of the servers: ``schema_mode`` and
    ``datastore_migration_phase``. Defaults to none."""
    log_level: LogLevel | None = None
    """Minimum level of logged messages (``--log-level``). Defaults to the log level of the servers."""
    migration_timeout: Annotated[Week, Flag("migration-timeout")] | None = None
    """Time after which SpiceDB itself stops the migration and reports an error (``--migration-timeout``, SpiceDB 1.9
    and later). If you set it, it must be less than ``active_deadline_seconds``. Defaults to SpiceDB's default of 1 h.
    By default, ``active_deadline_seconds`` is shorter and ends the migration first. If a migration may take longer
    than 1 h, raise both limits."""
    backfill_batch_size: (
        Annotated[int, Unit("rows"), Interval(ge=1, le=10_000_000), Flag("migration-backfill-batch-size")] | None
    ) = None
    """Number of rows that a data migration moves at a time (``--migration-backfill-batch-size``, SpiceDB 1.14 and
    later). Defaults to 1000, as in SpiceDB. In a measurement, 100 rows took 1.7 times as
    long, and 10,000 rows were not faster. With more rows, locks are held longer."""
    datastore_uri: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold a connection URI for the migration only. Use the credentials of the schema's owner, so
    that the servers need no right to change tables. Defaults to the servers' connection."""
    service_account_annotations: Annotations | None = None
    """Annotations of the migration's own ServiceAccount, for workload identity. This ServiceAccount is a hook that runs
    before the migration. Defaults to ``SpiceDBProps.service_account_annotations``."""
    service_account: ServiceAccountName | None = field(default=None, converter=name_of)
    """ServiceAccount for the migration, by name or as a cdk8s-plus object. It must exist before you install the
    release. Defaults to the first of these that applies: ``NAME-migration``, if ``service_account_annotations`` has
    annotations for it; your own ServiceAccount for the servers, so that both have the same identity;
    ``NAME-migration``, if you set a ``credentials_provider``; the ServiceAccount ``default`` of the namespace. The
    migration gets no API token."""
    backoff_limit: Annotated[int, Interval(ge=0, le=100)] | None = None
    """Number of retries of a failed migration (``backoffLimit``). Defaults to 3, which is enough while a database
    starts. If ``hook`` is False, defaults to 10, because the database is only being installed:
    ``active_deadline_seconds`` then ends the migration."""
    active_deadline_seconds: Annotated[int, Unit("seconds"), Interval(ge=1, le=604_800)] = 600
    """Time limit of the migration with its retries, in seconds (``activeDeadlineSeconds``). Defaults to 600. Set
    ``helm --timeout`` higher: it defaults to 5 minutes."""
    ttl_seconds_after_finished: Annotated[int, Unit("seconds"), Interval(ge=60, le=31_536_000)] | None = None
    """Time after which Kubernetes deletes a finished migration, in seconds (``ttlSecondsAfterFinished``). Only for a
    migration that is no hook: the clean-up or the next release deletes a hook. Defaults to one day with
    ``Delivery.KUBECTL``, so that you can read the log. Flux creates a deleted Job again, which then has nothing to do.
    Defaults to none with Helm: an upgrade that changes the Job deletes the old one."""
    restart_policy: Literal["OnFailure", "Never"] = "OnFailure"
    """``OnFailure`` retries in the same pod. After the last retry, Kubernetes deletes the pod and its log. ``Never``
    starts a new pod for each retry, and keeps failed pods with their logs, so that Helm can print the logs. Defaults to
    ``OnFailure``. Use ``Never`` in production."""
    extra_args: Sequence[Argument] = ()
    """More arguments of ``spicedb migrate``, for flags that no prop sets. A flag that a prop sets, or that the release
    does not have, is an error. Defaults to none."""
    resources: Resources = default_resources("100m", "128Mi", limits=("1", "512Mi"))
    """Resources of the migration. Defaults to requests of 100m CPU, 128Mi memory and 64Mi disk for logs, and limits of
    1 CPU, 512Mi memory and 1Gi disk, because the database does most of the work."""

    @property
    def moment(self) -> Hook:
        """When it runs."""
        return MIGRATION if self.hook else MIGRATION_WITH_RELEASE

    @property
    def retries(self) -> int:
        """Number of retries."""
        return RETRIES[self.hook] if self.backoff_limit is None else self.backoff_limit

    @property
    def target(self) -> str:
        """Revision at which the migration stops."""
        return self.target_migration or "head"

    @property
    def helm_timeout(self) -> str:
        """A ``--timeout`` for Helm that is longer than the migration may take, so that Helm reports its error."""
        return f"{self.active_deadline_seconds // 60 + 1}m"


@frozen(kw_only=True)
class CleanupProps(PodProps):
    """The Job that deletes the finished migration Job when the new servers are up."""

    enabled: bool | None = None
    """Whether to delete a finished migration. Defaults to True. If False, the Job stays until the next release. With
    ``Delivery.KUBECTL``, it defaults to False, because Kubernetes deletes the Job itself
    (``MigrationProps.ttl_seconds_after_finished``). With Helm and ``MigrationProps.hook`` False, it also defaults to
    False, because the Job belongs to the release."""
    image: PinnedImage = "registry.k8s.io/kubectl:v1.34.4"
    """Image with ``kubectl`` on its path, by tag or digest. Defaults to the official image, which has no shell. Its
    kubectl may be one minor version older or newer than the cluster."""
    active_deadline_seconds: Seconds = 120
    """Time limit of the clean-up, in seconds (``activeDeadlineSeconds``). Defaults to 120, enough for one API call and
    the pull of an image."""
    resources: Resources = default_resources("10m", "32Mi", limits=("1", "128Mi"))
    """Resources of the clean-up. Defaults to requests of 10m CPU, 32Mi memory and 64Mi disk for logs, and limits of 1
    CPU, 128Mi memory and 1Gi disk. Helm waits for the clean-up, and kubectl is slow to start with less CPU."""


_SchemaName = Annotated[
    str,
    Pattern(
        r"([a-z][a-z0-9_]{1,61}[a-z0-9]/)*[a-z][a-z0-9_]{1,62}[a-z0-9]",
        "a name in the schema: lower-case letters, digits and '_'",
    ),
    Message(fix="use a name such as 'document'"),
]
ConfigMapItem = Annotated[
    str,
    Pattern(r"[-._a-zA-Z0-9]+", "a key of that ConfigMap: letters, digits, '-', '_' and '.', at most 253"),
    Message(fix="use the key under which the ConfigMap holds the schema"),
]
_SchemaText = Annotated[
    str,
    Pattern(r"[\s\S]*\S[\s\S]*", "the schema, not empty", max_length=900_000),
    Message(fix="use its text{, such as Path('schema.zed').read_text()|, as a block of YAML}"),
]


@frozen(kw_only=True)
class ClientProps(PodProps):
    """Settings of Jobs that connect to the servers."""

    image: PinnedImage = "ghcr.io/authzed/zed:v1.2.0"
    """Image with ``zed`` on its path, by tag or digest. Defaults to the official image, which has no shell."""
    ca: Annotated[CA, Flag("certificate-path")] | None = field(default=None, converter=as_ca)
    """Secret or ConfigMap, and key, that hold the CA certificates (PEM) that verify the servers' gRPC certificate, if
    gRPC has TLS (``--certificate-path``). Defaults to the public CAs in the image."""
    hostname: Annotated[DNSName, Flag("hostname-override")] | None = None
    """DNS name that the servers' gRPC certificate must have (``--hostname-override``). Defaults to the Service's
    name."""
    active_deadline_seconds: Seconds = 300
    """Time limit of the Job, in seconds (``activeDeadlineSeconds``). With ``Delivery.KUBECTL``, the Job also waits for
    the migration, so the migration's time limit is added. Defaults to 300, enough for a few calls and the pull of an
    image."""
    resources: Resources = default_resources("10m", "32Mi", limits=("500m", "128Mi"))
    """Resources of the Job. Defaults to requests of 10m CPU, 32Mi memory and 64Mi disk for logs, and limits of 500m
    CPU, 128Mi memory and 1Gi disk."""


@frozen(kw_only=True)
class SchemaProps(ClientProps):
    """A SpiceDB schema that a Job writes after each install and upgrade, when the servers are up.

    Do not let the servers load it with SpiceDB's bootstrap files. With a persistent datastore, these files stop the
    second server that starts, or delete all data. Writing the same schema again changes nothing. If relationships still
    use what a new schema no longer has, the servers reject that schema. The release then fails with the reason.
    """

    text: _SchemaText | None = None
    """Text of the schema. Defaults to none: set it, or ``config_map``."""
    config_map: ObjectName | None = None
    """Existing ConfigMap that holds the schema, such as one that your own chart or pipeline makes. Defaults to none:
    with ``text``, the release has its own. With hooks, the Job writes what the ConfigMap holds at each install and
    upgrade. With ``Delivery.KUBECTL``, the Job does not run again if only the content of the ConfigMap changes. So give
    the ConfigMap a new name each time you change its content, as kustomize's ``configMapGenerator`` does."""
    config_map_key: ConfigMapItem = "schema.zed"
    """Key in ``config_map``. Defaults to ``schema.zed``."""


@frozen(kw_only=True)
class PermissionTest(ClientProps):
    """A Job that ``helm test`` runs. It checks permissions as clients do, on objects that do not exist.

    If servers dispatch, it makes enough checks that some are dispatched. The test passes if every check gets an answer.
    It does not matter whether the answer is yes or no.
    """

    resource: _SchemaName
    """Resource type in the schema, such as ``document``. Required."""
    permission: _SchemaName
    """Permission of that type, such as ``read``. Required."""
    subject: _SchemaName
    """Subject type, such as ``user``. Required."""
    checks: Count = 16
    """Number of checks. Each one runs in a pod of its own and checks another resource. Defaults to 16: with two servers
    that dispatch, only one run in 65,000 then dispatches nothing."""
