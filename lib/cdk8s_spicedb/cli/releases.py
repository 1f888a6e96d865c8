"""``cdk8s-spicedb releases``: prints what is known of SpiceDB's releases."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from ..text import columns
from ..versions import Advisory, Concern, Severity
from ..versions.history import Version, history
from .options import releases
from .output import DATA, as_data, say

_REVISION = r"[a-z0-9][\w-]+(?=;|$)"


def run(options: argparse.Namespace) -> int:
    """Prints the releases, in the chosen format."""
    say(_text(options))
    return 0


def _text(options: argparse.Namespace) -> str:
    table = releases(options)
    found = history(table, options.engine and [options.engine])
    if options.output in DATA:
        return as_data(found, options.output)
    headings = ("VERSION", "MIGRATES", "HEAD") if options.engine else ("VERSION", "MIGRATES THE DATABASE TO")
    rows = [headings, *(_cells(each, options.engine) for each in found)]
    known = [each for release in found for each in release.advisories]
    faults = {each.id: each for each in (*known, *(other for other in table.advisories if other.program != "spicedb"))}
    if options.output == "markdown":
        return "\n".join([*_markdown(found, rows), *_faults_markdown(faults.values())])
    width = shutil.get_terminal_size((100, 0)).columns
    return "\n".join([*_table(found, rows, width), *_faults(faults.values(), width)])


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


def _faults(advisories: Iterable[Advisory], width: int) -> Iterator[str]:
    """Each known fault, with whom it concerns."""
    for number, each in enumerate(advisories):
        yield from () if number else ("", "KNOWN FAULTS")
        yield from _wrapped(f"{_fault(each)} Source: {each.source}.", width, "", "  ")


def _faults_markdown(advisories: Iterable[Advisory]) -> Iterator[str]:
    for number, each in enumerate(advisories):
        yield from () if number else ("", "**Known faults**", "")
        yield f"- {_fault(each)} Source: {each.source}."


def _fault(advisory: Advisory) -> str:
    """What is wrong, for whom, and what to do."""
    everything = Concern(advisory=advisory, depends_on=advisory.when)
    engines = f" with {' or '.join(advisory.engines)}" if advisory.engines else ""
    ranges = " and ".join(map(str, advisory.releases))
    program = "Helm " if advisory.program == "helm" else ""
    return f"{everything.text}. {program}{ranges}{engines}: {everything.fix}."


def _named(advisory: Advisory) -> str:
    return f"{advisory.id} ({advisory.severity.value})" if advisory.severity is Severity.SEVERE else advisory.id


def _migration(release: Version) -> str:
    """The head of each engine that the release migrates. Engines with the same head share it."""
    engines: dict[str, list[str]] = {}
    for engine in release.migrations:
        engines.setdefault(release.heads[engine], []).append(engine)
    return "; ".join(f"{', '.join(names)}: {head}" for head, names in engines.items()) or "-"


def _notes(release: Version) -> Iterator[str]:
    if release.withdrawn:
        yield f"Withdrawn: {release.withdrawn}."
    if release.advisories:
        yield f"Known faults: {', '.join(map(_named, release.advisories))}."
    for stop in release.stops:
        rollouts = f", in {stop.rollouts} roll-outs" if stop.rollouts > 1 else ""
        yield f"Required stop on the way to {stop.before} or later ({', '.join(stop.engines)}{rollouts}): {stop.why}."
    for caution in release.cautions:
        yield f"{', '.join(caution.revisions)} ({caution.engine}): {caution.text}."
