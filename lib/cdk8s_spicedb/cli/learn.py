"""``cdk8s-spicedb learn``: asks a SpiceDB program for what this package has to know of its release."""

from __future__ import annotations

import argparse

from ..errors import SpiceDBError
from ..files.program import Learned, disagreements, find_program, learn
from ..files.releases import entry_of
from ..versions import ReleaseTable
from .options import releases
from .output import say, say_error


def run(options: argparse.Namespace) -> int:
    """Prints the entry of a file for ``--releases``, or writes it. Returns 1 if it contradicts the table."""
    table = releases(options)
    learned = learn(find_program(options.program), table)
    different = _contradictions(learned, table)
    text = entry_of(learned)
    if options.write is None:
        say(text.rstrip())
    else:
        _write(options.write, text)
        say(f"Wrote {options.write}. Pass it to the other commands with --releases {options.write}.")
    known = learned.version in table
    if different:
        say_error(f"error: the program and this package disagree about {learned.version}: {'; '.join(different)}.")
    elif known:
        say_error(f"This package knows {learned.version} already, and the program says the same. You need no file.")
    else:
        _say_what_is_left(learned, table)
    return 1 if different else 0


def _contradictions(learned: Learned, table: ReleaseTable) -> list[str]:
    return disagreements(learned, table) if learned.version in table else []


def _say_what_is_left(learned: Learned, table: ReleaseTable) -> None:
    new = [engine for engine, head in learned.heads.items() if head not in table.engines[engine].revisions]
    if new:
        say_error(
            f"{learned.version} has new migrations on {', '.join(new)}. A program names only the last one: if there "
            "are several, add the others before it, oldest first. Read the release notes for stops and long migrations."
        )


def _write(path: str, text: str) -> None:
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise SpiceDBError(f"{path} already exists; leave out --write, and add what is printed to it") from None
    except OSError as error:
        raise SpiceDBError(f"cannot write {path}: {error.strerror}; choose another file with --write") from None
