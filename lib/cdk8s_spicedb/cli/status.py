"""``cdk8s-spicedb status``: prints what runs, and what is wrong with it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import attrs
from rich.console import Group
from rich.live import Live

from ..errors import SpiceDBError
from ..live.check.database import ask_database
from ..live.cluster import PATIENCE_SECONDS, Cluster
from ..live.status import Status, Summary, status, statuses
from ..live.waiting import wait_until_safe
from ..props import SpiceDBProps
from .destination import connect
from .each import Found, look_at
from .exits import DONE, NO
from .files import read_release
from .options import only, releases
from .output import DATA, as_data, console, say, say_error, show, tell
from .status_text import details, line, table

_POLL_SECONDS = 1.0
_WAIT_SECONDS = 600
"""The default of ``--timeout``."""
_PATIENCE_SECONDS = 120
"""How long an outage of the API server may last while the command waits."""


def run(options: argparse.Namespace) -> int:
    """Prints one SpiceDB, or several."""
    _require_fitting(options)
    if options.each is not None:
        return look_at(options, lambda cluster, props: _look(options, cluster, props.name, props))
    props, destination = read_release(options) if options.file else (None, None)
    patience = _PATIENCE_SECONDS if options.watch or options.wait else PATIENCE_SECONDS
    cluster = connect(options, destination, patience)
    name = options.name or (props.name if props else None)
    if name is None:
        several = statuses(cluster, everywhere=options.all_namespaces)
        if options.all_namespaces or (len(several) > 1 and not options.wait):
            return _list(options, several)
        none = (
            f"there is no SpiceDB in the namespace {cluster.namespace}; check --namespace and --context, or look in "
            "all namespaces with --all-namespaces"
        )
        name = only(several, none)
    if options.watch:
        return _watch(options, props, cluster, name)
    found = _look(options, cluster, name, props)
    return tell(options, found.data, found.lines, found.code)


def _look(options: argparse.Namespace, cluster: Cluster, name: str, props: SpiceDBProps | None) -> Found:
    """One SpiceDB, after the wait of ``--wait``."""
    if options.wait:
        reason = wait_until_safe(cluster, name, _WAIT_SECONDS if options.timeout is None else options.timeout, _say_why)
        if reason is not None:
            raise SpiceDBError(f"the next change of {name} is not safe yet: {reason}")
    found = _status(options, props, cluster, name)
    output = console()
    width = output.width if output.is_terminal else None
    return Found(found, lambda: details(found, width), DONE if found.healthy else NO)


def _require_fitting(options: argparse.Namespace) -> None:
    given = {
        "NAME": options.name,
        "--certificates": options.certificates,
        "--drift": options.drift,
        "--datastore": options.datastore,
        "--watch": options.watch,
        "--wait": options.wait,
        "--file": options.file is not None,
        "--each": options.each is not None,
    }
    if options.all_namespaces and any(given.values()):
        names = ", ".join(name for name, is_set in given.items() if is_set)
        options.usage(f"--all-namespaces lists SpiceDBs; leave out {names}")
    if options.datastore and not (options.file or options.each):
        options.usage("--datastore needs the file that describes the SpiceDB; add --file")
    if options.timeout is not None and not options.wait:
        options.usage("--timeout needs --wait")
    if options.each is not None and options.watch:
        options.usage("--watch prints one SpiceDB; leave out --each")
    if options.watch and options.output in DATA:
        options.usage(f"--watch prints text; leave out --output {options.output}")


def _list(options: argparse.Namespace, found: Sequence[Summary]) -> int:
    if options.output in DATA:
        say(as_data(found, options.output))
    elif not found:
        raise SpiceDBError("there is no SpiceDB in any namespace of the cluster")
    else:
        show(table(found))
    return 0 if found and all(each.healthy for each in found) else 1


def _status(options: argparse.Namespace, props: SpiceDBProps | None, cluster: Cluster, name: str) -> Status:
    table = releases(options)
    found = status(cluster, name, drift=options.drift, certificates=options.certificates, releases=table)
    if props is None or not options.datastore:
        return found
    report = ask_database(cluster, props, options.database_image)
    problems = [f"{each.text}; {each.fix}" for each in report.misread]
    return attrs.evolve(
        found,
        revision=report.revision or "none",
        problems=(*found.problems, *problems),
        healthy=found.healthy and not problems,
    )


def _say_why(reason: str) -> None:
    say_error(f"Waiting: {reason}")


def _watch(options: argparse.Namespace, props: SpiceDBProps | None, cluster: Cluster, name: str) -> int:
    """Prints again on every change: the whole text on a terminal, and a line elsewhere."""
    found, last, screen = None, "", console()
    try:
        with Live(console=screen, auto_refresh=False) if screen.is_terminal else nullcontext() as live:
            for found in _polled(options, props, cluster, name):
                text = line(found)
                if live:
                    live.update(Group(*details(found, screen.width)), refresh=True)
                elif text != last and not say(f"{time.strftime('%H:%M:%S')} {text}"):
                    break  # Nobody reads any more.
                last = text
    except KeyboardInterrupt:
        pass
    return 0 if found and found.healthy else 1


def _polled(options: argparse.Namespace, props: SpiceDBProps | None, cluster: Cluster, name: str) -> Iterator[Status]:
    while True:
        yield _status(options, props, cluster, name)
        time.sleep(_POLL_SECONDS)
