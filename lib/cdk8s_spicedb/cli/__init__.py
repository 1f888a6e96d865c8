"""The command line, ``cdk8s-spicedb``. It starts no node."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from ..errors import SpiceDBError
from .options import command_line

__all__ = ["command_line", "main"]

_MODULES = {"schema": "init"}
"""The module of a command, if it has another name."""
_CHANGING = ("upgrade", "rollback")
"""Commands whose exit code says what became of a change, whatever becomes of their output."""
_EXTRA = "this command needs more libraries; install them with: pip install 'cdk8s-spicedb[live]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command, which prints its output. Returns 0 when it is done, and 1 when it was refused; wrong usage exits
    with 2."""
    words = sys.argv[1:] if arguments is None else arguments
    options = command_line().parse_args(words)
    options.words = tuple(words)
    code: int | None = None
    try:
        code = _run(options.command, options)
        print(end="", flush=True)  # There is no sys.stdout if it was closed.
        return code
    except SpiceDBError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        # Python would report the error once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if options.command not in _CHANGING and isinstance(error, BrokenPipeError):
            return code or 0  # The reader, such as head, has what it wants.
        print(f"cannot write the output: {error.strerror}", file=sys.stderr)
        return code if options.command in _CHANGING and code is not None else 1


def _run(command: str, options: object) -> int:
    """Loads only the module of the command: a plan is quick, and needs no client for a cluster."""
    try:
        module = import_module(f".{_MODULES.get(command, command)}", __name__)
    except ModuleNotFoundError:
        raise SpiceDBError(_EXTRA) from None
    code: int = module.run(options)
    return code
