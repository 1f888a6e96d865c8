"""Options that several commands have."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import InvalidProps, SpiceDBError
from ..props import SpiceDBProps, secret_keys
from ..props.chart import ChartMetadata
from ..releases import ReleaseTable, known_releases

if TYPE_CHECKING:
    from ..files.merge import Document

Commands = Any
"""argparse's own type of the object that adds commands, which is private."""
FILE = "spicedb.yaml"
_INPUT = "-"


def add_file(parser: argparse.ArgumentParser, text: str = f"file to read; defaults to {FILE}") -> None:
    """Adds ``--file``."""
    more = "- is standard input. Repeat the option to merge files: a later file takes precedence over earlier ones"
    parser.add_argument("-f", "--file", action="append", metavar="FILE", help=f"{text}. {more}")


def read_file(options: argparse.Namespace, *, delivery: str | None = None) -> SpiceDBProps:
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
    from ..files.merge import merge

    if paths.count(_INPUT) > 1:
        raise SpiceDBError("standard input can be read only once; name - once")
    return reduce(merge, map(read_document, paths))


def read_document(path: str) -> Document:
    """The document of a file, or of standard input."""
    from ..files.merge import document

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


def releases(options: argparse.Namespace) -> ReleaseTable:
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
