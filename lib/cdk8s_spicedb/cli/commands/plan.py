"""The commands that plan an upgrade and try it on a copy, with their options."""

from __future__ import annotations

from ...props.datastores import ENGINES
from ...versions import SCHEMA_MODES, known_releases
from ..exits import ASKS, DONE, NO, PROBLEM
from ..options import (
    FILE,
    TABLES,
    Commands,
    add_command,
    add_database_image,
    add_file,
    add_output,
    add_place,
    add_releases,
    amount,
    at_least,
)
from ..parser import Parser


def add_plan(commands: Commands) -> Parser:
    """Adds ``plan``."""
    modes, newest = tuple(SCHEMA_MODES), known_releases().newest
    parser = add_command(
        commands,
        "plan",
        "print the steps from one release of SpiceDB to another",
        "Prints the steps from one release of SpiceDB to another. SpiceDB keeps serving during all steps.",
        examples={
            f"plan -f {FILE}": "From what runs in the cluster to what the file says",
            f"plan -f {FILE} --from v1.30.0": "The same, without a cluster",
            f"plan --engine postgres --from v1.30.0 --to {newest}": "Without a file and without a cluster",
            "plan --engine postgres --from v1.30.0 --relationships 10M": "Estimate how long the migrations take",
        },
        codes={DONE: "the plan is printed", NO: "there is no such plan (see stderr for the reason)", **ASKS},
        page="upgrade/plan",
    )
    text = f"file to read: the engine and the release to upgrade to, such as {FILE}"
    add_file(parser, text)
    text = f"engine of the datastore: {', '.join(sorted(ENGINES))}; needed without --file"
    parser.add_argument("--engine", choices=sorted(ENGINES), metavar="ENGINE", help=text)
    text = "release that runs now; with --file, defaults to the one in the cluster"
    parser.add_argument("--from", dest="current", metavar="VERSION", help=text)
    text = f"release to upgrade to; defaults to that of the file, or to {newest}"
    parser.add_argument("--to", dest="target", metavar="VERSION", help=text)
    text = f"schema mode after the last step: {', '.join(modes)}"
    parser.add_argument("--schema-mode", choices=modes, metavar="MODE", help=text)
    text = "schema mode in which the servers run now; defaults to that in the cluster, or to SpiceDB's default"
    parser.add_argument("--current-schema-mode", choices=modes, metavar="MODE", help=text)
    text = "number of relationships in your database, such as 10M: estimates how long the migrations of each step take"
    parser.add_argument("--relationships", type=amount, metavar="NUMBER", help=text)
    add_output(parser, TABLES, "Use markdown for a comment on a pull request")
    add_releases(parser)
    add_place(parser)
    return parser


def add_releases_command(commands: Commands) -> Parser:
    """Adds ``releases``."""
    parser = add_command(
        commands,
        "releases",
        "print the releases of SpiceDB that this package knows",
        "Prints the releases of SpiceDB that this package knows, newest first: which ones migrate the database, must "
        "not be skipped by an upgrade, or were withdrawn, and what to know before a migration.",
        examples={"releases --engine postgres": "The releases as they concern PostgreSQL"},
        codes={DONE: "the releases are printed", NO: "there is an error (see stderr)"},
        page="upgrade/plan",
    )
    engines = sorted(known_releases().engines)
    text = f"engine of the datastore: {', '.join(engines)}; defaults to all"
    parser.add_argument("--engine", choices=engines, metavar="ENGINE", help=text)
    add_output(parser, TABLES)
    add_releases(parser)
    return parser


def add_learn(commands: Commands) -> Parser:
    """Adds ``learn``."""
    parser = add_command(
        commands,
        "learn",
        "ask a SpiceDB program for what this package has to know of its release",
        "Asks a SpiceDB program for its version, its newest revisions, its flags and its schema modes, and prints an "
        "entry for a file of --releases. So you can use a release that this package does not know yet.",
        examples={
            "learn spicedb --write releases.yaml": "Ask the program on PATH, and write a file",
            "learn ghcr.io/authzed/spicedb:v1.99.0": "Ask an image, with docker or podman",
        },
        codes={DONE: "the entry is printed", NO: "there is an error, or the program contradicts this package"},
        page="upgrade/plan",
    )
    text = "path or name of a `spicedb` program, or its image. An image needs docker or podman"
    parser.add_argument("program", metavar="PROGRAM", help=text)
    text = "file to write, which must not exist; defaults to standard output"
    parser.add_argument("--write", metavar="FILE", help=text)
    add_releases(parser)
    return parser


def add_rehearse(commands: Commands) -> Parser:
    """Adds ``rehearse``."""
    parser = add_command(
        commands,
        "rehearse",
        "do an upgrade on a copy of the live data, and print what happened",
        "Copies the schema and the relationships of the SpiceDB that runs into a new namespace with a database of its "
        "own, runs each step of the upgrade there, and prints what happened and how long it took. It never changes the "
        "live SpiceDB, and deletes its copy when it ends.",
        examples={
            "rehearse --namespace authz": "Rehearse with all relationships",
            "rehearse --namespace authz --sample 1M -o markdown": "Rehearse with a sample, for a pull request",
        },
        codes={
            DONE: "no problem was found",
            NO: "the upgrade could not be rehearsed (see stderr)",
            PROBLEM: "there is a problem",
            **ASKS,
        },
        page="upgrade/rehearse",
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
    add_database_image(parser, text)
    text = (
        "rehearse in this namespace, which must exist. It stays, and only what the command has created in it is "
        "deleted. Defaults to a new namespace"
    )
    parser.add_argument("--into", metavar="NAMESPACE", help=text)
    add_output(parser, ("text", "json", "yaml", "markdown"))
    add_place(parser)
    return parser
