"""The migration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import Enum

from attrs import field, frozen

from ..checks import duration, flag, instance, one_of, optional, rule, show, text, whole_number
from ..errors import Problem
from ..labels import annotations_check
from ..secret import SecretKey, as_secret_key, secret_key
from .account import account_name, service_account_check
from .pod import RESOURCES, PodProps, Resources, default_resources
from .server import log_level_check


class MigrationPhase(Enum):
    """A phase of a migration in several steps, as ``migrate --phase`` would take it."""

    WRITE = "write"
    """The new schema is written beside the old one."""
    READ = "read"
    """The new schema is read."""
    COMPLETE = "complete"
    """The old schema is gone."""


@frozen(kw_only=True)
class MigrationProps(PodProps):
    """The Job that migrates the datastore before the servers of a new version start."""

    enabled: bool = field(default=True, metadata=flag())
    """Whether the release migrates the datastore. Default: yes; switch it off where somebody else migrates, and on a
    release that goes back to an older version, which cannot run its migration on the newer schema."""
    target_migration: str | None = field(
        default=None,
        metadata=optional(
            text(r"[A-Za-z0-9][-_A-Za-z0-9]*", "a migration revision, or 'head'", "write it as SpiceDB does")
        ),
    )
    """The revision at which the migration stops. Default: ``head``, the last one that the version knows."""
    allow_unknown_target: bool = field(default=False, metadata=flag())
    """Takes a ``target_migration`` that this package does not know for this version and engine, as a fork of SpiceDB
    may have. Default: no, because a misspelt revision fails only in the cluster."""
    target_phase: MigrationPhase | None = field(
        default=None,
        metadata=optional(
            instance(
                MigrationPhase,
                "MigrationPhase.WRITE, MigrationPhase.READ or MigrationPhase.COMPLETE",
                "import MigrationPhase and use one of its members",
            )
        ),
    )
    """Renders ``--phase=…``. No released SpiceDB has that flag: the Job fails and a warning says so. The phases that
    SpiceDB does have are settings of the servers: ``ServerProps.schema_mode`` and ``.datastore_migration_phase``.
    Default: none."""
    log_level: str | None = field(default=None, metadata=optional(log_level_check()))
    """The least severe messages that the migration logs (``--log-level``). Default: what the servers have."""
    migration_timeout: timedelta | None = field(
        default=None,
        metadata=optional(
            duration(timedelta(seconds=1), timedelta(days=7), "give it as timedelta(minutes=30)"),
        ),
    )
    """When SpiceDB itself gives the migration up and says so (``--migration-timeout``, SpiceDB 1.9 and later). Shorter
    than ``active_deadline_seconds``. Default: SpiceDB's own, 1 h, so the deadline comes first."""
    backfill_batch_size: int | None = field(default=None, metadata=optional(whole_number(1, 10_000_000, unit="rows")))
    """How many rows a data migration moves at a time (``--migration-backfill-batch-size``, SpiceDB 1.14 and later).
    Default: SpiceDB's own, 1000; larger is faster and holds locks longer."""
    datastore_uri: SecretKey | None = field(
        default=None, converter=as_secret_key, metadata=optional(secret_key("the schema owner's URI"))
    )
    """The Secret key that holds a connection URI for the migration alone, with the credentials of the schema's owner,
    so that the servers need no right to change tables. Default: the servers' connection."""
    service_account_annotations: Mapping[str, str] | None = field(default=None, metadata=optional(annotations_check()))
    """Annotations of the migration's own ServiceAccount, which is a hook of lower weight, for workload identity.
    Default: those of the release; where there are none either, the migration has no ServiceAccount of its own."""
    service_account: str | None = field(
        default=None, converter=account_name, metadata=optional(service_account_check())
    )
    """A ServiceAccount that exists before the release, for the migration, by name or as cdk8s-plus' object. Default:
    one of its own where it has annotations, otherwise the namespace's default one; there is no token either way."""
    backoff_limit: int = field(default=3, metadata=whole_number(0, 100))
    """How often a failed migration is tried again (``backoffLimit``). Default: 3, enough for a database that is still
    starting."""
    active_deadline_seconds: int = field(default=600, metadata=whole_number(1, 604800, unit="seconds"))
    """When Kubernetes ends the migration, retries included, in seconds (``activeDeadlineSeconds``). Default: 600. Give
    ``helm --timeout`` more than this, 5 minutes is its default."""
    ttl_seconds_after_finished: int | None = field(
        default=None, metadata=optional(whole_number(60, 31_536_000, unit="seconds"))
    )
    """When Kubernetes removes a migration that ended, in seconds (``ttlSecondsAfterFinished``); with
    ``Delivery.KUBECTL`` alone, because hooks are removed by the clean-up or the next release. Default: a day, to read
    its log. Flux makes the Job anew when it is gone; it then finds nothing to do."""
    restart_policy: str = field(default="OnFailure", metadata=one_of("OnFailure", "Never"))
    """``OnFailure`` tries again in the same pod, which is gone with its log when the retries are used up; ``Never``
    starts a new pod for each, and the failed ones stay with their logs, which Helm then prints. Default: ``OnFailure``;
    production is better off with ``Never``."""
    resources: Resources = field(
        default=default_resources("100m", "128Mi", most=("1", "512Mi")),
        metadata=RESOURCES,
    )
    """What the migration asks for and may use. Default: 100m CPU and 128Mi memory, at most 1 CPU and 512Mi, and
    64Mi to 1Gi of the node's disk, for logs: the database does the work."""

    @property
    def target(self) -> str:
        """The revision at which the migration stops."""
        return self.target_migration or "head"

    @property
    def helm_timeout(self) -> str:
        """A ``--timeout`` for Helm: longer than the migration may take, so that it is what says what went wrong."""
        return f"{self.active_deadline_seconds // 60 + 1}m"

    @rule("service_account", "service_account_annotations")
    def _annotations_have_an_account(self) -> Iterator[Problem]:
        if self.service_account and self.service_account_annotations:
            yield Problem(
                "service_account_annotations",
                show(dict(self.service_account_annotations)),
                "nothing where service_account names one that exists",
                "annotate that ServiceAccount, or leave service_account out",
            )

    @rule("migration_timeout", "active_deadline_seconds")
    def _timeout_before_deadline(self) -> Iterator[Problem]:
        timeout = self.migration_timeout
        if timeout is not None and timeout >= timedelta(seconds=self.active_deadline_seconds):
            yield Problem(
                "migration_timeout",
                f"{timeout.total_seconds():g} s",
                f"less than active_deadline_seconds, {self.active_deadline_seconds} s",
                "raise active_deadline_seconds; a migration that Kubernetes ends cannot say what it was doing",
            )
