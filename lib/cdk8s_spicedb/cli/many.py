"""The files of ``--each``: each describes one SpiceDB, together with the files of ``--file``."""

from __future__ import annotations

import argparse
import glob
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import SpiceDBError, some_of
from ..props import SpiceDBProps
from ..props.rules.warnings import all_warnings
from .options import read_document, read_documents, releases

SHOWN = 5
"""How many files with problems, or names of files, a command prints."""


def read_each(options: argparse.Namespace, *, delivery: str | None = None) -> dict[str, SpiceDBProps]:
    """The props of each file of ``--each``, merged with the files of ``--file``, by the name of the file.

    ``delivery`` takes precedence over that of the files. Raises one `SpiceDBError` about all files with problems.
    """
    from ..files.merge import merge
    from ..files.read import props_of

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
