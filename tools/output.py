"""Generates ``docs/reference/output.md``, the JSON that commands on a cluster print: ``make reference``"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import attrs

from cdk8s_spicedb import live
from cdk8s_spicedb.cli.backup import BackupReport, CompareReport, RestoreReport
from cdk8s_spicedb.cli.plan import PlanReport
from cdk8s_spicedb.cli.upgrade import DryRun
from cdk8s_spicedb.files.schema import field_texts
from cdk8s_spicedb.live.rehearsal import Rehearsal

from .pages import NOTE, REFERENCE, in_cell

PAGE = REFERENCE / "output.md"
COMMANDS = {
    "status": (live.Status, "Without a name, a list of [Summary](#summary)."),
    "check": (live.CheckReport, "The exit code is 1 if a finding is a `failure`."),
    "diff": (live.Diff, ""),
    "install": (live.Address, "Only if the servers are ready."),
    "install --dry-run": (live.InstallPreflight, "If the check fails, [CheckReport](#checkreport)."),
    "upgrade": (live.Record, "The ConfigMap `NAME-upgrade` has the same JSON while an upgrade is under way."),
    "upgrade --dry-run": (DryRun, ""),
    "upgrade --each": (live.FleetReport, "Also printed if an upgrade failed."),
    "rollback": (live.Return, ""),
    "uninstall": (live.Removal, "With `--dry-run` too."),
    "backup": (BackupReport, ""),
    "restore": (RestoreReport, "What the SpiceDB holds afterwards."),
    "compare": (CompareReport, ""),
    "rehearse": (Rehearsal, "The exit code is 3 if `ok` is false."),
    "plan": (PlanReport, "With `--from`, this command needs no cluster."),
}
_OPENING = (
    NOTE
    + """\
# Output of the commands on a cluster

With `--output json` or `--output yaml`, the commands on a cluster print one object. This page lists its fields. Later
versions may add fields. Only a new major version renames or removes them. With `--each`, `status`,
`check`, `diff` and `upgrade --dry-run` print one such object for each SpiceDB, by its namespace and name, or an object
with the field `error`.
"""
)
_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def page() -> str:
    """The page, Markdown."""
    return "\n".join([_OPENING, *_commands(), *(line for kind in classes() for line in _section(kind))])


def _commands() -> Iterator[str]:
    yield "| Command | Object |\n| --- | --- |"
    for command, (kind, note) in COMMANDS.items():
        yield f"| `{command}` | [{kind.__name__}](#{kind.__name__.lower()}). {note}".rstrip() + " |"
    yield ""


def classes() -> list[Any]:
    """The classes of all objects, each before the ones inside it."""
    found: list[Any] = []
    waiting: list[Any] = [*(kind for kind, _ in COMMANDS.values()), live.Summary]
    while waiting:
        kind = waiting.pop(0)
        if kind not in found:
            found.append(kind)
            waiting += [inner for hint in typing.get_type_hints(kind).values() for inner in _inner(hint)]
    return found


def _inner(hint: Any) -> Iterator[Any]:
    if attrs.has(hint) if isinstance(hint, type) else False:
        yield hint
    for argument in typing.get_args(hint):
        yield from _inner(argument)


def _section(kind: Any) -> Iterator[str]:
    texts, hints = field_texts(kind), typing.get_type_hints(kind)
    yield f"## {kind.__name__}\n"
    yield f"{in_cell((kind.__doc__ or '').split(chr(10) * 2)[0])}\n"
    yield "| Field | Type | Meaning |\n| --- | --- | --- |"
    for field in attrs.fields(kind):
        yield f"| `{field.name}` | {_type(hints[field.name])} | {_text(texts[field.name])} |"
    yield ""


def _text(docstring: str) -> str:
    """A docstring in the words of JSON."""
    return in_cell(docstring).replace("None", "Null")


def _type(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(each) for each in arguments)
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Sequence, list, tuple):
        return f"list of {_type(arguments[0])}"
    if origin in (Mapping, dict):
        return "object"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(f"`{member.value}`" for member in hint)
    if isinstance(hint, type) and attrs.has(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return _NAMES.get(hint, "any")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
