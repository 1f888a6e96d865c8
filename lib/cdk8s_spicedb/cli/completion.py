"""``cdk8s-spicedb completion``: prints a script with which a shell completes commands, options and values."""

from __future__ import annotations

import argparse
from typing import Any

import shtab

from .commands import command_line
from .output import say
from .parser import PROGRAM, Parser

_ASK = "kubectl {} --output name --request-timeout 2s 2>/dev/null | sed 's,.*/,,'"
_COMPLETERS: dict[str, Any] = {
    "FILE": shtab.FILE,
    "BACKUP": shtab.FILE,
    "PROGRAM": shtab.FILE,
    "FOLDER": shtab.DIRECTORY,
    "context": shtab.cmd("kubectl config get-contexts --output name 2>/dev/null"),
    "namespace": shtab.cmd(_ASK.format("get namespaces")),
}
"""What completes an argument, by its name in the code or its placeholder."""


def run(options: argparse.Namespace) -> int:
    """Prints the script."""
    parser = command_line()
    parser.prog = PROGRAM
    _complete(parser)
    say(shtab.complete(parser, shell=options.shell).rstrip())
    return 0


def _complete(parser: Parser) -> None:
    """Says what completes the arguments of a parser, and of its commands."""
    for action in parser._actions:
        completer = _COMPLETERS.get(action.dest) or _COMPLETERS.get(str(action.metavar))
        if completer is not None:
            action.complete = completer  # type: ignore[attr-defined]
    for each in parser.commands.values():
        _complete(each)
