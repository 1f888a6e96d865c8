"""The commands that read or write what a SpiceDB holds, with their options."""

from __future__ import annotations

from typing import Any

from ..exits import ASKS, DONE, NO, PROBLEM
from ..options import Commands, add_command, add_file, add_output, add_place, add_releases, at_least
from ..parser import Parser

_WHICH = "name of the Deployment of a SpiceDB, or its address, such as localhost:50051"
_OR_FILE = f"{_WHICH}; defaults to the name in --file"
_ERROR = "there is an error (see stderr)"


def add_backup(commands: Commands) -> Parser:
    """Adds ``backup``."""
    parser = _add(
        commands,
        "backup",
        "copy the schema and the relationships of a SpiceDB to a file",
        "Writes the schema and all relationships of one revision to a file, which zed can read too. If it is "
        "interrupted, run it again: it continues.",
        examples={
            "backup spicedb authz.zedbackup --namespace authz": "Back up a SpiceDB in a cluster",
            "backup localhost:50051 authz.zedbackup": "Back up a SpiceDB by its address",
        },
        codes={DONE: "the file is complete", NO: _ERROR, **ASKS},
        page="operate/backup",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help=_OR_FILE)
    text = "file to write, which must not exist. Only its owner can read it"
    parser.add_argument("path", metavar="BACKUP", help=text)
    add_file(parser, "file that describes the SpiceDB: its name, namespace and context")
    add_releases(parser)
    _add_rest(parser)
    return parser


def add_restore(commands: Commands) -> Parser:
    """Adds ``restore``."""
    parser = _add(
        commands,
        "restore",
        "copy a backup into a SpiceDB with an empty database",
        "Writes the schema and the relationships of a file to a SpiceDB, and compares the result with the file.",
        examples={"restore spicedb authz.zedbackup --namespace authz": "Restore a SpiceDB in a cluster"},
        codes={DONE: "the SpiceDB has the same data as the file", NO: f"{_ERROR}; some of the data may be restored"},
        page="operate/backup",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help=_OR_FILE)
    parser.add_argument("path", metavar="BACKUP", help="file of `backup` or of `zed backup`")
    add_file(parser, "file that describes the SpiceDB: its name, namespace and context")
    add_releases(parser)
    text = "continue after an interruption: the SpiceDB may already have the schema and some of the relationships"
    parser.add_argument("--continue", action="store_true", dest="go_on", help=text)
    _add_rest(parser)
    return parser


def add_compare(commands: Commands) -> Parser:
    """Adds ``compare``."""
    parser = _add(
        commands,
        "compare",
        "ask two SpiceDBs the same questions",
        "Asks two SpiceDBs whether users have permissions, looks up resources and subjects in both, and prints how the "
        "answers differ. It makes the questions from relationships of both.",
        examples={"compare spicedb localhost:50051 --namespace authz": "Compare a SpiceDB in a cluster with another"},
        codes={DONE: "all answers are equal", NO: _ERROR, PROBLEM: "an answer differs", **ASKS},
        page="operate/compare",
    )
    parser.add_argument("first", metavar="FIRST", help=_WHICH)
    parser.add_argument("second", metavar="SECOND", help="the other SpiceDB, named in the same way")
    text = "also ask the assertions in this file, in the format of `zed validate`. Repeat the option for more files"
    parser.add_argument("--assertions", action="append", metavar="FILE", help=text)
    text = "number of questions; defaults to 10000"
    parser.add_argument("--questions", type=at_least(1), default=10_000, metavar="NUMBER", help=text)
    _add_rest(parser, of_file=False)
    return parser


def _add(commands: Commands, name: str, summary: str, description: str, **options: Any) -> Parser:
    """Adds a command that takes the address of a SpiceDB too. The options are those of `add_command`."""
    more = "If you name a SpiceDB by its address, set SPICEDB_TOKEN to the preshared key."
    return add_command(commands, name, summary, f"{description} {more}", **options)


def _add_rest(parser: Parser, *, of_file: bool = True) -> None:
    parser.add_argument("--ca", metavar="FILE", help="CA file for a SpiceDB at an address; without it, TLS is off")
    add_output(parser)
    add_place(parser, of_file=of_file)
