"""``cdk8s-spicedb check``: checks whether a release can be installed or upgraded."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs

from ..live.check.check import CheckOptions, CheckReport, check
from ..live.check.finding import Level
from ..live.cluster import Cluster
from ..props import SpiceDBProps
from ..text import count
from .each import Found, look_at
from .exits import DONE, NO
from .options import placed
from .output import BAD, BUSY, GOOD, styled

if TYPE_CHECKING:
    from rich.text import Text

_STYLES = {Level.OK: GOOD, Level.WARNING: BUSY, Level.FAILURE: BAD}


def run(options: argparse.Namespace) -> int:
    """Checks, and prints what was found."""

    def look(cluster: Cluster, props: SpiceDBProps) -> Found:
        report = check(cluster, props, **attrs.asdict(chosen(options)))
        return Found(report, lambda: lines(report, options), DONE if report.ok else NO)

    return look_at(options, look)


def chosen(options: argparse.Namespace) -> CheckOptions:
    """What the options of `add_checks` say."""
    return CheckOptions(
        database=not options.no_database,
        database_image=options.database_image,
        pull_images=options.pull_images,
        schema=not options.no_schema,
    )


def lines(report: CheckReport, options: Any = None, *, but: Level | None = None) -> Iterator[Text]:
    """A line for each finding, one for its fix, and one with the numbers of findings. Leaves out one level."""
    shown = [finding for finding in report.findings if finding.level is not but]
    width = max((len(finding.subject) for finding in shown), default=0)
    for finding in shown:
        level = (f"{finding.level.value:9}", _STYLES[finding.level])
        yield styled(level, f"{finding.subject:{width}}  {_one_line(finding.text)}")
        if finding.fix:
            yield styled(f"{'':9}{'':{width}}  fix: {_one_line(placed(finding.fix, options))}")
    found = Counter(finding.level for finding in report.findings)
    problems = f"{count(found[Level.FAILURE], 'failure')}, {count(found[Level.WARNING], 'warning')}"
    yield styled(f"{problems}, {found[Level.OK]} ok")


def _one_line(text: str) -> str:
    return " ".join(text.split())
