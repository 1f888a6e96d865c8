"""The command line, ``cdk8s-spicedb``; it starts no node where none is needed."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import attrs

from .datastore.engines import ENGINES
from .delivery import Delivery
from .errors import InvalidProps, SpiceDBError
from .modes import SCHEMA_MODES
from .plan import plan_upgrade
from .props import SpiceDBProps, secret_keys
from .releases import known_releases
from .table import table

_FILE = "spicedb.yaml"
_OPTIONS = {
    "current": "--from",
    "target": "--to",
    "schema_mode": "--schema-mode",
    "current_schema_mode": "--current-schema-mode",
}
"""By what `plan_upgrade` calls it, the option."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0 when it is done and 1 when it was refused. Wrong usage exits with 2, as ever."""
    options = _parser().parse_args(arguments)
    try:
        print(options.run(options))
    except SpiceDBError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cdk8s-spicedb", description="SpiceDB on Kubernetes, without Python.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_init(
        commands.add_parser(
            "init",
            help="a commented file to begin with",
            description="Writes a commented file that describes a SpiceDB, to begin with.",
        )
    )
    _add_synth(
        commands.add_parser(
            "synth",
            help="a Helm chart or manifests from such a file",
            description="Reads a file that describes a SpiceDB, and writes a Helm chart or manifests.",
            epilog="Exit code: 0 when it is written, 1 where something is wrong (told on stderr; nothing is written), "
            "2 for wrong usage.",
        )
    )
    schema = commands.add_parser(
        "schema",
        help="the JSON Schema of such a file, for editors",
        description="Prints the JSON Schema of a file that describes a SpiceDB, for editors.",
    )
    schema.set_defaults(run=_schema)
    _add_plan(
        commands.add_parser(
            "plan",
            help="the steps from one release of SpiceDB to another",
            description="Prints the steps that lead from one release of SpiceDB to another while it serves.",
            epilog="Exit code: 0 with a plan, 1 where there is no way (the reason is on stderr), 2 for wrong usage.",
        )
    )
    return parser


# ---------------------------------------------------------------- a file, and what is made of it


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default=_FILE, metavar="FILE", help=f"default: {_FILE}")
    parser.set_defaults(run=_init)


def _init(options: argparse.Namespace) -> str:
    text = (files(__package__) / "init.yaml").read_text("utf-8").replace("VERSION", known_releases().newest)
    try:
        with open(options.output, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise SpiceDBError(f"{options.output} exists already; choose another with --output, or remove it") from None
    except OSError as error:
        raise SpiceDBError(f"{options.output} cannot be written: {error.strerror}") from None
    return f"{options.output} is written. Look through it, then: cdk8s-spicedb synth --file {options.output}"


def _add_synth(parser: argparse.ArgumentParser) -> None:
    deliveries = [delivery.value for delivery in Delivery]
    parser.add_argument("-f", "--file", default=_FILE, metavar="FILE", help=f"default: {_FILE}; - is standard input")
    parser.add_argument("-o", "--output", default="dist", metavar="FOLDER", help="default: dist; it is replaced whole")
    parser.add_argument("--delivery", choices=deliveries, help="who applies it; default: what the file says, or helm")
    parser.add_argument("--chart-version", default="0.1.0", metavar="VERSION", help="of a Helm chart; default: 0.1.0")
    parser.set_defaults(run=_synth)


def _synth(options: argparse.Namespace) -> str:
    from .write import write_helm_chart, write_manifests

    props = _read(options)
    for warning in _warnings(props):
        print(f"Warning: {warning}", file=sys.stderr)
    if props.delivery is Delivery.HELM:
        try:
            write_helm_chart(options.output, props, version=options.chart_version)
        except InvalidProps as error:
            raise _by_option(error, "synth", {"version": "--chart-version"}) from None
    else:
        write_manifests(options.output, props)
    return "\n".join(_next(options.output, props))


def _read(options: argparse.Namespace) -> SpiceDBProps:
    from .file import read_props

    name = "standard input" if options.file == "-" else options.file
    try:
        data = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
        text = data.decode()
    except OSError as error:
        fix = "`cdk8s-spicedb init` writes one to begin with"
        raise SpiceDBError(f"{name} cannot be read: {error.strerror}; {fix}") from None
    except UnicodeDecodeError:
        raise SpiceDBError(f"{name} is no UTF-8 text; write it as YAML") from None
    return read_props(text, name, delivery=options.delivery)


def _warnings(props: SpiceDBProps) -> Iterator[str]:
    from .warning import phase_warning, version_warning

    phase = props.migration.target_phase
    yield from filter(None, [version_warning(props), phase_warning(phase.value) if phase else None])


def _next(folder: str, props: SpiceDBProps) -> Iterator[str]:
    """What was written, and what is done with it."""
    keys = ", ".join(f"{key.name} ({key.key})" for key in secret_keys(props))
    yield f"{folder} is written: SpiceDB {props.version} on {props.datastore.engine}, for {props.delivery.value}."
    yield f"It wants these Secrets and keys to be there: {keys}."
    helm = f"helm upgrade --install {props.name} {folder} --wait --timeout {props.migration.helm_timeout}"
    yield {
        Delivery.HELM: f"Next: {helm}",
        Delivery.ARGOCD: f"Next: commit {folder} where an Argo CD Application points to",
        Delivery.KUBECTL: f"Next: kubectl apply --filename {folder}",
    }[props.delivery]


def _schema(_: argparse.Namespace) -> str:
    from .schema import props_schema

    return json.dumps(props_schema(), indent=2, ensure_ascii=False)


# ---------------------------------------------------------------- a plan


def _add_plan(parser: argparse.ArgumentParser) -> None:
    modes = tuple(SCHEMA_MODES)
    newest = known_releases().newest
    parser.add_argument("--engine", required=True, choices=sorted(ENGINES), help="the datastore's engine")
    parser.add_argument("--from", required=True, dest="current", metavar="VERSION", help="the release that runs")
    parser.add_argument("--to", default=newest, dest="target", metavar="VERSION", help=f"default: {newest}")
    parser.add_argument("--schema-mode", choices=modes, help="move to unified schema storage, up to this mode")
    parser.add_argument("--current-schema-mode", choices=modes, help="the mode that runs; default: SpiceDB's own")
    parser.add_argument("--output", choices=("table", "json"), default="table", help="default: table")
    parser.set_defaults(run=_plan)


def _plan(options: argparse.Namespace) -> str:
    try:
        plan = plan_upgrade(
            ENGINES[options.engine],
            options.current,
            options.target,
            schema_mode=options.schema_mode,
            current_schema_mode=options.current_schema_mode,
        )
    except InvalidProps as error:
        raise _by_option(error, "plan", _OPTIONS) from None
    if options.output == "json":
        return json.dumps(attrs.asdict(plan), indent=2)
    return table(plan, width=shutil.get_terminal_size((100, 0)).columns)


def _by_option(error: InvalidProps, command: str, options: Mapping[str, str]) -> InvalidProps:
    """An error in the words of the command line."""
    problems = [attrs.evolve(problem, field=options.get(problem.field, problem.field)) for problem in error.problems]
    return InvalidProps(f"cdk8s-spicedb {command}", problems)
