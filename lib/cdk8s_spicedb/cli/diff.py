"""``cdk8s-spicedb diff``: prints what a file would change in a cluster, and what that means."""

from __future__ import annotations

import argparse
import difflib
import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from ..errors import SpiceDBError
from ..live.cluster import Cluster
from ..live.compare import FieldDiff
from ..live.diff import Diff, diff
from ..props import SpiceDBProps
from .destination import connect
from .files import read_release
from .output import DATA, as_data, say, show, styled

_CHANGES = 3
"""The exit code of ``--exit-code`` if there are changes."""
_STYLES = {"-": "red", "+": "green", "=": "bold"}
_WIDTH = 100
_MOST_LINES = 20
"""A longer text that is new or gone is not printed."""


def run(options: argparse.Namespace) -> int:
    """Compares, and prints the difference."""
    props, destination = read_release(options)
    cluster = connect(options, destination)
    found = diff(cluster, props)
    schema = _schema(cluster, props, options.answers) if options.answers else []
    if options.output in DATA:
        say(
            as_data(
                {**attrs.asdict(found, recurse=False), **({"schema": schema} if options.answers else {})},
                options.output,
            )
        )
    else:
        show(
            styled(line, style=_STYLES.get(line[:1], ""))
            for line in [*lines(found), *_told("The SpiceDB schema:", schema)]
        )
    return _CHANGES if options.exit_code and found.changes else 0


def lines(found: Diff) -> Iterator[str]:
    """The text: the objects that change, then what that means. Headings begin with ``=``, as fields do with ``-`` and
    ``+``."""
    changed = [each for each in found.objects if each.change.value != "unchanged"]
    for each in changed:
        yield f"== {each.kind} {each.name}: {each.change.value}"
        for field in each.fields if each.change.value != "deleted" else ():
            yield from _field(field)
        yield ""
    others = len(found.objects) - len(changed)
    if not changed:
        yield f"No changes in namespace {found.namespace}: {_objects(others)} as in the file."
    elif others:
        yield f"{_objects(others, 'other ')} unchanged."
    told = list(_told("What this means:", found.meaning))
    yield from ["", *told] if told and others else told


def _told(heading: str, sentences: Sequence[str]) -> Iterator[str]:
    """A list of sentences below a heading. Nothing without sentences."""
    if sentences:
        yield heading
    for sentence in sentences:
        yield from textwrap.wrap(
            sentence, _WIDTH, initial_indent="  * ", subsequent_indent="    ", break_on_hyphens=False
        )


def _schema(cluster: Cluster, props: SpiceDBProps, size: int) -> list[str]:
    """What a changed schema of the file changes."""
    from ..live.data.trial import judge_schema  # It needs more libraries than the other differences.

    if props.schema is None or props.schema.text is None:
        raise SpiceDBError("--answers compares the schema.text of the file with the schema of the servers; set it")
    found = judge_schema(cluster, props, props.schema.text, size=size)
    return ["it does not change"] if found is None else list(found.lines())


def _objects(count: int, kind: str = "") -> str:
    return f"{count} {kind}object{'s are' if count > 1 else ' is'}"


def _field(field: FieldDiff) -> Iterator[str]:
    before, after = (None if part is None else _text(part) for part in (field.before, field.after))
    if "\n" in (before or "") + (after or ""):
        yield f"@@ {field.path}"
        lines = max(len(part.splitlines()) for part in (before or "", after or ""))
        if (before is None or after is None) and lines > _MOST_LINES:
            yield f"{'-' if after is None else '+'} ({lines} lines)"
            return
        # The lines that differ, with a line around them.
        compared = difflib.unified_diff((before or "").splitlines(), (after or "").splitlines(), n=1, lineterm="")
        yield from [*compared][2:] or ["  (only what is hidden differs)"]
        return
    if before is not None:
        yield f"- {field.path}: {before}".rstrip(": ")
    if after is not None:
        yield f"+ {field.path}: {after}".rstrip(": ")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
