"""``cdk8s-spicedb uninstall``: removes a SpiceDB, and says what stays."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..live.cluster import Cluster
from ..live.install.uninstall import Removal, plan_uninstall, uninstall
from ..live.status import statuses
from ..live.upgrade.outcome import State
from .destination import connect
from .display import Display
from .files import read_release
from .options import only, require_yes
from .output import DATA, DRY_RUN, as_data, say_after, styled, tell


def run(options: argparse.Namespace) -> int:
    """Says what is deleted and what stays, asks, and deletes."""
    props, destination = read_release(options) if options.file else (None, None)
    cluster = connect(options, destination)
    name = options.name or (props.name if props else _only(cluster))
    return _preview(options, cluster, name) if options.dry_run else _uninstall(options, cluster, name)


def _preview(options: argparse.Namespace, cluster: Cluster, name: str) -> int:
    """Says what an uninstall would do."""
    removal = plan_uninstall(cluster, name)
    return tell(options, removal, lambda: map(styled, [*_intention(cluster, removal), DRY_RUN]))


def _uninstall(options: argparse.Namespace, cluster: Cluster, name: str) -> int:
    require_yes(options)
    found: list[Removal] = []

    def confirm(removal: Removal) -> bool:
        found.append(removal)
        return display.confirms(_intention(cluster, removal), "Delete it?", yes=options.yes)

    with Display(quiet=options.output in DATA) as display:
        outcome = uninstall(cluster, name, confirm=confirm, report=display.report)
        display.end(outcome, options)
    if outcome.state is State.DONE:
        say_after(as_data(found[0], options.output) if options.output in DATA else "\n".join(_stays(found[0])))
    return outcome.exit_code


def _only(cluster: Cluster) -> str:
    """The name of the only SpiceDB of the namespace."""
    none = (
        f"there is no SpiceDB in the namespace {cluster.namespace}; check --namespace and --context. If an install "
        "failed before it created servers, run `cdk8s-spicedb uninstall NAME`"
    )
    return only(statuses(cluster), none)


def _intention(cluster: Cluster, removal: Removal) -> Iterator[str]:
    what = "what is left of it"
    if removal.version:
        what = f"SpiceDB {removal.version} ({removal.applier.of(removal.applied_as)})"
    yield f"{removal.name} in {removal.namespace}, {cluster.place}: uninstall {what}."
    if removal.deletes:
        yield "Deletes:"
    yield from (f"  {each}" for each in removal.deletes)
    yield from _stays(removal)
    yield from removal.cautions


def _stays(removal: Removal) -> Iterator[str]:
    yield "Stays:"
    yield from (f"  {each}" for each in removal.stays)
