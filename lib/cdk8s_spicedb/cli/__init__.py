"""The command line, ``cdk8s-spicedb``. It starts no node."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module

from ..errors import SpiceDBError
from .commands import command_line
from .exits import INTERRUPTED, NO, UNANSWERED
from .old import modern
from .options import placed
from .output import say_error
from .parser import Parser
from .signals import signals_end_work

__all__ = ["command_line", "main"]

_MODULES = {"json-schema": "init", "restore": "backup", "compare": "backup"}
"""The module of a command, if it has another name."""
_DEBUG = "CDK8S_SPICEDB_DEBUG"
"""Variable that shows where an error came from."""
_EXTRA = "this command needs more libraries; install them with: pip install 'cdk8s-spicedb[{}]'"
_OF_LIVE = ("cryptography", "httpx2", "prometheus_client", "rich")
_OF_DATA = ("authzed", "cramjam", "fastavro", "google", "grpc")
"""The modules of the extras ``live`` and ``data``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command, which prints its output. Returns its exit code; see `exits`. Wrong usage exits with 2."""
    given = sys.argv[1:] if arguments is None else arguments
    options = None
    try:
        with signals_end_work():
            parser = command_line()
            if not given:
                parser.print_help()
                return 0
            parser.require_command(given[0])
            words = modern(given)
            options = parser.parse_args(words)
            options.words = tuple(words)
            return _help(parser, options.about) if options.command == "help" else _run(options.command, options)
    except KeyboardInterrupt:
        say_error("Interrupted.")
        return INTERRUPTED
    except SpiceDBError as error:
        say_error(f"error: {placed(str(error), options)}")
        return UNANSWERED if options and error.unanswered and UNANSWERED in options.codes else NO
    except OSError as error:
        say_error(f"error: {error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except Exception as error:
        if _DEBUG in os.environ:
            raise
        name = type(error).__name__
        say_error(f"error: unexpected {name}: {error}; set {_DEBUG}=1 to see the traceback, and report it")
    return NO


def _help(parser: Parser, command: str | None) -> int:
    (parser.command(command) if command else parser).print_help()
    return 0


def _told(options: argparse.Namespace) -> AbstractContextManager[None]:
    """Prints what the command does, with ``--verbose``."""
    if not getattr(options, "verbose", False):
        return nullcontext()
    from .verbose import told  # Without it, nothing is logged.

    return told()


def _run(command: str, options: argparse.Namespace) -> int:
    """Loads only the module of the command: a plan is quick, and needs no client for a cluster."""
    extra = "live"
    try:
        module = import_module(f".{_MODULES.get(command, command)}", __name__)
        extra = ""  # A command loads only what the extra `data` brings when it runs.
        with _told(options):
            code: int = module.run(options)
        return code
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _OF_DATA:
            extra = "live,data"
        elif (error.name or "").partition(".")[0] in _OF_LIVE:
            extra = "live"
        if not extra:
            raise
        raise SpiceDBError(_EXTRA.format(extra)) from None
