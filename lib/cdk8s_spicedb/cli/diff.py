"""``cdk8s-spicedb diff``: prints what a file would change in a cluster, and what that means."""

from __future__ import annotations

import argparse
import difflib
import json
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .options import Commands, add_cluster, add_file, add_releases, as_json, connect, console, read_file

if TYPE_CHECKING:
    from ..live.compare import FieldDiff, ObjectDiff
    from ..live.diff import Diff


_CHANGES = 3
_STYLES = {"-": "red", "+": "green", "=": "bold"}
_WIDTH = 100
_MOST_LINES = 20
"""A longer text that is new or gone is not printed."""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "diff",
        help="print what a file would change in a cluster, and what that means",
        description="Prints what would change in the cluster if you applied the file: each field of each object, from "
        "a server-side dry run. Then what that means: which servers restart, what is migrated, and what cannot be "
        "undone. It changes nothing. It needs the right to patch the objects, and to read Helm's Secrets.",
        epilog="Exit code: 0 if the comparison is printed, 1 if there is an error (see stderr), 2 for wrong usage, and "
        "with --exit-code 3 if there are changes.",
    )
    add_file(parser)
    add_cluster(parser)
    parser.add_argument("--exit-code", action="store_true", help="exit with 3 if there are changes")
    add_releases(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    cluster, props = connect(options), read_file(options)
    from ..live.diff import diff

    found = diff(cluster, props)
    if options.output == "json":
        print(as_json(found))
    else:
        _print(found)
    return _CHANGES if options.exit_code and found.changes else 0


def _print(found: Diff) -> None:
    from rich.text import Text

    output = console()
    for line in lines(found):
        output.print(Text(line, _STYLES.get(line[:1], "")), soft_wrap=True)


def lines(found: Diff) -> Iterator[str]:
    """The text: the objects that change, then what that means. Headings begin with ``=``, as fields do with ``-`` and
    ``+``."""
    changed = [each for each in found.objects if each.change.value != "unchanged"]
    for each in changed:
        yield f"== {each.kind} {each.name}: {each.change.value}"
        yield from _object(each)
        yield ""
    others = len(found.objects) - len(changed)
    if not changed:
        yield f"No changes in namespace {found.namespace}: {_objects(others)} as in the file."
    elif others:
        yield f"{_objects(others, 'other ')} unchanged."
    if found.meaning:
        if others:
            yield ""
        yield "What this means:"
    for sentence in found.meaning:
        yield from textwrap.wrap(
            sentence, _WIDTH, initial_indent="  * ", subsequent_indent="    ", break_on_hyphens=False
        )


def _objects(count: int, kind: str = "") -> str:
    return f"{count} {kind}object{'s are' if count > 1 else ' is'}"


def _object(each: ObjectDiff) -> Iterator[str]:
    if each.change.value == "deleted":
        return
    for field in each.fields:
        yield from _field(field)


def _field(field: FieldDiff) -> Iterator[str]:
    before, after = (None if part is None else _text(part) for part in (field.before, field.after))
    if "\n" in (before or "") + (after or ""):
        yield f"@@ {field.path}"
        lines = max(len(part.splitlines()) for part in (before or "", after or ""))
        if (before is None or after is None) and lines > _MOST_LINES:
            yield f"{'-' if after is None else '+'} ({lines} lines)"
            return
        yield from _lines(before or "", after or "")
        return
    if before is not None:
        yield f"- {field.path}: {before}".rstrip(": ")
    if after is not None:
        yield f"+ {field.path}: {after}".rstrip(": ")


def _lines(before: str, after: str) -> Iterator[str]:
    """The lines that differ, with a line around them."""
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm=""):
        if not line.startswith(("---", "+++")):
            yield line


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
