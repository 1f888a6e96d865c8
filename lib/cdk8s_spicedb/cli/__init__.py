"""The command line, ``cdk8s-spicedb``. It starts no node."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..errors import SpiceDBError
from . import check, diff, init, plan, releases, rollback, status, synth, upgrade

_DESCRIPTION = (
    "Writes Helm charts and manifests for SpiceDB on Kubernetes from a YAML file, plans upgrades, and operates a live "
    "release: what runs, whether it can be upgraded, the upgrade, and the way back."
)


def command_line() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(prog="cdk8s-spicedb", description=_DESCRIPTION)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (init, synth, plan, releases, status, check, diff, upgrade, rollback):
        command.add_to(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command, which prints its output. Returns 0 when it is done, and 1 when it was refused; wrong usage exits
    with 2."""
    words = sys.argv[1:] if arguments is None else arguments
    options = command_line().parse_args(words)
    options.words = tuple(words)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except SpiceDBError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader, such as head, has what it wants. Python would report the error once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
