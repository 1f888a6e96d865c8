"""``cdk8s-spicedb releases``: prints what is known of SpiceDB's releases."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence

from ..text import columns
from ..versions.history import Version, history
from .options import releases
from .output import as_json, say

_REVISION = r"[a-z0-9][\w-]+(?=;|$)"


def run(options: argparse.Namespace) -> int:
    """Prints the releases, in the chosen format."""
    say(_text(options))
    return 0


def _text(options: argparse.Namespace) -> str:
    found = history(releases(options), options.engine and [options.engine])
    if options.output == "json":
        return as_json(found)
    headings = ("VERSION", "MIGRATES", "HEAD") if options.engine else ("VERSION", "MIGRATES THE DATABASE TO")
    rows = [headings, *(_cells(each, options.engine) for each in found)]
    if options.output == "markdown":
        return "\n".join(_markdown(found, rows))
    return "\n".join(_table(found, rows, shutil.get_terminal_size((100, 0)).columns))


def _cells(release: Version, engine: str | None) -> Sequence[str]:
    """A release in columns: with one engine, its head; else the heads of the engines that the release migrates."""
    if engine is None:
        return release.version, _migration(release)
    return release.version, "yes" if release.migrations else "-", release.heads[engine]


def _table(found: Sequence[Version], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """A line for each release, and below it what to know."""
    lines = columns(rows)
    margin, last = (" " * lines[0].index(heading) for heading in (rows[0][1], rows[0][-1]))
    for number, line in enumerate(lines):
        yield from _wrapped(line[len(last) :], width, line[: len(last)], last)
        for note in _notes(found[number - 1]) if number else ():
            yield from _wrapped(note, width, margin, margin)


def _wrapped(text: str, width: int, first: str, indent: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def _markdown(found: Sequence[Version], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    headings = [heading.capitalize() for heading in (*rows[0], "KNOW BEFORE YOU UPGRADE")]
    yield f"| {' | '.join(headings)} |"
    yield f"| {' | '.join(['---'] * len(headings))} |"
    for each, (*cells, last) in zip(found, rows[1:], strict=True):
        notes = "<br>".join(note.replace("|", "\\|") for note in _notes(each)) or "-"
        code = re.sub(_REVISION, r"`\g<0>`", last)
        yield f"| {' | '.join([*cells, code, notes])} |"


def _migration(release: Version) -> str:
    """The head of each engine that the release migrates. Engines with the same head share it."""
    engines: dict[str, list[str]] = {}
    for engine in release.migrations:
        engines.setdefault(release.heads[engine], []).append(engine)
    return "; ".join(f"{', '.join(names)}: {head}" for head, names in engines.items()) or "-"


def _notes(release: Version) -> Iterator[str]:
    if release.withdrawn:
        yield f"Withdrawn: {release.withdrawn}."
    for stop in release.stops:
        rollouts = f", in {stop.rollouts} roll-outs" if stop.rollouts > 1 else ""
        yield f"Required stop on the way to {stop.before} or later ({', '.join(stop.engines)}{rollouts}): {stop.why}."
    for caution in release.cautions:
        yield f"{', '.join(caution.revisions)} ({caution.engine}): {caution.text}."
