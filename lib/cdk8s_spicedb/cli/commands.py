"""All commands of ``cdk8s-spicedb``, with their options."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

from ..delivery import Delivery
from ..props.datastores import ENGINES
from ..versions import SCHEMA_MODES, known_releases
from .data_commands import add_backup, add_compare, add_rehearse, add_restore
from .options import FILE, RECORDED, STEM, Commands, add_cluster, add_file, add_place, add_releases, amount, at_least
from .output import say, say_error

_WAIT_SECONDS = 600
_DESCRIPTION = (
    "Writes Helm charts and manifests for SpiceDB on Kubernetes from a YAML file, plans upgrades, and operates a live "
    "release: what runs, whether it can be upgraded, the upgrade, and the way back."
)
_TABLES = ("table", "json", "markdown")


class _Parser(argparse.ArgumentParser):
    """Prints as the commands do."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.color = False  # Python 3.14 has colors in the help. Other versions have not.

    def print_help(self, file: Any = None) -> None:
        say(self.format_help().rstrip())

    def error(self, message: str) -> NoReturn:
        say_error(f"{self.format_usage()}{self.prog}: error: {message}")
        sys.exit(2)


def command_line() -> argparse.ArgumentParser:
    """All commands and their options. A command runs in the module of its name."""
    parser = _Parser(prog="cdk8s-spicedb", description=_DESCRIPTION)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for add in (_init, _synth, _plan, _releases, _learn, _status, _check, _diff, _upgrade, _rollback, _repair):
        add(commands)
    for add in (add_backup, add_restore, add_compare, add_rehearse):
        add(commands)
    return parser


def _init(commands: Commands) -> None:
    text = f"write a commented {FILE} to start with"
    description = "Writes a commented file with the settings of a SpiceDB."
    parser = commands.add_parser("init", help=text, description=description)
    parser.add_argument("-o", "--output", default=FILE, metavar="FILE", help=f"file to write; defaults to {FILE}")
    text = f"Prints the JSON Schema of {FILE}, for editors."
    commands.add_parser("schema", help=f"print the JSON Schema of {FILE}, for editors", description=text)


def _synth(commands: Commands) -> None:
    parser = commands.add_parser(
        "synth",
        help=f"write a Helm chart or manifests from {FILE}",
        description="Reads a file with the settings of a SpiceDB, and writes a Helm chart or manifests.",
        epilog="Exit code: 0 if the output is written, 1 if there is an error (see stderr; nothing is written), 2 for "
        "wrong usage.",
    )
    add_file(parser)
    text = (
        "files to write, each to a folder with the name of the file. Each is first merged with the files of --file. If "
        "one has a problem, nothing is written"
    )
    parser.add_argument("--each", nargs="+", metavar="FILE", help=text)
    text = "folder to write to; defaults to dist. The whole folder is replaced"
    parser.add_argument("-o", "--output", default="dist", metavar="FOLDER", help=text)
    text = "tool that applies the output; takes precedence over the file. Defaults to the one in the file, or to helm"
    parser.add_argument("--delivery", choices=[each.value for each in Delivery], help=text)
    text = "version of the Helm chart; defaults to 0.1.0"
    parser.add_argument("--chart-version", default="0.1.0", metavar="VERSION", help=text)
    text = "YAML file that says who distributes the Helm chart, such as {maintainers: [{name: …}], icon: https://…}"
    parser.add_argument("--chart-metadata", metavar="FILE", help=text)
    add_releases(parser)


