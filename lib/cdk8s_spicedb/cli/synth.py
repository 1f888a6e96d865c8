"""``cdk8s-spicedb synth``: writes a Helm chart or manifests from a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping

from ..delivery import Delivery
from ..errors import InvalidProps
from ..props import SpiceDBProps
from ..props.chart import ChartMetadata
from ..props.rules.warnings import all_warnings
from ..text import count, some_of
from .options import (
    FILE,
    SHOWN,
    Commands,
    add_chart,
    add_file,
    add_releases,
    by_option,
    needed_secrets,
    printing,
    read_each,
    read_file,
    read_metadata,
    warn,
)


def add_to(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "synth",
        help=f"write a Helm chart or manifests from {FILE}",
        description="Reads a file with the settings of a SpiceDB, and writes a Helm chart or manifests.",
        epilog="Exit code: 0 if the output is written, 1 if there is an error (see stderr; nothing is written), 2 for "
        "wrong usage.",
    )
    deliveries = [delivery.value for delivery in Delivery]
    add_file(parser)
    text = (
        "files to write, each to a folder with the name of the file. Each is first merged with the files of --file. If "
        "one has a problem, nothing is written"
    )
    parser.add_argument("--each", nargs="+", metavar="FILE", help=text)
    text = "folder to write to; defaults to dist. The whole folder is replaced"
    parser.add_argument("-o", "--output", default="dist", metavar="FOLDER", help=text)
    text = "tool that applies the output; takes precedence over the file. Defaults to the one in the file, or to helm"
    parser.add_argument("--delivery", choices=deliveries, help=text)
    add_chart(parser)
    add_releases(parser)
    parser.set_defaults(run=printing(_run))


def _run(options: argparse.Namespace) -> str:
    from ..helm import write_release

    if options.each is not None:
        return write_each(options)
    props = read_file(options, delivery=options.delivery)
    for warning in all_warnings(props):
        print(f"Warning: {warning}", file=sys.stderr)
    metadata = read_metadata(options)
    _check(options.chart_version, metadata)
    write_release(options.output, props, version=options.chart_version, metadata=metadata)
    return "\n".join(_next(options.output, props))


def _next(folder: str, props: SpiceDBProps) -> Iterator[str]:
    """What was written, and what to do next."""
    yield f"Wrote {folder}: SpiceDB {props.version} on {props.datastore.engine}, for {props.delivery.value}."
    yield f"Create these Secrets before you install, with these keys: {needed_secrets(props)}."
    command = props.delivery.next_command(folder, props.name, props.migration.helm_timeout)
    yield f"Next: {command}"


def write_each(options: argparse.Namespace) -> str:
    """Writes a folder for each file of ``--each``: all of them, or none. Returns what was written."""
    from ..helm import write_all

    metadata = read_metadata(options)
    _check(options.chart_version, metadata)
    found = read_each(options, delivery=options.delivery)
    warn(found)
    changed = write_all(options.output, found, version=options.chart_version, metadata=metadata)
    return "\n".join(_summary(options.output, found, changed))


def _check(version: str, metadata: ChartMetadata) -> None:
    """Raises `InvalidProps` if Helm does not accept the version of the charts, or if their metadata is invalid."""
    from ..helm import require_chart

    try:
        require_chart("spicedb", version, metadata)
    except InvalidProps as error:
        raise by_option(error, "synth", {"version": "--chart-version"}) from None


def _summary(folder: str, found: Mapping[str, SpiceDBProps], changed: frozenset[str]) -> Iterator[str]:
    """What was written, and what to do next."""
    removed = sorted(changed - found.keys())
    what = f"{some_of(sorted(changed & found.keys()), SHOWN)} changed" if changed & found.keys() else "nothing changed"
    yield f"Wrote {folder}: {count(len(found), 'folder')}; {what}."
    if removed:
        yield f"Removed {some_of(removed, SHOWN)}, which no file describes any longer."
    name, props = next(iter(found.items()))
    keys = needed_secrets(props)
    yield f"Create the Secrets of each SpiceDB before you install it. For {name}, with these keys: {keys}."
    command = props.delivery.next_command(f"{folder}/{name}", props.name, props.migration.helm_timeout)
    yield f"Next, for each folder, such as {name}: {command}"
