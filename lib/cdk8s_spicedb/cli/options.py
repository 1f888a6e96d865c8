"""Options that several commands have, and what they say."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import attrs

from ..errors import InvalidProps, SpiceDBError
from ..versions import ReleaseTable, known_releases
from .output import DATA
from .parser import PROGRAM, Parser, program

FILE = "spicedb.yaml"
STEM = "{}"
"""Stands in ``--namespace`` for the name of a file of ``--each``, without its ending."""
RECORDED = ""
"""The value of ``--restore`` without a file: the backup in the record of the upgrade."""
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
_NUMBER = re.compile(r"([0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?)([kmb]?)", re.IGNORECASE)

Commands = Any
"""argparse's own type of the object that adds commands, which is private."""
Container = Any
"""What takes options: a parser, or a group of one. argparse's common type of both is private."""
FORMATS = ("text", *DATA)
TABLES = (*FORMATS, "markdown")
"""The formats of a command that prints tables."""


def add_command(
    commands: Commands,
    name: str,
    summary: str,
    description: str,
    *,
    examples: Mapping[str, str],
    codes: Mapping[int, str],
    page: str,
) -> Parser:
    """Adds a command. It runs the module of its name. ``summary`` is its line in the help of all commands; see
    `Parser` for the others."""
    parser: Parser = commands.add_parser(
        name, help=summary, summary=summary, description=description, examples=examples, codes=codes, page=page
    )
    parser.set_defaults(usage=parser.error, codes=parser.codes)
    return parser


def add_name(parser: Parser, text: str = "name of the SpiceDB; must be the name in the file") -> None:
    """Adds NAME."""
    parser.add_argument("name", nargs="?", metavar="NAME", help=text)


def add_file(parser: Container, text: str = f"file to read; defaults to {FILE}") -> None:
    """Adds ``--file``."""
    more = "Use - for standard input. To merge files, repeat the option: later files take precedence"
    parser.add_argument("-f", "--file", action="append", metavar="FILE", help=f"{text}. {more}")


def add_each(parser: Container, text: str) -> None:
    """Adds ``--each``."""
    parser.add_argument("--each", nargs="+", action="extend", metavar="FILE", help=text)


def add_releases(parser: Container) -> None:
    """Adds ``--releases``."""
    text = (
        "YAML file with SpiceDB releases that this package does not know, such as {v1.99.0: {postgres: [revision]}}. "
        "`learn` can write it"
    )
    parser.add_argument("--releases", metavar="FILE", help=text)


def add_output(parser: Container, formats: Sequence[str] = FORMATS, more: str = "") -> None:
    """Adds ``--output``."""
    text = f"format: {', '.join(formats)}; defaults to text{f'. {more}' if more else ''}"
    parser.add_argument("-o", "--output", choices=formats, default="text", metavar="FORMAT", help=text)


def add_common(parser: Parser, formats: Sequence[str] = FORMATS, more: str = "") -> None:
    """Adds what commands on a cluster have in common: ``--output``, ``--releases`` and the options of the cluster."""
    add_output(parser, formats, more)
    add_releases(parser)
    add_place(parser)


def add_checks(parser: Parser, *, pulls: bool) -> Container:
    """Adds the group of options that say what is checked. ``pulls`` is the default of ``--pull-images``."""
    checks = parser.add_argument_group("checks")
    checks.add_argument("--no-database", action="store_true", help="do not start the pod that asks the database")
    text = "image of the pod that asks the database; defaults to an official image for the engine"
    add_database_image(checks, text)
    text = "do not start the pods that read the SpiceDB schema and try it with each new release"
    checks.add_argument("--no-schema", action="store_true", help=text)
    default = "on by default" if pulls else "off by default"
    text = f"pull every image of the release and of the plan, each in a short-lived pod; {default}"
    checks.add_argument("--pull-images", action="store_true", default=pulls, help=text)
    checks.add_argument("--no-pull-images", action="store_false", dest="pull_images", help="do not pull the images")
    return checks


def add_database_image(parser: Container, text: str) -> None:
    """Adds ``--database-image``."""
    parser.add_argument("--database-image", metavar="IMAGE", help=text)


