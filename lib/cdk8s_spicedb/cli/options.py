"""Options that several commands have."""

from __future__ import annotations

import argparse
import glob
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import InvalidProps, SpiceDBError
from ..props import SpiceDBProps, secret_keys
from ..props.chart import ChartMetadata
from ..props.rules.warnings import all_warnings
from ..text import some_of
from ..versions import ReleaseTable, known_releases

if TYPE_CHECKING:
    from rich.console import Console

    from ..files.read import Document
    from ..live.cluster import Cluster

STEM = "{}"
"""Stands in ``--namespace`` for the name of a file of ``--each``, without its ending."""


OF_FLEETS = ("canary", "wave_size", "parallel")
"""Options that belong to ``--each``."""


def at_least(least: int) -> Callable[[str], int]:
    """The type of an option that is a whole number, and at least so many."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise ValueError
        return value

    return number


def option_of(name: str) -> str:
    """The option with a name of the parsed options."""
    return f"--{name.replace('_', '-')}"


Commands = Any
"""argparse's own type of the object that adds commands, which is private."""
FILE = "spicedb.yaml"
_INPUT = "-"


def add_file(parser: argparse.ArgumentParser, text: str = f"file to read; defaults to {FILE}") -> None:
    """Adds ``--file``."""
    more = "- is standard input. Repeat the option to merge files: a later file takes precedence over earlier ones"
    parser.add_argument("-f", "--file", action="append", metavar="FILE", help=f"{text}. {more}")


def read_file(options: Any, *, delivery: str | None = None) -> SpiceDBProps:
    """The props in the files of ``--file``, merged. ``delivery`` takes precedence over that of the files."""
    from ..files.read import props_of

    return props_of(read_documents(options.file or [FILE]), delivery=delivery, releases=releases(options))


