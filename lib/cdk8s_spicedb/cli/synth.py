"""``cdk8s-spicedb synth``: writes a Helm chart or manifests from a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from ..delivery import Delivery
from ..errors import InvalidProps
from ..props import SpiceDBProps
from ..props.rules.warnings import all_warnings
from .options import (
    FILE,
    Commands,
    add_chart,
    add_file,
    add_releases,
    by_option,
    needed_secrets,
    read_file,
    read_metadata,
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
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> str:
    from ..files.write import write_manifests
    from ..helm import write_helm_chart

    if options.each is not None:
        from .each import write_each

        return write_each(options)
    props = read_file(options, delivery=options.delivery)
    for warning in all_warnings(props):
        print(f"Warning: {warning}", file=sys.stderr)
    if props.delivery is Delivery.HELM:
        metadata = read_metadata(options)
        try:
            write_helm_chart(options.output, props, version=options.chart_version, metadata=metadata)
        except InvalidProps as error:
            raise by_option(error, "synth", {"version": "--chart-version"}) from None
    else:
        write_manifests(options.output, props)
    return "\n".join(_next(options.output, props))


def _next(folder: str, props: SpiceDBProps) -> Iterator[str]:
    """What was written, and what to do next."""
    yield f"Wrote {folder}: SpiceDB {props.version} on {props.datastore.engine}, for {props.delivery.value}."
    yield f"Create these Secrets before you install, with these keys: {needed_secrets(props)}."
    command = props.delivery.next_command(folder, props.name, props.migration.helm_timeout)
    yield f"Next: {command}"
