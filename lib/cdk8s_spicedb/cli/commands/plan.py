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
    add_common,
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
    text = f"file that describes the SpiceDB, with its engine and the release to upgrade to, such as {FILE}"
    add_file(parser, text)
    text = f"engine of the datastore: {', '.join(sorted(ENGINES))}; needed without --file"
    parser.add_argument("--engine", choices=sorted(ENGINES), metavar="ENGINE", help=text)
    text = "release that runs now; needed without --file. With --file, defaults to the one in the cluster"
    parser.add_argument("--from", dest="current", metavar="VERSION", help=text)
    text = f"release to upgrade to; defaults to that of the file, or to {newest}"
    parser.add_argument("--to", dest="target", metavar="VERSION", help=text)
    text = f"schema mode after the last step: {', '.join(modes)}"
    parser.add_argument("--schema-mode", choices=modes, metavar="MODE", help=text)
    text = "schema mode of the servers that run now; defaults to the one in the cluster, or to SpiceDB's default"
    parser.add_argument("--current-schema-mode", choices=modes, metavar="MODE", help=text)
    text = "number of relationships in your database, such as 10M, to estimate the time of the migrations in each step"
    parser.add_argument("--relationships", type=amount, metavar="NUMBER", help=text)
    add_common(parser, TABLES, "Use markdown for a comment on a pull request")
    return parser


def add_releases_command(commands: Commands) -> Parser:
    """Adds ``releases``."""
    parser = add_command(
        commands,
        "releases",
        "print the releases of SpiceDB that this package knows",
        "Prints the releases of SpiceDB that this package knows, newest first. It says which ones migrate the "
        "database, which ones an upgrade must not skip, which ones were withdrawn, and what to know before "
        "a migration.",
        examples={"releases --engine postgres": "What the releases mean for PostgreSQL"},
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
        "get the facts about a new release of SpiceDB from its program",
        "Asks a SpiceDB program for its version, its newest revisions, its flags and its schema modes, and prints an "
        "entry for the file in --releases. With this entry, you can use a release that this package does not know yet.",
        examples={
            "learn spicedb --write releases.yaml": "Ask the program on PATH, and write a file",
            "learn ghcr.io/authzed/spicedb:v1.99.0": "Ask an image, with docker or podman",
        },
        codes={DONE: "the entry is printed", NO: "there is an error, or the program contradicts this package"},
        page="upgrade/plan",
    )
    text = "path or name of a `spicedb` program, or an image, which needs docker or podman"
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
        "try an upgrade on a copy of the live data, and print what happens",
        "Copies the schema and the relationships of the live SpiceDB to a new namespace with its own database, runs "
        "each step of the upgrade there, and prints what happens and how long it takes. It never changes the live "
        "SpiceDB, and deletes the copy at the end.",
        examples={
            "rehearse --namespace authz": "Rehearse with all relationships",
            "rehearse --namespace authz --sample 1M -o markdown": "Rehearse with a sample, for a pull request",
        },
        codes={
            DONE: "no problem was found",
            NO: "the upgrade could not be rehearsed (see stderr)",
            PROBLEM: "a problem was found",
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
    text = "number of questions to ask after each step; defaults to 2000"
    parser.add_argument("--questions", type=at_least(1), default=2000, metavar="NUMBER", help=text)
    text = "image for the database of the copy; defaults to the official image with the version of the live database"
    add_database_image(parser, text)
    text = (
        "existing namespace to rehearse in, where the command deletes only what it created; defaults to a new namespace"
    )
    parser.add_argument("--into", metavar="NAMESPACE", help=text)
    add_output(parser, TABLES)
    add_place(parser)
    return parser
