"""``cdk8s-spicedb check``: checks whether a release can be installed or upgraded."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..text import count
from .options import Commands, add_cluster, add_file, add_releases, as_json, connect, console, read_file

if TYPE_CHECKING:
    from rich.text import Text

    from ..live.check.check import CheckReport
    from ..live.check.finding import Finding, Level


_STYLES = {"ok": "green", "warning": "yellow", "failure": "bold red"}


def add_to(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "check",
        help="check whether the release of a file can be installed or upgraded",
        description="Checks Secrets, rights, objects, quotas, images, the database and the plan of an upgrade, and "
        "changes nothing. It makes dry runs, and starts short-lived pods that ask the database or pull images.",
        epilog="Exit code: 0 if there is no failure, 1 if there is one or an error, 2 for wrong usage.",
    )
    add_file(parser)
    add_releases(parser)
    parser.add_argument("--no-database", action="store_true", help="start no pod that asks the database")
    text = "image of the pod that asks the database; defaults to an official one of the engine"
    parser.add_argument("--database-image", metavar="IMAGE", help=text)
    text = "also pull every image of the release and of the plan, each in a short-lived pod"
    parser.add_argument("--pull-images", action="store_true", help=text)
    add_cluster(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    props = read_file(options)
    cluster = connect(options)
    from ..live.check.check import check

    report = check(
        cluster,
        props,
        database=not options.no_database,
        database_image=options.database_image,
        pull_images=options.pull_images,
    )
    if options.output == "json":
        print(as_json(report))
    else:
        _print(report)
    sys.stdout.flush()
    return 0 if report.ok else 1


def _print(report: CheckReport) -> None:
    out = console()
    for line in lines(report):
        out.print(line, soft_wrap=True)


def lines(report: CheckReport, *, but: Level | None = None) -> Iterator[Text]:
    """A line for each finding, one for its fix, and one with the numbers of findings. Leaves out one level."""
    from rich.text import Text

    shown = [finding for finding in report.findings if finding.level is not but]
    width = max((len(finding.subject) for finding in shown), default=0)
    for finding in shown:
        level = finding.level.value
        yield Text.assemble((f"{level:9}", _STYLES[level]), f"{finding.subject:{width}}  {_one_line(finding.text)}")
        if finding.fix:
            yield Text(f"{'':9}{'':{width}}  fix: {_one_line(finding.fix)}")
    yield Text(summary(report.findings))


def summary(findings: Sequence[Finding]) -> str:
    """The numbers of findings in one line."""
    counts = {level: sum(finding.level.value == level for finding in findings) for level in _STYLES}
    failures, warnings = counts["failure"], counts["warning"]
    return f"{count(failures, 'failure')}, {count(warnings, 'warning')}, {counts['ok']} ok"


def _one_line(text: str) -> str:
    return " ".join(text.split())
