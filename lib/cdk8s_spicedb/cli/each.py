"""Runs a command for one SpiceDB, or with ``--each`` for many, and prints what it found."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ..errors import SpiceDBError
from ..files.read import Destination
from ..live.cluster import Cluster
from ..props import SpiceDBProps
from .destination import connect, connect_each
from .exits import NO, UNANSWERED
from .files import read_each, read_release
from .options import require_no_name
from .output import DATA, as_data, say, say_error, show, styled, tell

if TYPE_CHECKING:
    from rich.text import Text


@frozen
class Found:
    """What a command found about one SpiceDB."""

    data: Any
    """For programs."""
    lines: Callable[[], Iterable[Text]]
    """For people."""
    code: int
    """The exit code."""


Look = Callable[[Cluster, SpiceDBProps], Found]


def look_at(options: argparse.Namespace, look: Look) -> int:
    """Looks at the SpiceDB of ``--file``, or at those of ``--each``, and returns the exit code: the worst of all."""
    if options.each is not None:
        return _each(options, look)
    props, destination = read_release(options)
    found = look(connect(options, destination), props)
    return tell(options, found.data, found.lines, found.code)


def _each(options: argparse.Namespace, look: Look) -> int:
    """Looks at each SpiceDB, even if one of them has an error."""
    require_no_name(options)
    destinations: dict[str, Destination] = {}
    files = read_each(options, destinations=destinations)
    clusters, reports, codes = connect_each(options, destinations), dict[str, Any](), [0]
    for file, props in files.items():
        title = f"{clusters[file].namespace}/{props.name}"
        try:
            found = look(clusters[file], props)
        except SpiceDBError as error:
            say_error(f"error: {title}: {error}")
            reports[title] = {"error": str(error)}
            codes.append(UNANSWERED if error.unanswered else NO)
            continue
        reports[title] = found.data
        codes.append(found.code)
        if options.output not in DATA:
            show([styled((f"{title}:", "bold")), *found.lines(), styled()])
    if options.output in DATA:
        say(as_data(reports, options.output))
    return max(codes)
