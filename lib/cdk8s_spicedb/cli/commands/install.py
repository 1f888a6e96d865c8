"""The commands that install and remove a SpiceDB, with their options."""

from __future__ import annotations

from ..exits import ASKS, DONE, NO, STOPPED
from ..options import (
    Commands,
    add_checks,
    add_command,
    add_common,
    add_file,
    add_name,
)
from ..parser import Parser


def add_install(commands: Commands) -> Parser:
    """Adds ``install``."""
    parser = add_command(
        commands,
        "install",
        "install the SpiceDB that a file describes: check, ask, install, wait, and test",
        "Installs the SpiceDB that the file describes. It checks, says what it creates, and asks for confirmation. "
        "Then it installs with Helm, or with kubectl if the file says so. It waits until the database is migrated and "
        "all servers are ready, runs the permission test if the file has one, and says how to reach SpiceDB. If it "
        "failed or was interrupted, run it again: it continues.",
        examples={
            "install --namespace authz": "Install what spicedb.yaml describes",
            "install --namespace authz --dry-run": "Only check, and say what would be created",
            "install -f base.yaml -f production.yaml -n authz -y": "Merge two files, and ask no question, as in CI",
        },
        codes={
            DONE: "SpiceDB is installed, and all its servers are ready; with --dry-run, it can be installed",
            NO: "the install was refused, and nothing was installed (see stderr for the reason)",
            STOPPED: "something was installed, but SpiceDB does not work",
            **ASKS,
        },
        page="install/files",
    )
    add_name(parser)
    add_file(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="check, print what would be created, and stop")
    text = "create the namespace if it does not exist. The check fails until you create the Secrets in it"
    parser.add_argument("--create-namespace", action="store_true", help=text)
    checks = add_checks(parser, pulls=True)
    checks.add_argument("--no-check", action="store_true", help="check nothing except that the namespace exists")
    add_common(parser)
    return parser


def add_uninstall(commands: Commands) -> Parser:
    """Adds ``uninstall``."""
    parser = add_command(
        commands,
        "uninstall",
        "remove a SpiceDB from the cluster; its database, Secrets and backups stay",
        "Removes a SpiceDB with the program that applied it, Helm or kubectl, and waits until it is gone. "
        "Before that, it says what it deletes and what stays, and asks for confirmation. It keeps the database and its "
        "data, the Secrets that you made, the PersistentVolumeClaims of backups and the namespace. If Argo CD or Flux "
        "applies the SpiceDB, the command refuses, and says where to delete it.",
        examples={
            "uninstall --namespace authz": "Remove the only SpiceDB in a namespace",
            "uninstall spicedb -n authz --dry-run": "Only say what would be deleted",
        },
        codes={
            DONE: "the SpiceDB is removed; with --dry-run, it can be removed",
            NO: "the command refused, and nothing was deleted (see stderr for the reason)",
            STOPPED: "only a part was deleted",
            **ASKS,
        },
        page="install/uninstall",
    )
    add_name(parser, "name of the SpiceDB; defaults to that of --file, or to the only one in the namespace")
    add_file(parser, "file of this SpiceDB, for its name, namespace and context")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="print what would be deleted, and stop")
    add_common(parser)
    return parser
