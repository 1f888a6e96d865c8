"""``cdk8s-spicedb rehearse``: does an upgrade on a copy of the live data."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..live.rehearsal.rehearse import RehearsalOptions, rehearse
from ..live.rehearsal.result import NO_PROBLEM, Rehearsal
from ..text import columns
from .destination import connect
from .files import read_release
from .output import DATA, as_data, say, say_error

_PROBLEMS = 3
"""The exit code if the rehearsal found a problem."""


def run(options: argparse.Namespace) -> int:
    """Rehearses, and prints the result."""
    props, destination = read_release(options)
    chosen = RehearsalOptions(
        sample=options.sample,
        questions=options.questions,
        database_image=options.database_image,
        into=options.into,
    )
    found = rehearse(connect(options, destination), props, options=chosen, notify=say_error)
    if options.output in DATA:
        say(as_data(found, options.output))
    elif options.output == "markdown":
        say(found.markdown())
    else:
        say("\n".join(_lines(found)))
    return 0 if found.ok else _PROBLEMS


def _lines(found: Rehearsal) -> Iterator[str]:
    yield found.summary()
    for table in found.tables():
        yield ""
        yield from columns(table)
    yield ""
    yield from found.problems or [NO_PROBLEM]
