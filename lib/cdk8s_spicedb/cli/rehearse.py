"""``cdk8s-spicedb rehearse``: does an upgrade on a copy of the live data."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..live.rehearsal.rehearse import RehearsalOptions, rehearse
from ..live.rehearsal.result import Rehearsal
from .destination import connect
from .files import read_release
from .output import as_json, say, say_error

_PROBLEMS = 3
"""The exit code if the rehearsal found a problem."""


def run(options: argparse.Namespace) -> int:
    """Rehearses, and prints the result."""
    props, destination = read_release(options)
    chosen = RehearsalOptions(sample=options.sample, questions=options.questions, database_image=options.database_image)
    found = rehearse(connect(options, destination), props, options=chosen, notify=say_error)
    if options.output == "json":
        say(as_json({**_plain(found), "ok": found.ok, "problems": list(found.problems())}))
    elif options.output == "markdown":
        say(found.markdown())
    else:
        say("\n".join(_lines(found)))
    return 0 if found.ok else _PROBLEMS


def _plain(found: Rehearsal) -> dict[str, object]:
    steps = [
        {
            "number": step.number,
            "version": step.version,
            "schemaMode": step.schema_mode,
            "seconds": round(step.seconds, 1),
            "migrationSeconds": step.migration_seconds,
            "bytesBefore": step.bytes_before,
            "bytesAfter": step.bytes_after,
            "requests": step.requests.asked,
            "requestsFailed": len(step.requests.failed),
            "slowestCheckSeconds": round(step.requests.slowest_check, 3),
            "slowestWriteSeconds": round(step.requests.slowest_write, 3),
            "differences": len(step.answers.differences) if step.answers else None,
            "rollback": step.way_back(),
            "problems": list(step.problems()),
        }
        for step in found.steps
    ]
    return {
        "name": found.name,
        "namespace": found.namespace,
        "current": found.current,
        "target": found.target,
        "relationships": found.relationships,
        "copied": found.copied,
        "questions": found.questions,
        "at": found.at,
        "steps": steps,
    }


def _lines(found: Rehearsal) -> Iterator[str]:
    rows = [list(row) for row in found.rows()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    yield found.summary()
    yield ""
    for row in rows:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
    yield ""
    yield from found.problems()
    if found.ok:
        yield "No problem was found."