def add_place(parser: Parser, *, of_file: bool = True) -> None:
    """Adds the options of a cluster. ``of_file`` is whether a file can say where its SpiceDB belongs."""
    cluster, before = parser.add_argument_group("cluster"), "that of the file, or else to " if of_file else ""
    text = f"namespace of the SpiceDB; defaults to {before}that of the context"
    cluster.add_argument("-n", "--namespace", metavar="NAME", help=text)
    text = f"context of the kubeconfig; defaults to {before}the current one"
    cluster.add_argument("--context", metavar="NAME", help=text)
    text = "kubeconfig to read; takes precedence over KUBECONFIG. Defaults to ~/.kube/config"
    cluster.add_argument("--kubeconfig", metavar="FILE", help=text)
    text = "print requests to the cluster, and programs that are started, to standard error"
    cluster.add_argument("-v", "--verbose", action="store_true", help=text)


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
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; {allowed}")
    return int(value)


_DURATION = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")


def duration(text: str) -> int:
    """The type of an option: a duration as Kubernetes writes it, such as 90s, 5m or 1h30m. In seconds."""
    found = _DURATION.fullmatch(text.strip())
    if text.strip().isdecimal() and text.isascii():
        return int(text)
    if not found or not any(found.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration; write it as 90s, 5m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


_TAKE_FILES = ("check", "diff", "plan", "rehearse", "rollback", "status", "upgrade")
_HINT = re.compile(rf"`{PROGRAM} ({'|'.join(_TAKE_FILES)})( [^`]*)?`")


def again(options: Any, command: str, *more: str) -> str:
    """A command line for the same SpiceDB, with the files, namespace, context and kubeconfig of the options."""
    words = [word for file in getattr(options, "file", None) or () for word in ("-f", file)]
    for name in ("releases", "namespace", "context", "kubeconfig"):
        value = getattr(options, name, None)
        words += [f"--{name}", value] if value else []
    return f"{program()} {shlex.join([command, *more, *words])}"


def placed(text: str, options: Any) -> str:
    """A message, with the options for the same SpiceDB added to each command that it names."""

    def command(found: re.Match[str]) -> str:
        if "--" in (found[2] or "") or getattr(options, "each", None):
            return found[0]  # It is complete, or about one of many.
        return f"`{again(options, found[1], *shlex.split(found[2] or ''))}`"

    return _HINT.sub(command, text)


def require_yes(options: Any) -> None:
    """Raises `SpiceDBError` if the options leave a question that nobody can answer."""
    if options.output in DATA and not options.yes:
        raise SpiceDBError(f"--output {options.output} cannot ask for confirmation: add --yes")


def require_no_name(options: Any) -> None:
    """Ends the program if there is a NAME beside ``--each``."""
    if options.name is not None:
        options.usage("NAME is for one SpiceDB, and --each is for many; use only one of them")


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def only(found: Sequence[_Named], none: str) -> str:
    """The name of the only SpiceDB of several found ones. Raises `SpiceDBError`, with the text ``none`` if there is
    none."""
    if not found:
        raise SpiceDBError(none)
    if len(found) > 1:
        raise SpiceDBError(f"there are several SpiceDBs; name one of them: {', '.join(each.name for each in found)}")
    return found[0].name


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
        raise SpiceDBError(f"cannot read {path or 'a file without a name'}: {error.strerror}{hint}") from None
    except UnicodeDecodeError:
        raise SpiceDBError(f"cannot read {path}: it is not UTF-8 text; save it as UTF-8") from None


def by_option(error: InvalidProps, command: str, options: Mapping[str, str]) -> InvalidProps:
    """An error in the words of the command line."""
    problems = [attrs.evolve(problem, field=options.get(problem.field, problem.field)) for problem in error.problems]
    return InvalidProps(f"cdk8s-spicedb {command}", problems)


def agreed(name: str, option: str | None, of_file: str | None) -> str | None:
    """What an option or a file says. Raises `SpiceDBError` if they differ."""
    if option and of_file and option != of_file:
        raise SpiceDBError(
            f"--{name} is {option}, but the file sets the {name} {of_file}; correct one of them, or leave out --{name}"
        )
    return option or of_file
