"""Options that several commands have."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from ..errors import InvalidProps, SpiceDBError
from ..props import SpiceDBProps
from ..releases import ReleaseTable, known_releases

Commands = Any
"""argparse's own type of the object that adds commands, which is private."""
FILE = "spicedb.yaml"


def add_file(parser: argparse.ArgumentParser) -> None:
    """Adds ``--file``."""
    text = f"file to read, or - for standard input; defaults to {FILE}"
    parser.add_argument("-f", "--file", default=FILE, metavar="FILE", help=text)


def read_file(options: argparse.Namespace, *, delivery: str | None = None) -> SpiceDBProps:
    """The props in the file of ``--file``. ``delivery`` takes precedence over that of the file."""
    from ..files.read import read_props

    if options.file == "-":
        name = "standard input"
        try:
            text = sys.stdin.buffer.read().decode()
        except UnicodeDecodeError:
            raise SpiceDBError("cannot read standard input: it is not UTF-8 text; write it as YAML") from None
    else:
        name, text = options.file, read(options.file, "; `cdk8s-spicedb init` writes one to start with")
    return read_props(text, name, delivery=delivery, releases=releases(options))


def add_releases(parser: argparse.ArgumentParser) -> None:
    """Adds ``--releases``."""
    text = "YAML file with SpiceDB releases that this program does not know, such as {v1.99.0: {postgres: [revision]}}"
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


def by_option(error: InvalidProps, command: str, options: Mapping[str, str]) -> InvalidProps:
    """An error in the words of the command line."""
    problems = [attrs.evolve(problem, field=options.get(problem.field, problem.field)) for problem in error.problems]
    return InvalidProps(f"cdk8s-spicedb {command}", problems)
