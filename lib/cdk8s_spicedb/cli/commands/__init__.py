"""All commands of ``cdk8s-spicedb``, with their options. A command runs in the module of its name."""

from __future__ import annotations

import argparse
from typing import Any

from ..output import say
from ..parser import PROGRAM, Parser, program
from .change import add_repair, add_rollback, add_upgrade
from .data import add_backup, add_compare, add_restore
from .install import add_install, add_uninstall
from .look import add_check, add_diff, add_status
from .more import add_completion, add_help
from .plan import add_learn, add_plan, add_rehearse, add_releases_command
from .write import add_init, add_json_schema, add_synth

_DESCRIPTION = (
    "Writes Helm charts and manifests for SpiceDB on Kubernetes from a YAML file, plans upgrades, and runs them on a "
    "live cluster."
)
_GROUPS = {
    "Write charts and manifests": (add_init, add_synth, add_json_schema),
    "Plan upgrades": (add_plan, add_releases_command, add_learn, add_rehearse),
    "See and check what runs": (add_status, add_check, add_diff),
    "Change what runs": (add_install, add_upgrade, add_rollback, add_repair, add_uninstall),
    "Back up and compare data": (add_backup, add_restore, add_compare),
    "More": (add_help, add_completion),
}
"""What adds each command, by the heading in the help."""


class _Version(argparse.Action):
    """Prints the version of this package and the newest SpiceDB that it knows."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        from importlib.metadata import version

        from ...versions import known_releases

        say(f"{PROGRAM} {version(PROGRAM)} (newest known SpiceDB: {known_releases().newest})")
        parser.exit()


def command_line() -> Parser:
    """The parser of all commands."""
    parser = Parser(prog=program(), description=_DESCRIPTION, page="reference/cli")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version, and the newest known SpiceDB")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for group, several in _GROUPS.items():
        for add in several:
            add(commands).group = group
    return parser
