"""The command line, ``cdk8s-spicedb``. It starts no node."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from ..errors import SpiceDBError
from .options import command_line
from .output import say_error

__all__ = ["command_line", "main"]

_MODULES = {"schema": "init"}
"""The module of a command, if it has another name."""
_EXTRA = "this command needs more libraries; install them with: pip install 'cdk8s-spicedb[live]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command, which prints its output. Returns 0 when it is done, and 1 when it was refused; wrong usage exits
    with 2."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        options = command_line().parse_args(words)
        options.words = tuple(words)
        return _run(options.command, options)
    except SpiceDBError as error:
        say_error(str(error))
    except OSError as error:
        say_error(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    return 1


def _run(command: str, options: object) -> int:
    """Loads only the module of the command: a plan is quick, and needs no client for a cluster."""
    try:
        module = import_module(f".{_MODULES.get(command, command)}", __name__)
    except ModuleNotFoundError:
        raise SpiceDBError(_EXTRA) from None
    code: int = module.run(options)
    return code
