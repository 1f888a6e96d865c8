"""The backup that the command `upgrade` makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import Problem
from ..fields import Problems, Rules, unset
from ..fieldtypes import show
from ..upgrade_backup import UpgradeBackup

_Manifest = Mapping[str, Any]


def backup_is_made_in_one_way(command: Sequence[str] | None, manifest: _Manifest | None) -> Problems:
    if not command and manifest is None:
        yield Problem("command", show(command), "a program with its arguments, or {manifest}", "set one of them")
    if command is not None:
        when = "when {command} is set"
        yield from unset("manifest", manifest, when, "remove one of them", shown="(an object, not shown)")


def only_objects_are_waited_for(
    command: Sequence[str] | None, manifest: _Manifest | None, wait_for: str | None, fail_on: str | None
) -> Problems:
    if command:
        when = "with {command}, whose exit code says whether the backup is complete"
        yield from unset("wait_for", wait_for, when)
        yield from unset("fail_on", fail_on, when)
    elif manifest is not None and wait_for is None:
        allowed = "the field and the value that the object has when the backup is complete"
        yield Problem("wait_for", "None", allowed, "set it, such as {wait_for=}'.status.phase=completed'")


def object_is_in_the_namespace(manifest: _Manifest | None) -> Problems:
    if manifest is not None:
        fix = "remove it; to create an object in another namespace, use {command} with kubectl"
        when = "because the object is created in the namespace of the release"
        yield from unset("manifest[metadata][namespace]", manifest["metadata"].get("namespace"), when, fix)


RULES: Rules = {
    UpgradeBackup: (backup_is_made_in_one_way, only_objects_are_waited_for, object_is_in_the_namespace),
}
