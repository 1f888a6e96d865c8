"""Settings of backups on a schedule."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from annotated_types import Interval, Predicate, Unit
from attrs import frozen

from .fields import Message, Pattern
from .jobs import ClientProps
from .pod import Resources, default_resources
from .schedule import Schedule, longest_gap
from .types import Count, ObjectName, PinnedImage, Seconds, StorageClassName, StorageSize

OLDEST = "v1.31.0"
"""The first release of SpiceDB that `zed backup` can ask (zed v1.2.0, tried with v1.30.0 and v1.37.1)."""
BACKUP_POD = "BACKUP_POD"
"""The variable that holds the name of a pod that backs up."""
_MARGIN = timedelta(hours=2)
"""The last backup is too old after the time between two backups plus this. Enough for a long backup,
and for a change of summer time."""


def _is_zone(name: str) -> bool:
    # Kubernetes refuses it: it would be the time zone of a program in the control plane.
    return name.lower() != "local"


_TimeZone = Annotated[
    str,
    Pattern(r"[A-Za-z][-+_A-Za-z0-9]*(/[-+_A-Za-z0-9]+)*", "a time zone, such as 'Europe/Berlin' or 'Etc/UTC'"),
    Predicate(_is_zone),
    Message(fix="use its name in the time zone database of IANA"),
]


@frozen(kw_only=True)
class BackupProps(ClientProps):
    """Backups on a schedule, by a CronJob that writes the SpiceDB schema and all relationships to a volume, with `zed
    backup create`. `cdk8s-spicedb restore` and `zed backup restore` read the files.

    Each backup is a file ``NAME-backup-TIME.zedbackup``, with the time at which it was complete, in UTC. Until then, it
    has another name. Only its owner can read it. More variables and volume mounts are for the container with ``zed``.
    """

    schedule: Schedule
    """When to back up, in the syntax of CronJobs: ``15 3 * * *``, or a macro such as ``@daily``. Required, because only
    you know how much you may lose."""
    time_zone: _TimeZone | None = None
    """Time zone of the schedule (``timeZone``), such as ``Europe/Berlin``. Defaults to the time zone of the cluster's
    control plane, mostly UTC."""
    suspend: bool = False
    """Stops the schedule (``suspend``). The alert about late backups still fires. Defaults to False."""
    keep: Count = 7
    """Number of backups that stay on the volume. When a backup is complete, the older ones are deleted. Other files are
    left alone. The volume needs room for one backup more. Defaults to 7: a week of daily backups."""
    claim: ObjectName | None = None
    """Existing PersistentVolumeClaim for the backups. Defaults to one that the release makes, with the name
    ``NAME-backup``. It stays when you uninstall the release with Helm, Argo CD or Flux. `kubectl delete` deletes it."""
    storage: StorageSize | None = None
    """Size of the volume, if the release makes the claim. You can raise it later, if the StorageClass allows that
    (``allowVolumeExpansion``). Defaults to 10Gi. A million relationships needed 62 MiB."""
    storage_class: StorageClassName | None = None
    """StorageClass of the volume, if the release makes the claim (``storageClassName``). You cannot change it later.
    Defaults to the cluster's default."""
    shell_image: PinnedImage = "docker.io/library/busybox:1.37"
    """Image with a shell, by tag or digest, because the image of ``zed`` has none. It gives a complete backup its name
    and deletes the older ones, with ``sh``, ``chmod``, ``date``, ``find``, ``grep``, ``ls``, ``mkdir``, ``mv``, ``rm``,
    ``sed``, ``sort``, ``sync`` and ``tail``. Defaults to the official image of BusyBox."""
    active_deadline_seconds: Seconds = 3600
    """Time limit of a backup with its retries, in seconds (``activeDeadlineSeconds``). Defaults to 3600, one hour. A
    million relationships took less than a minute."""
    late_after_seconds: Annotated[int, Unit("seconds"), Interval(ge=60, le=40_000_000)] | None = None
    """Time since the last successful backup, in seconds, after which the alert ``SpiceDBBackupLate`` fires. It is one
    of ``Monitoring.alerts``, and needs kube-state-metrics. Defaults to the longest time between two runs of the
    schedule and 2 hours more: 93,600 (26 h) for a daily schedule."""
    resources: Resources = default_resources("10m", "32Mi", limits=("1", "256Mi"))
    """Resources of each container. Defaults to requests of 10m CPU, 32Mi memory and 64Mi disk for logs, and limits of 1
    CPU, 256Mi memory and 1Gi disk. ``zed`` does not hold all relationships in memory."""

    @property
    def size(self) -> str:
        """Size of the volume."""
        return self.storage or "10Gi"

    @property
    def late_seconds(self) -> int:
        """Time since the last successful backup after which it is late."""
        return self.late_after_seconds or round((longest_gap(self.schedule) + _MARGIN).total_seconds())
