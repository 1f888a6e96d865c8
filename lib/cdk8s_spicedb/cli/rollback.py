"""``cdk8s-spicedb rollback``: rolls a live release back to the last step that worked."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .options import Commands, add_cluster, add_file, add_releases, as_json, connect, read_file, require_yes

if TYPE_CHECKING:
    from ..live.upgrade.outcome import Return


def add_to(commands: Commands) -> None:
    """Adds the command."""
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
    add_file(parser, "file of this SpiceDB; needed to go back from the schema mode read-new-write-new")
    text = "roll back even if older servers do not start on the datastore schema; for use after you restored a backup"
    parser.add_argument("--force", action="store_true", help=text)
    add_releases(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    cluster = connect(options)
    require_yes(options)
    from ..live.upgrade.outcome import State
    from ..live.upgrade.rollback import roll_back
    from .display import EXIT_CODES, Display, ask

    props = read_file(options) if options.file else None
    with Display(quiet=options.output == "json") as display:

        def confirm(back: Return) -> bool:
            with display.paused():
                for line in _intention(back):
                    display.line(line)
                return options.yes or ask("Go back?")

        outcome = roll_back(
            cluster, options.name, props=props, force=options.force, confirm=confirm, report=display.report
        )
        display.stop()
        if outcome.state is State.INTERRUPTED:
            display.error("Interrupted. Run the same command again to continue.")
        elif outcome.error is not None:
            display.error(outcome.reason)
    if outcome.state is State.DONE and options.output == "json":
        print(as_json(outcome.back))
    return EXIT_CODES[outcome.state]


def _intention(back: Return) -> list[str]:
    running, target = back.running, back.target
    mode = f" in {target.schema_mode}" if target.schema_mode else ""
    where = f"{running.name} in {running.namespace}"
    head = f"{where}: from SpiceDB {running.version} back to {target.version}{mode}, revision {target.revision}"
    return [head, *(f"  {caution}" for caution in back.cautions)]