def _plan(commands: Commands) -> None:
    parser = commands.add_parser(
        "plan",
        help="print the steps from one release of SpiceDB to another",
        description="Prints the steps from one release of SpiceDB to another. SpiceDB keeps serving during all steps.",
        epilog="Exit code: 0 with a plan, 1 if there is none (see stderr for the reason), 2 for wrong usage.",
    )
    modes, newest = tuple(SCHEMA_MODES), known_releases().newest
    parser.add_argument("--engine", required=True, choices=sorted(ENGINES), help="engine of the datastore")
    parser.add_argument("--from", required=True, dest="current", metavar="VERSION", help="release that runs now")
    parser.add_argument("--to", dest="target", metavar="VERSION", help=f"release to upgrade to; defaults to {newest}")
    parser.add_argument("--schema-mode", choices=modes, help="schema mode after the last step")
    text = "schema mode in which the servers run now; defaults to SpiceDB's default"
    parser.add_argument("--current-schema-mode", choices=modes, help=text)
    text = "number of relationships in your database, such as 10M: estimates how long the migrations of each step take"
    parser.add_argument("--relationships", type=amount, metavar="NUMBER", help=text)
    text = "output format; defaults to table. Use markdown for a comment on a pull request"
    parser.add_argument("--output", choices=_TABLES, default="table", help=text)
    add_releases(parser)


def _releases(commands: Commands) -> None:
    parser = commands.add_parser(
        "releases",
        help="print the releases of SpiceDB that this package knows",
        description="Prints the releases of SpiceDB that this package knows, newest first: which ones migrate the "
        "database, must not be skipped by an upgrade, or were withdrawn, and what to know before a migration.",
        epilog="Exit code: 0 with the releases, 1 if there is an error (see stderr), 2 for wrong usage.",
    )
    engines = sorted(known_releases().engines)
    parser.add_argument("--engine", choices=engines, help="engine of the datastore; defaults to all")
    parser.add_argument("--output", choices=_TABLES, default="table", help="output format; defaults to table")
    add_releases(parser)


def _learn(commands: Commands) -> None:
    parser = commands.add_parser(
        "learn",
        help="ask a SpiceDB program for what this package has to know of its release",
        description="Asks a SpiceDB program for its version, its newest revisions, its flags and its schema modes, and "
        "prints an entry for a file of --releases. So you can use a release that this package does not know yet.",
        epilog="Exit code: 0 with the entry, 1 if there is an error, or if the program contradicts what this package "
        "knows of its release (see stderr), 2 for wrong usage.",
    )
    text = "path or name of a `spicedb` program, or its image. An image needs docker or podman"
    parser.add_argument("program", metavar="PROGRAM", help=text)
    text = "file to write; defaults to standard output. It must not exist"
    parser.add_argument("-o", "--output", metavar="FILE", help=text)
    add_releases(parser)


