"""What the commands for a live release share: the cluster, the output and the question."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import Any

import attrs
from rich.console import Console
from rich.text import Text

from ..errors import SpiceDBError
from ..live.cluster import Cluster

GOOD, BAD, BUSY, FAINT = "green", "bold red", "yellow", "dim"
"""Styles of texts."""


def connect(options: Any, patience_seconds: float = 0) -> Cluster:
    """The cluster and namespace of the options."""
    return Cluster.connect(namespace=options.namespace, context=options.context, patience_seconds=patience_seconds)


def require_yes(options: Any) -> None:
    """Raises `SpiceDBError` if the options leave a question that nobody can answer."""
    if options.output == "json" and not options.yes:
        raise SpiceDBError("--output json cannot ask for confirmation: add --yes")


def ask(question: str) -> bool:
    """Asks a question on the terminal. Raises `SpiceDBError` if there is none."""
    if not sys.stdin.isatty():
        raise SpiceDBError("there is no terminal to ask on: add --yes to go on without a question")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """The reader, such as head, has what it wants. What is at work goes on, and its exit code stays true."""
        self.quiet = True
        drop_output()


def drop_output() -> None:
    """Sends the rest of the output nowhere. Python would otherwise report the same error once more when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def console() -> Console:
    """Writes to standard output: with colors on a terminal, as plain lines elsewhere."""
    return _Console(highlight=False) if sys.stdout.isatty() else _Console(highlight=False, width=1000)


def print_after(text: str) -> None:
    """Prints a text after something was changed. If it cannot be written, the exit code still tells the outcome."""
    try:
        print(text, flush=True)
    except (OSError, UnicodeError) as error:
        print(f"cannot write the output: {error}", file=sys.stderr)
        drop_output()


def show(lines: Iterable[Text]) -> None:
    """Prints lines, which the terminal itself wraps."""
    output = console()
    for line in lines:
        output.print(line, soft_wrap=True)


def as_json(value: Any) -> str:
    """Attrs objects as JSON, with the names of their fields."""
    return json.dumps(value, default=_plain, indent=2)


def _plain(value: Any) -> Any:
    return attrs.asdict(value, recurse=False) if attrs.has(type(value)) else value.value
