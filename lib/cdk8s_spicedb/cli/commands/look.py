"""The commands that look at what runs and change nothing, with their options."""

from __future__ import annotations

from ..exits import ASKS, DONE, NO, PROBLEM
from ..options import (
    STEM,
    Commands,
    add_checks,
    add_command,
    add_common,
    add_database_image,
    add_each,
    add_file,
    add_name,
    amount,
    duration,
)
from ..parser import Parser


def add_status(commands: Commands) -> Parser:
    """Adds ``status``."""
    parser = add_command(
        commands,
        "status",
        "print what runs in a cluster, and what is wrong with it",
        "Prints the servers and the migration of a SpiceDB, what applied it, and what is wrong. It changes nothing.",
        examples={
            "status --namespace authz": "The only SpiceDB in a namespace, or a list of several",
            "status spicedb --wait --timeout 5m": "Wait until the next change is safe",
            "status -A -o json": "All SpiceDBs of the cluster, as JSON",
        },
        codes={DONE: "all is well", NO: "something is wrong or missing, or the wait took too long", **ASKS},
        page="operate/commands",
    )
    add_name(parser, "name of the SpiceDB; defaults to that of --file, or to the only one in the namespace")
    text = "list the SpiceDBs of all namespaces"
    parser.add_argument("-A", "--all-namespaces", action="store_true", help=text)
    add_file(parser, "file that describes the SpiceDB: its name, and the database for --datastore")
    add_each(parser, f"files that describe one SpiceDB each. In --namespace, {STEM} stands for the name of the file")
    more = parser.add_argument_group("what to look at")
    text = "also read when the servers' certificates expire. Needs the right to read their Secrets"
    more.add_argument("--certificates", action="store_true", help=text)
    text = "also compare with what was applied. Needs the rights to read Helm's Secrets, and to patch (in a dry run)"
    more.add_argument("--drift", action="store_true", help=text)
    text = "also ask the database for its revision, with a short-lived pod. Needs --file"
    more.add_argument("--datastore", action="store_true", help=text)
    text = "image of the database's client, for --datastore; defaults to the official image of the engine"
    add_database_image(more, text)
    waiting = parser.add_argument_group("waiting")
    follow = waiting.add_mutually_exclusive_group()
    text = "print again on every change, until you press Ctrl-C"
    follow.add_argument("--watch", action="store_true", help=text)
    text = "first wait until the next change is safe: no migration runs, all servers are ready and none drains"
    follow.add_argument("--wait", action="store_true", help=text)
    text = "maximum time for --wait, such as 90s, 5m or 1h30m; defaults to 10m"
    waiting.add_argument("--timeout", type=duration, metavar="DURATION", help=text)
    add_common(parser)
    return parser


def add_check(commands: Commands) -> Parser:
    """Adds ``check``."""
    parser = add_command(
        commands,
        "check",
        "check whether the SpiceDB of a file can be installed or upgraded",
        "Checks Secrets, rights, objects, quotas, images, the SpiceDB schema, the database and the plan of an upgrade, "
        "and changes nothing. It makes dry runs, and starts short-lived pods.",
        examples={
            "check --namespace authz": "Check spicedb.yaml against a namespace",
            "check -f prod.yaml --pull-images -o json": "Also pull every image, and print JSON",
            "check --each tenants/*.yaml --namespace {}": "Check many SpiceDBs, each in its own namespace",
        },
        codes={DONE: "there is no failure", NO: "there is a failure, or the file is not valid", **ASKS},
        page="operate/commands",
    )
    add_name(parser)
    add_file(parser)
    add_each(parser, f"files to check, one SpiceDB each. In --namespace, {STEM} stands for the name of the file")
    add_checks(parser, pulls=False)
    add_common(parser)
    return parser


def add_diff(commands: Commands) -> Parser:
    """Adds ``diff``."""
    parser = add_command(
        commands,
        "diff",
        "print what a file would change in a cluster, and what that means",
        "Prints each field that would change in the cluster if you applied the file, and what that means. It uses a "
        "server-side dry run: it changes nothing, but needs the rights to create and patch the objects.",
        examples={
            "diff --namespace authz": "Compare spicedb.yaml with a namespace",
            "diff --exit-code": "Fail with 3 if there are changes, for CI",
        },
        codes={
            DONE: "the comparison is printed",
            NO: "there is an error (see stderr)",
            PROBLEM: "there are changes, with --exit-code",
            **ASKS,
        },
        page="operate/commands",
    )
    add_name(parser)
    add_file(parser)
    add_each(parser, f"files to compare, one SpiceDB each. In --namespace, {STEM} stands for the name of the file")
    parser.add_argument("--exit-code", action="store_true", help="exit with 3 if there are changes")
    text = (
        "also check a changed SpiceDB schema: show which relationships it no longer allows, and compare the answers to "
        "this many permission questions. Reads all relationships. Starts two servers in short-lived pods, with a "
        "sample of the relationships in memory"
    )
    parser.add_argument("--answers", type=amount, metavar="NUMBER", help=text)
    add_common(parser)
    return parser
