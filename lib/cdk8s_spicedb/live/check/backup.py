"""Whether an upgrade can make the backup that the props describe."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from typing import Any

from ...props import SpiceDBProps
from ..apierror import ClusterError, Forbidden, Unreachable
from ..cluster import Cluster
from .finding import Finding
from .plan import Planned

_SUBJECT = "Backup"


def backup_findings(cluster: Cluster, props: SpiceDBProps, upgrade: Planned) -> Iterator[Finding]:
    """One finding about the backup, if a step that is left needs one. Makes no backup."""
    backup = props.upgrade_backup
    if backup is None or all(step.rolls_back for step in upgrade.steps):
        return
    if backup.command:
        yield _of_program(backup.command[0])
    else:
        yield _of_object(cluster, backup.manifest)


def named(manifest: Any) -> Any:
    """The object to create: the manifest, with a name of its own."""
    name = f"{manifest['metadata']['name']}-{uuid.uuid4().hex[:8]}"
    return {**manifest, "metadata": {**manifest["metadata"], "name": name}}


def _of_program(program: str) -> Finding:
    if shutil.which(program):
        return Finding.ok(_SUBJECT, f"this machine has the program {program}")
    fix = "install it and add it to PATH, or correct upgradeBackup.command"
    return Finding.failure(_SUBJECT, f"this machine has no program {program} that you may run", fix)


def _of_object(cluster: Cluster, manifest: Any) -> Finding:
    try:
        cluster.create(named(manifest), dry_run=True)
    except (Forbidden, Unreachable):
        raise
    except ClusterError as error:
        text = f"the cluster does not accept the {manifest['kind']} of upgradeBackup: {error}"
        return Finding.failure(_SUBJECT, text, "correct upgradeBackup.manifest, or install what defines this kind")
    return Finding.ok(_SUBJECT, f"the cluster accepts the {manifest['kind']} of upgradeBackup")
