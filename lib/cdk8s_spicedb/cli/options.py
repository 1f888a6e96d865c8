"""Options that several commands have, and what they say."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from ..errors import InvalidProps, SpiceDBError
from ..versions import ReleaseTable, known_releases

FILE = "spicedb.yaml"
STEM = "{}"
"""Stands in ``--namespace`` for the name of a file of ``--each``, without its ending."""
RECORDED = ""
"""The value of ``--restore`` without a file: the backup in the record of the upgrade."""
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
_NUMBER = re.compile(r"([0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?)([kmb]?)", re.IGNORECASE)

Commands = Any
"""argparse's own type of the object that adds commands, which is private."""


def add_file(parser: argparse.ArgumentParser, text: str = f"file to read; defaults to {FILE}") -> None:
    """Adds ``--file``."""
    more = "- is standard input. Repeat the option to merge files: a later file takes precedence over earlier ones"
    parser.add_argument("-f", "--file", action="append", metavar="FILE", help=f"{text}. {more}")


def add_releases(parser: argparse.ArgumentParser) -> None:
    """Adds ``--releases``."""
    text = (
        "YAML file with SpiceDB releases that this package does not know, such as {v1.99.0: {postgres: [revision]}}. "
        "`learn` writes one"
    )
    parser.add_argument("--releases", metavar="FILE", help=text)


def add_cluster(parser: argparse.ArgumentParser, formats: Sequence[str] = ("text", "json")) -> None:
    """Adds the options of a cluster, and ``--output``."""
    add_place(parser)
    text = "format; defaults to text. The documentation has the schema of the JSON"
    parser.add_argument("--output", choices=formats, default="text", help=text)


def add_place(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a cluster."""
    text = "namespace of the release; defaults to the one of the kubeconfig's context"
    parser.add_argument("-n", "--namespace", metavar="NAME", help=text)
    text = "context of the kubeconfig; defaults to the current one"
    parser.add_argument("--context", metavar="NAME", help=text)


def at_least(least: int) -> Callable[[str], int]:
    """The type of an option: an integer with a minimum."""

    def number(text: str) -> int:
        if not text.strip().lstrip("+-").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return number


def amount(text: str) -> int:
    """The type of an option: a number such as 10000000, 10_000_000, 10M, 1.5M or 500k."""
    found = _NUMBER.fullmatch(text.strip())
    value = Decimal(found[1].replace("_", "")) * _UNITS[found[2].lower()] if found else Decimal(0)
    if value < 1 or value != value.to_integral_value():
        allowed = "write it as 10000000, 10_000_000, 10M, 1.5M or 500k"
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of relationships; {allowed}")
    return int(value)


def require_yes(options: Any) -> None:
    """Raises `SpiceDBError` if the options leave a question that nobody can answer."""
    if options.output == "json" and not options.yes:
        raise SpiceDBError("--output json cannot ask for confirmation: add --yes")


def releases(options: Any) -> ReleaseTable:
    """The known releases, with those of the file in ``--releases``."""
    table = known_releases()
    if options.releases is None:
        return table
    # Commands without a file do not load YAML.
    from ..files.releases import with_file
    from ..files.yaml import load

    data, _ = load(read(options.releases), options.releases)
    try:
        return with_file(table, data)
    except SpiceDBError as error:
        raise SpiceDBError(f"{options.releases}: {error}") from None


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