def _status(commands: Commands) -> None:
    parser = commands.add_parser(
        "status",
        help="print what runs in a cluster, and what is wrong with it",
        description="Prints what runs of a SpiceDB: its servers, its migration, who applied it, and what is wrong. "
        "Without a name, and if there are several, it lists them. It changes nothing.",
        epilog="Exit code: 0 if all is well, 1 if something is wrong, was not found, or did not end in time, 2 for "
        "wrong usage.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="name of the SpiceDB; defaults to the only one")
    text = "list the SpiceDBs of all namespaces"
    parser.add_argument("-A", "--all-namespaces", action="store_true", help=text)
    add_cluster(parser)
    text = "also read when the servers' certificates expire. Needs the right to read their Secrets"
    parser.add_argument("--certificates", action="store_true", help=text)
    text = "also compare with what was released. Needs the right to read Helm's Secrets, and to patch (in a dry run)"
    parser.add_argument("--drift", action="store_true", help=text)
    text = "also ask the database for its revision, with a pod that runs for a moment. Needs --file"
    parser.add_argument("--datastore", action="store_true", help=text)
    text = "image of the database's client, for --datastore; defaults to the official image of the engine"
    parser.add_argument("--database-image", metavar="IMAGE", help=text)
    add_file(parser, "file that describes the SpiceDB, for --datastore")
    follow = parser.add_mutually_exclusive_group()
    text = "print again on every change, until you press Ctrl-C"
    follow.add_argument("--watch", action="store_true", help=text)
    text = (
        "first wait until the next change is safe: no migration runs, all servers are ready and none drains. Defaults "
        f"to at most {_WAIT_SECONDS} seconds"
    )
    follow.add_argument("--wait", nargs="?", type=at_least(0), const=_WAIT_SECONDS, metavar="SECONDS", help=text)
    add_releases(parser)
    parser.set_defaults(usage=parser.error)


def _check(commands: Commands) -> None:
    parser = commands.add_parser(
        "check",
        help="check whether the release of a file can be installed or upgraded",
        description="Checks Secrets, rights, objects, quotas, images, the SpiceDB schema, the database and the plan of "
        "an upgrade, and changes nothing. It makes dry runs, and starts short-lived pods that ask the database, try "
        "the schema with each new release, or pull images.",
        epilog="Exit code: 0 if there is no failure, 1 if there is one or an error, 2 for wrong usage.",
    )
    add_file(parser)
    add_releases(parser)
    parser.add_argument("--no-database", action="store_true", help="start no pod that asks the database")
    text = "image of the pod that asks the database; defaults to an official one of the engine"
    parser.add_argument("--database-image", metavar="IMAGE", help=text)
    text = "start no pods that read the SpiceDB schema and try it with each new release"
    parser.add_argument("--no-schema", action="store_true", help=text)
    text = "also pull every image of the release and of the plan, each in a short-lived pod"
    parser.add_argument("--pull-images", action="store_true", help=text)
    add_cluster(parser)


def _diff(commands: Commands) -> None:
    parser = commands.add_parser(
        "diff",
        help="print what a file would change in a cluster, and what that means",
        description="Prints what would change in the cluster if you applied the file: each field of each object, from "
        "a server-side dry run. Then what that means: which servers restart, what is migrated, and what cannot be "
        "undone. It changes nothing. It needs the right to patch the objects, and to read Helm's Secrets.",
        epilog="Exit code: 0 if the comparison is printed, 1 if there is an error (see stderr), 2 for wrong usage, and "
        "with --exit-code 3 if there are changes.",
    )
    add_file(parser)
    add_cluster(parser)
    parser.add_argument("--exit-code", action="store_true", help="exit with 3 if there are changes")
    text = (
        "also check a changed SpiceDB schema: show which relationships it no longer allows, and compare the answers to "
        "this number of questions. Reads all relationships, and starts two servers with a sample of them in memory, in "
        "short-lived pods"
    )
    parser.add_argument("--answers", type=amount, metavar="NUMBER", help=text)
    add_releases(parser)


def _upgrade(commands: Commands) -> None:
    parser = commands.add_parser(
        "upgrade",
        help="upgrade a live release: check, ask, then run each step, watch it, and go back if it fails",
        description="Upgrades the SpiceDB that runs to what the file says. Checks first and asks. Then runs each step: "
        "it applies the step, waits until no older server is left, runs the permission test, and observes the servers' "
        "metrics. If you run it again after it was interrupted, it continues where it stopped. With --each, it does "
        "this for many SpiceDBs, wave by wave.",
        epilog="Exit code: 0 if the target is reached, 1 if nothing was changed (see stderr for the reason), 2 for "
        "wrong usage, 3 if a step failed and was rolled back, 4 if a step failed and was not rolled back, 130 "
        "if you interrupted it.",
    )
    add_file(parser)
    add_cluster(parser)
    text = (
        "upgrade many SpiceDBs in waves: files that describe one each. Each is first merged with the files of --file. "
        f"In --namespace, {STEM} stands for the name of the file without its ending"
    )
    parser.add_argument("--each", nargs="+", metavar="FILE", help=text)
    text = "with --each: number of files in the first wave; defaults to 1"
    parser.add_argument("--canary", type=at_least(0), metavar="N", help=text)
    text = "with --each: number of files in each later wave; defaults to 10"
    parser.add_argument("--wave-size", type=at_least(1), metavar="N", help=text)
    text = "with --each: number of upgrades that run at the same time; defaults to 4"
    parser.add_argument("--parallel", type=at_least(1), metavar="N", help=text)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before the first step")
    text = "time for which to observe the servers' metrics after each step, in seconds; defaults to 30. 0: not at all"
    parser.add_argument("--observe", type=at_least(0), default=30, metavar="SECONDS", help=text)
    text = (
        "what to do if a step fails; defaults to rollback if the plan says that a rollback works, and otherwise to stop"
    )
    parser.add_argument("--on-failure", choices=("rollback", "stop"), help=text)
    backups = parser.add_mutually_exclusive_group()
    text = (
        "folder for backups through SpiceDB's API, one before each step that may be impossible to roll back; takes "
        "precedence over upgradeBackup in the file. Without both, defaults to spicedb-backups"
    )
    backups.add_argument("--backup", metavar="FOLDER", help=text)
    text = "make no backup, not even the one that the file describes"
    backups.add_argument("--no-backup", action="store_true", help=text)
    text = (
        "go on although nobody has rehearsed the upgrade in the last day. Without this option, --yes refuses it if a "
        "step may be impossible to roll back"
    )
    parser.add_argument("--no-rehearsal", action="store_true", help=text)
    text = (
        "in each step, ask one new server this number of questions before clients reach the new servers. The step "
        "fails if an answer differs from that of the older servers"
    )
    parser.add_argument("--answers", type=amount, default=0, metavar="NUMBER", help=text)
    text = "for Argo CD and Flux: write the files of the next step to this folder, and stop. You commit them"
    parser.add_argument("--write", metavar="FOLDER", help=text)
    parser.add_argument("--no-check", action="store_true", help="do not check before the first step")
    parser.add_argument("--no-database", action="store_true", help="do not ask the database in the check")
    text = "image of the database's client; defaults to the official image of the engine"
    parser.add_argument("--database-image", metavar="IMAGE", help=text)
    parser.add_argument("--no-schema", action="store_true", help="do not try the SpiceDB schema with each new release")
    parser.add_argument("--no-pull", action="store_true", help="do not check that the images can be pulled")
    add_releases(parser)
    parser.set_defaults(usage=parser.error)


def _rollback(commands: Commands) -> None:
    parser = commands.add_parser(
        "rollback",
        help="roll a live release back to the last step that worked",
        description="Rolls the servers back to the last step that worked, and waits until no newer server is left. "
        "First says what is not restored, and asks. The datastore schema stays as it is.",
        epilog="Exit code: 0 if the servers are back, 1 if nothing was changed (see stderr for the reason), 2 for "
        "wrong usage, 4 if the rollback failed, 130 if you interrupted it.",
    )
    parser.add_argument("name", nargs="?", default="spicedb", metavar="NAME", help="SpiceDB; defaults to spicedb")
    add_cluster(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    add_file(parser, "file of this SpiceDB; needed for --restore, and to leave the schema mode read-new-write-new")
    text = (
        "restore a backup, because the older servers do not start on the datastore schema. All servers stop meanwhile. "
        "Without FILE, it restores the one from `upgrade`"
    )
    parser.add_argument("--restore", nargs="?", const=RECORDED, metavar="FILE", help=text)
    text = "image of the database's client, for --restore; defaults to the official image of the engine"
    parser.add_argument("--database-image", metavar="IMAGE", help=text)
    text = "roll back even if older servers do not start on the datastore schema; for use after you restored a backup"
    parser.add_argument("--force", action="store_true", help=text)
    add_releases(parser)


def _repair(commands: Commands) -> None:
    parser = commands.add_parser(
        "repair",
        help="repair a PostgreSQL into which a dump was restored",
        description="Repairs the transaction ids of a PostgreSQL into which a dump was restored. With --run, asks the "
        "database whether it needs that, runs the Job that repairs it, and asks again. The servers must be stopped. "
        "Without --run, only prints the Job for `kubectl create -f -`, and changes nothing. The Job has the image, the "
        "connection, the ServiceAccount and the security settings of the migration. It changes nothing if there is "
        "nothing to repair.",
        epilog="Exit code: 0 if the Job is printed or, with --run, if the database is repaired or needs no repair, 1 "
        "if there is an error (see stderr), 2 for wrong usage.",
    )
    add_file(parser)
    parser.add_argument("--run", action="store_true", help="run the Job if the database needs it, and wait for it")
    add_place(parser)
    text = "with --run: image of the database's client; defaults to the official image of the engine"
    parser.add_argument("--database-image", metavar="IMAGE", help=text)
    add_releases(parser)
    parser.set_defaults(usage=parser.error)
