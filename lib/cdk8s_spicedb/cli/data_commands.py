"""The commands that read or write what a SpiceDB holds, with their options."""

from __future__ import annotations

import argparse

from .options import Commands, add_cluster, add_file, add_releases, amount, at_least

_WHICH = "name of the Deployment of the servers, or the address of a SpiceDB, such as localhost:50051"
_ERROR = "1 if there is an error (see stderr)"


def add_backup(commands: Commands) -> None:
    """Adds ``backup``."""
    parser = _add(
        commands,
        "backup",
        "copy the schema and the relationships of a SpiceDB to a file",
        "Writes the schema and all relationships of one revision to a file, which zed reads too. If it is interrupted, "
        "run it again: it continues.",
        f"0 if the file is complete, {_ERROR}",
    )
    parser.add_argument("name", metavar="NAME", help=_WHICH)
    parser.add_argument("file", metavar="FILE", help="file to write, which only its owner can read. It must not exist")


def add_restore(commands: Commands) -> None:
    """Adds ``restore``."""
    parser = _add(
        commands,
        "restore",
        "copy a file of `backup` into a SpiceDB whose database is empty",
        "Writes the schema and the relationships of a file to a SpiceDB, and compares the result with the file.",
        f"0 if both are equal, {_ERROR}",
    )
    parser.add_argument("name", metavar="NAME", help=_WHICH)
    parser.add_argument("file", metavar="FILE", help="file of `backup` or of `zed backup`")
    text = "continue after an interruption: the SpiceDB may have the schema and some of the relationships"
    parser.add_argument("--continue", action="store_true", dest="go_on", help=text)


def add_compare(commands: Commands) -> None:
    """Adds ``compare``."""
    parser = _add(
        commands,
        "compare",
        "ask two SpiceDBs the same questions",
        "Asks two SpiceDBs whether users have permissions, lets them look up resources and subjects, and prints how "
        "the answers differ. The questions are made from relationships of both.",
        f"0 if all answers are equal, 3 if not, {_ERROR}",
    )
    parser.add_argument("first", metavar="FIRST", help=_WHICH)
    parser.add_argument("second", metavar="SECOND", help="the other SpiceDB, named in the same way")
    text = "also ask the assertions of this file, which zed reads too. Repeat the option for more files"
    parser.add_argument("--assertions", action="append", metavar="FILE", help=text)
    text = "number of questions; defaults to 10000"
    parser.add_argument("--questions", type=at_least(1), default=10_000, metavar="NUMBER", help=text)


def _add(commands: Commands, name: str, text: str, description: str, codes: str) -> argparse.ArgumentParser:
    more = "For an address, the variable SPICEDB_TOKEN has the preshared key."
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{description} {more}", epilog=f"Exit code: {codes}, 2 for wrong usage."
    )
    parser.add_argument("--ca", metavar="FILE", help="CA that signed the certificate of an address; without it, no TLS")
    add_cluster(parser)
    return parser


def add_rehearse(commands: Commands) -> None:
    """Adds ``rehearse``."""
    parser = commands.add_parser(
        "rehearse",
        help="do an upgrade on a copy of the live data, and print what happened",
        description="Copies the schema and the relationships of the SpiceDB that runs into a new namespace with a "
        "database of its own. There, it runs each step of the upgrade. If a rollback is possible, it also rolls the "
        "step back and runs it again. It asks the same questions before the upgrade and after each step, and measures "
        "how long everything takes. It never changes the live SpiceDB, and deletes its copy when it ends.",
        epilog="Exit code: 0 if no problem was found, 1 if the upgrade could not be rehearsed (see stderr), 2 for "
        "wrong usage, 3 if there is a problem.",
    )
    add_file(parser)
    add_releases(parser)
    text = (
        "copy this number of relationships, chosen at random, and all relationships on which their permissions depend; "
        "defaults to all relationships"
    )
    parser.add_argument("--sample", type=amount, metavar="NUMBER", help=text)
    text = "number of questions; defaults to 2000"
    parser.add_argument("--questions", type=at_least(1), default=2000, metavar="NUMBER", help=text)
    text = "image of the database's server; defaults to the official image with the same version as the live one"
    parser.add_argument("--database-image", metavar="IMAGE", help=text)
    text = (
        "rehearse in this namespace, which must exist. It stays, and only what the command has created in it is "
        "deleted. Defaults to a new namespace"
    )
    parser.add_argument("--into", metavar="NAMESPACE", help=text)
    add_cluster(parser, formats=("text", "json", "markdown"))