def add_chart(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a Helm chart."""
    text = "version of the Helm chart; defaults to 0.1.0"
    parser.add_argument("--chart-version", default="0.1.0", metavar="VERSION", help=text)
    text = "YAML file that says who distributes the Helm chart, such as {maintainers: [{name: …}], icon: https://…}"
    parser.add_argument("--chart-metadata", metavar="FILE", help=text)


def read_metadata(options: argparse.Namespace) -> ChartMetadata:
    """The content of the file of ``--chart-metadata``, or the defaults."""
    from ..files.read import metadata_of

    return metadata_of(read_document(options.chart_metadata)) if options.chart_metadata else ChartMetadata()


def read_documents(paths: Sequence[str]) -> Document:
    """The documents of files, merged in their order. ``-`` is standard input."""
    from ..files.read import merge

    if paths.count(_INPUT) > 1:
        raise SpiceDBError("standard input can be read only once; name - once")
    return reduce(merge, map(read_document, paths))


def read_document(path: str) -> Document:
    """The document of a file, or of standard input."""
    from ..files.read import document

    if path != _INPUT:
        return document(read(path, f"; `cdk8s-spicedb init` writes {FILE} to start with" if path == FILE else ""), path)
    try:
        return document(sys.stdin.buffer.read().decode(), "standard input")
    except UnicodeDecodeError:
        raise SpiceDBError("cannot read standard input: it is not UTF-8 text; write it as YAML") from None


def add_releases(parser: argparse.ArgumentParser) -> None:
    """Adds ``--releases``."""
    text = "YAML file with SpiceDB releases that this package does not know, such as {v1.99.0: {postgres: [revision]}}"
    parser.add_argument("--releases", metavar="FILE", help=text)


def releases(options: Any) -> ReleaseTable:
    """The known releases, with those of the file in ``--releases``."""
    table = known_releases()
    if options.releases is None:
        return table
    from ..files.yaml import load

    data, _ = load(read(options.releases), options.releases)
    if not isinstance(data, dict) or not all(isinstance(added, dict) for added in data.values()):
        raise SpiceDBError(f"{options.releases}: write releases as v1.99.0: {{postgres: [the-revision-that-it-adds]}}")
    for version, added in data.items():
        lists = {engine: revisions or [] for engine, revisions in added.items()}
        if not all(isinstance(name, str) for each in lists.values() for name in each):
            raise SpiceDBError(f"{options.releases}: {version}: give a list of revisions for each engine")
        try:
            table = table.with_release(str(version), lists)
        except SpiceDBError as error:
            raise SpiceDBError(f"{options.releases}: {error}") from None
    return table


def read(path: str, hint: str = "") -> str:
    """The text of a file."""
    try:
        return Path(path).read_bytes().decode()
    except OSError as error:
        raise SpiceDBError(f"cannot read {path}: {error.strerror}{hint}") from None
    except UnicodeDecodeError:
        raise SpiceDBError(f"cannot read {path}: it is not UTF-8 text; write it as YAML") from None


def needed_secrets(props: SpiceDBProps) -> str:
    """The Secrets to create before an installation, with their keys."""
    return ", ".join(f"{key.name} ({key.key})" for key in secret_keys(props))


def by_option(error: InvalidProps, command: str, options: Mapping[str, str]) -> InvalidProps:
    """An error in the words of the command line."""
    problems = [attrs.evolve(problem, field=options.get(problem.field, problem.field)) for problem in error.problems]
    return InvalidProps(f"cdk8s-spicedb {command}", problems)


_EXTRA = "this command needs more libraries; install them with: pip install 'cdk8s-spicedb[live]'"


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Adds ``--namespace``, ``--context`` and ``--output``."""
    text = "namespace of the release; defaults to the one of the kubeconfig's context"
    parser.add_argument("-n", "--namespace", metavar="NAME", help=text)
    text = "context of the kubeconfig; defaults to the current one"
    parser.add_argument("--context", metavar="NAME", help=text)
    text = "format; defaults to text. The documentation has the schema of the JSON"
    parser.add_argument("--output", choices=("text", "json"), default="text", help=text)


def printing(text: Callable[[argparse.Namespace], str]) -> Callable[[argparse.Namespace], int]:
    """A command that prints a text, and succeeds."""

    def run(options: argparse.Namespace) -> int:
        print(text(options))
        return 0

    return run


def require_yes(options: Any) -> None:
    """Raises `SpiceDBError` if the options leave a question that nobody can answer."""
    if options.output == "json" and not options.yes:
        raise SpiceDBError("--output json cannot ask for confirmation: add --yes")


def connect(options: Any, patience_seconds: float = 0) -> Cluster:
    """The cluster and namespace of the options. Raises `SpiceDBError` if the extra ``live`` is not installed."""
    try:
        from ..live.cluster import Cluster
    except ModuleNotFoundError:
        raise SpiceDBError(_EXTRA) from None
    return Cluster.connect(namespace=options.namespace, context=options.context, patience_seconds=patience_seconds)


def console() -> Console:
    """Writes to standard output: with colors on a terminal, as plain lines elsewhere."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False) if _is_terminal() else Console(highlight=False, width=1000)


def _is_terminal() -> bool:
    import sys

    return sys.stdout.isatty()


def as_json(value: Any) -> str:
    """Attrs objects as JSON, with the names of their fields."""
    return json.dumps(attrs.asdict(value, value_serializer=_plain), indent=2)


def _plain(_: type, __: Any, value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


SHOWN = 5
"""How many files with problems, or names of files, a command prints."""


def read_each(options: Any, *, delivery: str | None = None) -> dict[str, SpiceDBProps]:
    """The props of each file of ``--each``, merged with the files of ``--file``, by the name of the file.

    ``delivery`` takes precedence over that of the files. Raises one `SpiceDBError` about all files with problems.
    """
    from ..files.read import merge, props_of

    base = read_documents(options.file) if options.file else None
    table, found, invalid = releases(options), dict[str, SpiceDBProps](), list[SpiceDBError]()
    for name, path in _paths(options.each).items():
        try:
            own = read_document(path)
            document = merge(base, own) if base else own
            found[name] = props_of(document, delivery=delivery, releases=table)
        except SpiceDBError as error:
            invalid.append(error)
    if invalid:
        more = len(invalid) - SHOWN
        raise SpiceDBError(
            "\n".join([*map(str, invalid[:SHOWN]), *([f"{more} more files have problems"] if more > 0 else [])])
        )
    return found


def _paths(patterns: Sequence[str]) -> dict[str, str]:
    """The paths of the files, by their names without an ending. Also expands patterns, for shells that do not."""
    found: dict[str, str] = {}
    for pattern in patterns:
        if pattern == "-":
            raise SpiceDBError("--each cannot read standard input, which has no name; pass it to --file")
        paths = [pattern] if Path(pattern).exists() or not glob.has_magic(pattern) else sorted(glob.glob(pattern))
        if not paths:
            raise SpiceDBError(f"cannot read {pattern}: no file has such a name")
        for path in paths:
            name = Path(path).stem
            if name in found:
                raise SpiceDBError(f"{found[name]} and {path} both have the name {name}; rename one of them")
            found[name] = path
    return found


def warn(found: Mapping[str, SpiceDBProps]) -> None:
    """Prints each warning once, with the names of the files that it is about."""
    about: dict[str, list[str]] = {}
    for name, props in found.items():
        for warning in all_warnings(props):
            about.setdefault(warning, []).append(name)
    for warning, names in about.items():
        print(f"Warning for {some_of(names, SHOWN)}: {warning}", file=sys.stderr)
