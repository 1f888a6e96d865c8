"""The backup before a step without a sure way back: as the props say, with a program or with an object."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve

from ...errors import SpiceDBError
from ...manifests.objects import Manifest
from ...props import SpiceDBProps
from ...props.upgrade_backup import UpgradeBackup
from ..check.backup import named
from ..cluster import Cluster, Kind
from ..poll import Deadline, poll
from ..programs import run_foreign
from ..record import Record
from ..runs import create_once
from ..text import cut, redacted
from .deliver import Notify

BackUp = Callable[[Cluster, str], "Path | str | None"]
"""Backs up the SpiceDB of a name. Returns the file with the backup, where the backup is in words, or None if there is
nothing to back up. `roll_back` can restore only a file."""
VARIABLES = ("NAMESPACE", "NAME", "CONTEXT", "STEP")
"""What the program of a backup learns, each in a variable with `PREFIX`."""
PREFIX = "CDK8S_SPICEDB_"
_EVERY_SECONDS = 2
_LINES = 10
"""Lines of an error that are shown."""


def backed_up(
    cluster: Cluster, props: SpiceDBProps, record: Record, number: int, other: BackUp | None, notify: Notify
) -> Record:
    """Backs up before a step if it needs that: as the props say, or else with another function. Returns the record
    with the backup. Raises `SpiceDBError` if the backup fails."""
    own = props.upgrade_backup
    if number not in record.unsure or (own is None and other is None):
        return record
    if own is not None:
        where: Path | str | None = make(cluster, props.name, own, number, notify)
    else:
        notify("writing a backup")
        where = other(cluster, props.name) if other else None
    if where is None:
        return record
    file = str(where) if isinstance(where, Path) else None
    text = f"the backup {file}" if file else where
    notify(f"made {text}")
    return evolve(record, backup=f"{text} ({cluster.clock.now():%Y-%m-%d %H:%M} UTC)", backup_file=file)


def make(cluster: Cluster, name: str, backup: UpgradeBackup, step: int, notify: Notify) -> str:
    """Makes the backup that the props of a SpiceDB describe. Returns where it is, in words."""
    if backup.command:
        return _run(cluster, name, backup, step, notify)
    return _create(cluster, backup, notify)


def described(backup: UpgradeBackup) -> str:
    """How a backup is made, in words."""
    if backup.command:
        return f"runs `{cut(redacted(shlex.join(backup.command)))}`"
    manifest: Any = backup.manifest
    return f"creates {_title(manifest)}-… and waits for {backup.wait_for}"


def _run(cluster: Cluster, name: str, backup: UpgradeBackup, step: int, notify: Notify) -> str:
    command = list(backup.command or ())
    values = (cluster.namespace, name, cluster.context or "", str(step))
    given = {f"{PREFIX}{key}": value for key, value in zip(VARIABLES, values, strict=True)}
    program = cut(redacted(shlex.join(command)))
    notify(f"running `{program}`, at most {backup.timeout_seconds} s")
    ended = run_foreign(command, given, clock=cluster.clock, seconds=backup.timeout_seconds)
    if not ended.ok:
        reason = ended.stopped or "it failed"
        lines = [line for line in (ended.stderr.strip() or ended.stdout).splitlines() if line.strip()][-_LINES:]
        raise SpiceDBError("\n".join([f"`{program}`: {reason}", *(redacted(line) for line in lines)]))
    said = [line.strip() for line in ended.stdout.splitlines() if line.strip()]
    return f"the backup {cut(redacted(said[-1]))}" if said else f"the backup of `{program}`"


def _create(cluster: Cluster, backup: UpgradeBackup, notify: Notify) -> str:
    manifest: Any = backup.manifest
    wanted = named(manifest)
    name = wanted["metadata"]["name"]
    kind, title = Kind.of(wanted), _title(wanted)
    path, failed = (backup.wait_for or "").partition("=")[0], backup.fail_on
    create_once(cluster, wanted)
    deadline = Deadline.after(cluster.clock, backup.timeout_seconds)

    def observe() -> Manifest | None:
        found = cluster.get(kind, name)
        notify(f"{title}: {path} is {redacted(_field(found, path)) or 'not set'}", int(deadline.left))
        return found

    found = poll(
        observe,
        until=lambda each: each is None or _has(each, backup.wait_for) or _has(each, failed),
        seconds=backup.timeout_seconds,
        clock=cluster.clock,
        every=_EVERY_SECONDS,
    )
    if found is None:
        raise SpiceDBError(f"somebody has deleted {title}")
    if _has(found, backup.wait_for):
        return f"the {title}"
    describe = f"see `kubectl describe {kind.kind.lower()} {name} {cluster.options()}`"
    if _has(found, failed):
        raise SpiceDBError(f"{title} has {failed}{_message(found)}; {describe}")
    raise SpiceDBError(f"{title} does not have {backup.wait_for} after {backup.timeout_seconds} s; {describe}")


def _title(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def _has(found: Manifest, wanted: str | None) -> bool:
    """Whether an object has a field with a value, such as ``.status.phase=completed``."""
    path, _, value = (wanted or "").partition("=")
    return wanted is not None and _field(found, path) == value


def _field(found: Any, path: str) -> str:
    """The value of a field as text. Empty if it is not set."""
    for name in path.strip(".").split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return "" if found is None else found if isinstance(found, str) else json.dumps(found)


def _message(found: Manifest) -> str:
    """What the status of an object says about an error."""
    texts = (_field(found, f".status.{name}") for name in ("error", "message"))
    return "".join(f": {cut(redacted(text.strip()))}" for text in texts if text.strip())
