"""``cdk8s-spicedb rollback``: rolls a live release back to the last step that worked."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..live.cluster import Cluster
from ..live.upgrade.outcome import Return, State
from ..live.upgrade.rollback import roll_back
from .destination import connect
from .display import Display
from .files import read_release
from .options import require_yes
from .output import as_json, say_after


def run(options: argparse.Namespace) -> int:
    """Says what is not restored, asks, and rolls back."""
    props, destination = read_release(options) if options.file else (None, None)
    cluster = connect(options, destination)
    require_yes(options)
    with Display(quiet=options.output == "json") as display:
        outcome = roll_back(
            cluster,
            options.name,
            props=props,
            force=options.force,
            confirm=lambda back: display.confirms(_intention(cluster, back), "Go back?", yes=options.yes),
            report=display.report,
        )
        display.end(outcome)
    if outcome.state is State.DONE and options.output == "json":
        say_after(as_json(outcome.back))
    return outcome.state.exit_code


def _intention(cluster: Cluster, back: Return) -> Iterator[str]:
    running, target = back.running, back.target
    mode = f" in {target.schema_mode}" if target.schema_mode else ""
    where = f"{running.name} in {running.namespace}, {cluster.place}"
    yield f"{where}: from SpiceDB {running.version} back to {target.version}{mode}, revision {target.revision}"
    yield from (f"  {caution}" for caution in back.cautions)
