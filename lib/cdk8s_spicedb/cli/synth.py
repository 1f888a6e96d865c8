"""``cdk8s-spicedb synth``: writes a Helm chart or manifests from a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from ..delivery import Delivery
from ..errors import InvalidProps, SpiceDBError
from ..props import SpiceDBProps, secret_keys
from ..props.rules.warnings import all_warnings
from .options import FILE, Commands, add_releases, by_option, read, releases


def add_to(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "synth",
        help="write a Helm chart or manifests from such a file",
        description="Reads a file that describes a SpiceDB, and writes a Helm chart or manifests.",
        epilog="Exit code: 0 if it was written, 1 if something is wrong (see stderr; nothing was written), 2 for wrong "
        "usage.",
    )
    deliveries = [delivery.value for delivery in Delivery]
    parser.add_argument("-f", "--file", default=FILE, metavar="FILE", help=f"defaults to {FILE}; - is standard input")
    parser.add_argument("-o", "--output", default="dist", metavar="FOLDER", help="defaults to dist; it is replaced")
    text = "tool that applies it; takes precedence over the file, defaults to helm"
    parser.add_argument("--delivery", choices=deliveries, help=text)
    text = "version of the Helm chart; defaults to 0.1.0"
    parser.add_argument("--chart-version", default="0.1.0", metavar="VERSION", help=text)
    add_releases(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> str:
    from ..files.write import write_manifests
    from ..helm import write_helm_chart

    props = _read(options)
    for warning in all_warnings(props):
        print(f"Warning: {warning}", file=sys.stderr)
    if props.delivery is Delivery.HELM:
        try:
            write_helm_chart(options.output, props, version=options.chart_version)
        except InvalidProps as error:
            raise by_option(error, "synth", {"version": "--chart-version"}) from None
    else:
        write_manifests(options.output, props)
    return "\n".join(_next(options.output, props))


def _read(options: argparse.Namespace) -> SpiceDBProps:
    from ..files.read import read_props

    if options.file == "-":
        name = "standard input"
        try:
            text = sys.stdin.buffer.read().decode()
        except UnicodeDecodeError:
            raise SpiceDBError("cannot read standard input: it is not UTF-8 text; write it as YAML") from None
    else:
        name, text = options.file, read(options.file, "; `cdk8s-spicedb init` writes one to start with")
    return read_props(text, name, delivery=options.delivery, releases=releases(options))


def _next(folder: str, props: SpiceDBProps) -> Iterator[str]:
    """What was written, and what to do next."""
    keys = ", ".join(f"{key.name} ({key.key})" for key in secret_keys(props))
    yield f"Wrote {folder}: SpiceDB {props.version} on {props.datastore.engine}, for {props.delivery.value}."
    yield f"Create these Secrets before you install, with these keys: {keys}."
    helm = f"helm upgrade --install {props.name} {folder} --wait --timeout {props.migration.helm_timeout}"
    yield {
        Delivery.HELM: f"Next: {helm}",
        Delivery.ARGOCD: f"Next: commit {folder} to the repository of an Argo CD Application",
        Delivery.KUBECTL: f"Next: kubectl apply --filename {folder}",
    }[props.delivery]
