"""The CronJob that backs up to a volume, and the claim for that volume.

A file must never look complete if it is not, and ``zed`` writes to the name that it is given. So each pod writes to
another name, and the backup gets its name when ``zed`` has succeeded. ``zed`` also refuses a file that exists, even an
empty one that it left behind itself (tried with v1.2.0).
"""

from __future__ import annotations

from ..delivery import VOLUME
from ..labels import Component, volume_name
from ..props import SpiceDBProps
from ..props.backup import BACKUP_POD, BackupProps
from .jobs import zed_template
from .network import network_policy
from .objects import Manifest, Objects, omit_empty
from .pods import pod_template

PREPARES, FINISHES, TRIES = STEPS = ("prepare-backup", "finish-backup", "try-volume")
"""The names of the containers with a shell."""
_FOLDER = "/etc/spicedb/backup"
_MOUNT = {"name": "backup", "mountPath": _FOLDER}
_START_SECONDS = 3600
"""How long after its time a backup may start. Kubernetes stops a CronJob that has no such limit after 100 missed
runs."""
_HISTORY = 3
"""The number of finished Jobs that stay, and of failed ones, each with the log of its pods."""
_RETRIES = 3

PREPARE = f"""\
set -eu
cd {_FOLDER}
# Everybody may read the file that zed writes, so it is in a folder that only its owner may open.
mkdir -p -m 700 partial
# These belong to pods that no longer run: those of this Job, and older ones.
job=$(echo "${BACKUP_POD}" | sed "s/-[^-]*$//")
rm -f "partial/$NAME.$job-"*
find partial -maxdepth 1 -type f -name "$NAME.*" -mmin "+$((DEADLINE_SECONDS / 60 + 1))" -exec rm -f {{}} +
"""
"""Deletes what interrupted backups left behind, before a backup. Otherwise, a full volume would stay full."""
FINISH = f"""\
set -eu
cd {_FOLDER}
partial="partial/$NAME.${BACKUP_POD}.partial"
chmod 600 "$partial"
sync "$partial"
file="$NAME-$(date -u +%Y%m%dT%H%M%SZ).zedbackup"
while [ -e "$file" ]; do
  sleep 1
  file="$NAME-$(date -u +%Y%m%dT%H%M%SZ).zedbackup"
done
mv "$partial" "$file"
echo "The backup $file is complete."
# The new one is none of them, even if clocks differ.
ls | grep -x "$NAME-[0-9]\\{{8\\}}T[0-9]\\{{6\\}}Z[.]zedbackup" | grep -vxF "$file" | sort -r | tail -n "+$KEEP" |
while read -r old; do
  rm -f "$old"
  echo "Deleted the older backup $old."
done
"""
"""Gives a complete backup its name, and deletes the older ones."""
TRY = f"""\
set -eu
cd {_FOLDER}
file=".$NAME.try"
: > "$file"
rm "$file"
echo "The volume for backups can be written."
"""
"""Writes to the volume. Without a first pod, many volumes do not exist, and Helm would wait for the claim."""


def backup_manifests(props: SpiceDBProps, backup: BackupProps) -> list[Manifest]:
    """The CronJob, and its claim unless one exists, with the Job that mounts it for the first time."""
    objects = Objects(props, Component.BACKUP)
    own = [] if backup.claim else [_claim(objects, backup), _try_volume(objects, backup)]
    return [*network_policy(objects), *own, _cron_job(objects, backup)]


def _claim(objects: Objects, backup: BackupProps) -> Manifest:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": backup.storage_class,
        "resources": {"requests": {"storage": backup.size}},
    }
    kept = objects.props.delivery.kept
    return objects.make("v1", "PersistentVolumeClaim", spec=omit_empty(spec), annotations=kept)


def _try_volume(objects: Objects, backup: BackupProps) -> Manifest:
    props, account = objects.props, backup.service_account or objects.props.pods.service_account
    template = pod_template(
        objects,
        backup,
        _step(objects, backup, TRIES, TRY),
        volumes=_volumes(objects, backup),
        restartPolicy="Never",
        serviceAccountName=str(account) if account else None,
    )
    _leave_modes(template)
    # A backup on another node may have the volume.
    deadline, ttl = backup.active_deadline_seconds, props.delivery.migration_ttl_seconds
    return objects.job(VOLUME, template, _RETRIES, deadline, ttl=ttl, name=volume_name(props.name))


def _cron_job(objects: Objects, backup: BackupProps) -> Manifest:
    pod = {"name": BACKUP_POD, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    deadline = {"name": "DEADLINE_SECONDS", "value": str(backup.active_deadline_seconds)}
    template = zed_template(
        objects,
        backup,
        ["zed", "backup", "create", f"{_FOLDER}/partial/{objects.name}.$({BACKUP_POD}).partial"],
        env=[pod],
        mounts=[_MOUNT],
        volumes=_volumes(objects, backup),
        before=[_step(objects, backup, PREPARES, PREPARE, deadline, pod)],
        after=_step(objects, backup, FINISHES, FINISH, {"name": "KEEP", "value": str(backup.keep)}, pod),
    )
    _leave_modes(template)
    job = {
        "backoffLimit": _RETRIES,
        "activeDeadlineSeconds": backup.active_deadline_seconds,
        "template": template,
    }
    spec = {
        "schedule": backup.schedule,
        "timeZone": backup.time_zone,
        "suspend": backup.suspend,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": _START_SECONDS,
        "successfulJobsHistoryLimit": _HISTORY,
        "failedJobsHistoryLimit": _HISTORY,
        "jobTemplate": {"metadata": {"labels": objects.selector}, "spec": job},
    }
    return objects.make("batch/v1", "CronJob", spec=omit_empty(spec))


def _leave_modes(template: Manifest) -> None:
    """Kubernetes gives the volume's files to the group of the pod once, and not before each pod: that would let the
    group read and write them."""
    security = template["spec"]["securityContext"]
    template["spec"]["securityContext"] = {**security, "fsGroupChangePolicy": "OnRootMismatch"}


def _step(objects: Objects, backup: BackupProps, name: str, script: str, *env: Manifest) -> Manifest:
    """A container that runs a script in the folder of the backups."""
    return {
        "name": name,
        "image": backup.shell_image,
        "command": ["sh", "-c", script],
        "env": [{"name": "NAME", "value": objects.name}, *env],
        "volumeMounts": [_MOUNT],
    }


def _volumes(objects: Objects, backup: BackupProps) -> list[Manifest]:
    return [{"name": "backup", "persistentVolumeClaim": {"claimName": backup.claim or objects.name}}]
