"""``cdk8s-spicedb rollback``: rolls a live release back to the last step that worked."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import attrs

from ..errors import SpiceDBError
from ..live.cluster import Cluster
from ..live.record import read_record
from ..live.upgrade.outcome import Return, State
from ..live.upgrade.rollback import plan_rollback, roll_back
from .destination import connect
from .display import Display
from .exits import DONE, NO
from .files import read_release
from .options import RECORDED, require_yes
from .output import DATA, DRY_RUN, as_data, say_after, say_error, styled, tell

_DEFAULT = "spicedb"
"""The name of a SpiceDB unless its file has another."""


def run(options: argparse.Namespace) -> int:
    """Says what is not restored, asks, and rolls back."""
    props, destination = read_release(options) if options.file else (None, None)
    options.name = options.name or (props.name if props else _DEFAULT)
    cluster = connect(options, destination)
    if options.dry_run:
        return _preview(options, cluster)
    require_yes(options)
    with Display(quiet=options.output in DATA) as display:
        outcome = roll_back(
            cluster,
            options.name,
            props=props,
            force=options.force,
            restore=_file(options, cluster),
            database_image=options.database_image,
            confirm=lambda back: display.confirms(_intention(cluster, back), "Go back?", yes=options.yes),
            report=display.report,
        )
        display.end(outcome, options)
    if outcome.state is State.DONE and options.output in DATA:
        say_after(as_data(outcome.back, options.output))
    return outcome.exit_code


def _preview(options: argparse.Namespace, cluster: Cluster) -> int:
    """Says what a rollback would do. Returns 1 if it would be refused."""
    back = plan_rollback(cluster, options.name)
    restored = _file(options, cluster)
    back = back if restored is None else attrs.evolve(back, restores=restored, blocked=None)
    tell(options, back, lambda: map(styled, [*_intention(cluster, back), DRY_RUN]))
    if back.blocked and not options.force:
        say_error(f"error: {back.blocked}")
        return NO
    return DONE


def _file(options: argparse.Namespace, cluster: Cluster) -> str | None:
    """The backup to restore. Raises `SpiceDBError` if it is not known. None: none is restored."""
    if options.restore != RECORDED:
        return None if options.restore is None else str(options.restore)
    record = read_record(cluster, options.name)
    if record is None or record.backup_file is None:
        raise SpiceDBError("the record of the upgrade names no file with a backup; name one: --restore FILE")
    if not Path(record.backup_file).is_file():
        raise SpiceDBError(
            f"{record.backup_file} is not on this machine; copy it and its .json file here, and name it: --restore FILE"
        )
    return record.backup_file


def _intention(cluster: Cluster, back: Return) -> Iterator[str]:
    running, target = back.running, back.target
    mode = f" in {target.schema_mode}" if target.schema_mode else ""
    where = f"{running.name} in {running.namespace}, {cluster.place}"
    yield f"{where}: from SpiceDB {running.version} back to {target.version}{mode}, revision {target.revision}"
    if back.restores:
        yield f"  restores the backup {back.restores}"
    yield from (f"  {caution}" for caution in back.cautions)
