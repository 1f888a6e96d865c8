"""What to do when a step of an upgrade has failed and was not rolled back."""

from __future__ import annotations

from collections.abc import Iterator

from ...plans.plan import UpgradeStep
from ...plans.words import old_servers, sentence
from ...props import SpiceDBProps
from ..record import Record
from .deliver import Deliverer


def ways(step: UpgradeStep, record: Record, applies: Deliverer, props: SpiceDBProps) -> Iterator[str]:
    """How to go on or back after a failed step that was not rolled back."""
    yield "Nothing was rolled back. Fix the cause, then run the same command again."
    sound = record.sound[-1]
    command = applies.roll_back_command(sound.revision)
    if applies.is_held():
        # The tools alone would leave the Deployment paused.
        command = f"cdk8s-spicedb rollback {props.name} {applies.cluster.options()}"
    if step.rolls_back:
        yield f"To go back to {sound.version} instead, run: {command}"
    elif step.rolls_back is None:
        yield f"{sentence(old_servers(step, sound.version))} To try, run: {command}"
    else:
        yield f"If the migration has run, {old_servers(step, sound.version)}: {_by_backup(record, applies, props)}"


def _by_backup(record: Record, applies: Deliverer, props: SpiceDBProps) -> str:
    """How to go back if the older servers do not start."""
    if record.backup_file:
        restore = f"cdk8s-spicedb rollback {props.name} --file FILE --restore {applies.cluster.options()}"
        return f"to go back, restore {record.backup}. Run: {restore}"
    restore = f"restore {record.backup}" if record.backup else props.datastore.restore
    return f"to go back, {restore}. Then run: {applies.roll_back_command(record.sound[-1].revision)}"
