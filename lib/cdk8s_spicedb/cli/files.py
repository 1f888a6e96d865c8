"""Reads the files that the options name."""

from __future__ import annotations

import glob
import sys
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from ..errors import SpiceDBError
from ..files.read import Destination, Document, destination_of, document, merge, props_of
from ..props import SpiceDBProps
from ..props.rules.warnings import all_warnings
from ..text import some_of
from .options import FILE, read, releases
from .output import say_error

SHOWN = 5
"""How many files with problems, or names of files, a command prints."""
_INPUT = "-"


def read_release(options: Any, *, delivery: str | None = None) -> tuple[SpiceDBProps, Destination]:
    """The props in the files of ``--file``, and the namespace and context that the files set. ``delivery`` takes
    precedence over that of the files. Raises `SpiceDBError` if they describe a SpiceDB other than NAME."""
    name, paths = getattr(options, "name", None), options.file or [FILE]
    if name is not None and not options.file and not Path(FILE).exists():
        raise SpiceDBError(
            f"there is no {FILE} in this folder; add --file with the file that describes {name}, because "
            f"`{options.command}` compares it with what runs"
        )
    found = read_documents(paths)
    props = props_of(found, delivery=delivery, releases=releases(options))
    if name not in (None, props.name):
        raise SpiceDBError(
            f"{some_of(paths, SHOWN)} {'describes' if len(paths) == 1 else 'describe'} {props.name}, not {name}; name "
            f"the file of {name} with --file, or leave out {name}"
        )
    return props, destination_of(found)


def read_documents(paths: Sequence[str]) -> Document:
    """The documents of files, merged in their order. ``-`` is standard input."""
    if paths.count(_INPUT) > 1:
        raise SpiceDBError("standard input can be read only once; name - once")
    return reduce(merge, map(read_document, paths))


def read_document(path: str) -> Document:
    """The document of a file, or of standard input."""
    if path != _INPUT:
        return document(read(path, _hint(path)), path)
    if sys.stdin is None:
        raise SpiceDBError("cannot read standard input: it is closed")
    try:
        return document(sys.stdin.buffer.read().decode(), "standard input")
    except UnicodeDecodeError:
        raise SpiceDBError("cannot read standard input: it is not UTF-8 text; send UTF-8") from None


def _hint(path: str) -> str:
    """What to do if a file does not exist."""
    others = [Path(path).with_suffix(ending) for ending in (".yaml", ".yml") if Path(path).name]
    other = next((each for each in others if each != Path(path) and each.exists()), None)
    if other:
        return f"; there is {other}: rename it, or add --file {other}"
    return f"; `cdk8s-spicedb init` writes a first {FILE}" if path == FILE else ""


def read_each(
    options: Any, *, delivery: str | None = None, destinations: dict[str, Destination] | None = None
) -> dict[str, SpiceDBProps]:
    """The props of each file of ``--each``, merged with the files of ``--file``, by the name of the file.
    ``destinations`` gets where each file says that its SpiceDB belongs.

    ``delivery`` takes precedence over that of the files. Raises one `SpiceDBError` about all files with problems.
    """
    base = read_documents(options.file) if options.file else None
    table, found, invalid = releases(options), dict[str, SpiceDBProps](), list[str]()
    for name, path in paths_of(options.each).items():
        try:
            own = read_document(path)
            whole = merge(base, own) if base else own
            found[name] = props_of(whole, delivery=delivery, releases=table)
            if destinations is not None:
                destinations[name] = destination_of(whole)
        except SpiceDBError as error:
            invalid.append(str(error))
    if invalid:
        more = len(invalid) - SHOWN
        raise SpiceDBError("\n".join(invalid[:SHOWN]) + (f"\n{more} more files have problems" if more > 0 else ""))
    return found


def paths_of(patterns: Sequence[str]) -> dict[str, str]:
    """The paths of the files, by their names without an ending. Also expands patterns, for shells that do not."""
    found: dict[str, str] = {}
    for pattern in patterns:
        if pattern == _INPUT:
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
        say_error(f"warning: {some_of(names, SHOWN)}: {warning}")
