"""The commands that change what runs, with their options."""

from __future__ import annotations

from ..exits import ASKS, DONE, NO, PROBLEM, STOPPED
from ..options import (
    RECORDED,
    STEM,
    Commands,
    add_checks,
    add_command,
    add_common,
    add_database_image,
    add_each,
    add_file,
    add_name,
    add_place,
    add_releases,
    amount,
    at_least,
    duration,
)
from ..parser import Parser


def add_upgrade(commands: Commands) -> Parser:
    """Adds ``upgrade``."""
    parser = add_command(
        commands,
        "upgrade",
        "upgrade a live SpiceDB: check, ask, run each step, watch it, and roll back if it fails",
        "Upgrades a live SpiceDB to what the file describes. It checks, and asks for confirmation. For each step, it "
        "then changes the servers, waits until no older server is left, runs the permission test if the file has one, "
        "and observes the servers' metrics. If it was interrupted, run it again: it continues where it stopped.",
        examples={
            "upgrade --namespace authz": "Upgrade to what spicedb.yaml says",
            "upgrade --namespace authz --dry-run": "Only check, and say what would happen",
            "upgrade --each tenants/*.yaml --namespace {} --yes": "Upgrade many SpiceDBs in waves, without a question",
            "upgrade --write manifests": "For Argo CD and Flux: write the next step",
        },
        codes={
            DONE: "the upgrade is done",
            NO: "the upgrade was refused, and nothing was changed (see stderr for the reason)",
            PROBLEM: "a step failed and was rolled back",
            STOPPED: "a step failed and was not rolled back",
            **ASKS,
        },
        page="upgrade/live",
    )
    add_name(parser)
    add_file(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before the first step")
    text = "check, print what would change, and stop; exit as `check` does"
    parser.add_argument("--dry-run", action="store_true", help=text)
    text = "for Argo CD and Flux: write the files of the next step to this folder, and stop. Then commit them"
    parser.add_argument("--write", metavar="FOLDER", help=text)
    _add_steps(parser)
    _add_backups(parser)
    checks = add_checks(parser, pulls=True)
    checks.add_argument("--no-check", action="store_true", help="do not check before the first step")
    _add_fleet(parser)
    add_common(parser)
    return parser


def _add_steps(parser: Parser) -> None:
    steps = parser.add_argument_group("steps")
    text = "how long to observe the servers' metrics after each step, such as 2m; defaults to 30s. 0 turns this off"
    steps.add_argument("--observe", type=duration, default=30, metavar="DURATION", help=text)
    text = (
        "what to do if a step fails: rollback or stop; defaults to rollback if the plan says that a rollback works, "
        "or else to stop"
    )
    steps.add_argument("--on-failure", choices=("rollback", "stop"), metavar="ACTION", help=text)
    text = (
        "in each step, ask one new server this many permission questions before clients reach the new servers. If an "
        "answer differs from that of the older servers, the step fails"
    )
    steps.add_argument("--answers", type=amount, default=0, metavar="NUMBER", help=text)


def _add_backups(parser: Parser) -> None:
    group = parser.add_argument_group("backup and rehearsal")
    backups = group.add_mutually_exclusive_group()
    text = (
        "folder for backups. The command makes one before each step that may be impossible to roll back. Takes "
        "precedence over upgradeBackup in the file; without either, defaults to spicedb-backups"
    )
    backups.add_argument("--backup", metavar="FOLDER", help=text)
    text = "make no backup, not even the one that the file describes"
    backups.add_argument("--no-backup", action="store_true", help=text)
    text = (
        "upgrade without a rehearsal. Without this option, the command refuses --yes if a step may be impossible to "
        "roll back and nobody has rehearsed the upgrade in the last day"
    )
    group.add_argument("--no-rehearsal", action="store_true", help=text)


def _add_fleet(parser: Parser) -> None:
    fleet = parser.add_argument_group("several SpiceDBs")
    text = (
        "files that describe one SpiceDB each, to upgrade in waves. Each is first merged with the files of --file. In "
        f"--namespace, {STEM} stands for the file name without its extension"
    )
    add_each(fleet, text)
    text = "with --each: number of files in the first wave; defaults to 1"
    fleet.add_argument("--canary", type=at_least(0), metavar="N", help=text)
    text = "with --each: number of files in each later wave; defaults to 10"
    fleet.add_argument("--wave-size", type=at_least(1), metavar="N", help=text)
    text = "with --each: number of upgrades that run at the same time; defaults to 4"
    fleet.add_argument("--parallel", type=at_least(1), metavar="N", help=text)


def add_rollback(commands: Commands) -> Parser:
    """Adds ``rollback``."""
    parser = add_command(
        commands,
        "rollback",
        "roll a live SpiceDB back to the last step that worked",
        "Rolls the servers back to the last step that worked, and waits until no newer server is left. Before that, it "
        "says what is not restored, and asks for confirmation. The datastore schema stays as it is.",
        examples={
            "rollback --namespace authz": "Roll back the SpiceDB with the name spicedb",
            "rollback authz --dry-run": "Only say what would happen",
            "rollback -f spicedb.yaml --restore": "Also restore the backup that `upgrade` made",
        },
        codes={
            DONE: "the servers are rolled back",
            NO: "the rollback was refused, and nothing was changed (see stderr for the reason)",
            STOPPED: "the rollback failed",
            **ASKS,
        },
        page="upgrade/rollback",
    )
    add_name(parser, "name of the SpiceDB; defaults to that of --file, or to spicedb")
    text = "file of this SpiceDB; needed for --restore, and to roll back from the schema mode read-new-write-new"
    add_file(parser, text)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="print what would happen, and stop")
    text = (
        "also restore a backup, if the older servers do not start on the datastore schema. All servers stop during the "
        "restore. Without FILE, restores the last backup that `upgrade` made"
    )
    parser.add_argument("--restore", nargs="?", const=RECORDED, metavar="FILE", help=text)
    text = "image of the database's client, for --restore; defaults to the official image of the engine"
    add_database_image(parser, text)
    text = (
        "roll back even if the older servers do not start on the datastore schema. Use it after you restored a backup"
    )
    parser.add_argument("--force", action="store_true", help=text)
    add_common(parser)
    return parser


def add_repair(commands: Commands) -> Parser:
    """Adds ``repair``."""
    parser = add_command(
        commands,
        "repair",
        "repair a PostgreSQL database after you restored a dump",
        "Repairs the transaction ids of a PostgreSQL database after you restored a dump. Stop the servers first. "
        "Without --run, it only prints the repair Job, and changes nothing. With --run, it asks the database "
        "whether it needs the repair, runs the Job if so, and asks again.",
        examples={
            "repair": "Print the Job",
            "repair --run --namespace authz": "Repair the database if it needs it",
        },
        codes={
            DONE: "the Job is printed; with --run, the database is repaired, or needs no repair",
            NO: "there is an error (see stderr)",
        },
        page="operate/restore",
    )
    add_name(parser)
    add_file(parser)
    parser.add_argument("--run", action="store_true", help="run the Job if the database needs it, and wait for it")
    text = "with --run: image of the database's client; defaults to the official image of the engine"
    add_database_image(parser, text)
    add_releases(parser)
    add_place(parser)
    return parser
