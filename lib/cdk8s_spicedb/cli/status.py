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
from .files import read_release
from .options import releases
from .output import DATA, as_data, console, say, say_error, show
from .status_text import details, line, table

_POLL_SECONDS = 1.0
_WAIT_SECONDS = 600
"""The default of ``--timeout``."""
_PATIENCE_SECONDS = 120
"""How long an outage of the API server may last while the command waits."""


def run(options: argparse.Namespace) -> int:
    """Prints one SpiceDB, or several."""
    _require_fitting(options)
    waits = bool(options.wait)
    props, destination = read_release(options) if options.file else (None, None)
    patience = _PATIENCE_SECONDS if options.watch or waits else PATIENCE_SECONDS
    cluster = connect(options, destination, patience)
    name = options.name
    if name is None:
        several = statuses(cluster, everywhere=options.all_namespaces)
        if options.all_namespaces or (len(several) > 1 and not waits):
            return _list(options, several)
        name = _only(several, cluster.namespace)
    if options.watch:
        return _watch(options, props, cluster, name)
    if waits:
        reason = wait_until_safe(cluster, name, options.timeout or _WAIT_SECONDS, _say_why)
        if reason is not None:
            raise SpiceDBError(f"the next change of {name} is not safe yet: {reason}")
    found = _status(options, props, cluster, name)
    if options.output in DATA:
        say(as_data(found, options.output))
    else:
        output = console()
        show(details(found, output.width if output.is_terminal else None))
    return 0 if found.healthy else 1


def _require_fitting(options: argparse.Namespace) -> None:
    given = {
        "NAME": options.name,
        "--certificates": options.certificates,
        "--drift": options.drift,
        "--datastore": options.datastore,
        "--watch": options.watch,
        "--wait": options.wait,
    }
    if options.all_namespaces and any(given.values()):
        names = ", ".join(name for name, is_set in given.items() if is_set)
        options.usage(f"--all-namespaces lists SpiceDBs; leave out {names}")
    if options.datastore != (options.file is not None):
        options.usage("use --datastore and --file together")
    if options.watch and options.output in DATA:
        options.usage("--watch prints text; leave out --output json")


def _list(options: argparse.Namespace, found: Sequence[Summary]) -> int:
    if options.output in DATA:
        say(as_data(found, options.output))
    elif not found:
        raise SpiceDBError("there is no SpiceDB in any namespace of the cluster")
    else:
        show(table(found))
    return 0 if found and all(each.healthy for each in found) else 1


def _only(found: Sequence[Summary], namespace: str) -> str:
    if not found:
        raise SpiceDBError(
            f"there is no SpiceDB in the namespace {namespace}; check --namespace and --context, or look in all "
            "namespaces with --all-namespaces"
        )
    if len(found) > 1:
        raise SpiceDBError(f"there are several SpiceDBs; name one of them: {', '.join(each.name for each in found)}")
    return found[0].name


def _status(options: argparse.Namespace, props: SpiceDBProps | None, cluster: Cluster, name: str) -> Status:
    table = releases(options)
    found = status(cluster, name, drift=options.drift, certificates=options.certificates, releases=table)
    if props is None:
        return found
    if props.name != found.name:
        files = " and ".join(options.file) + (" describes" if len(options.file) == 1 else " describe")
        raise SpiceDBError(f"{files} {props.name}, not {found.name}; name the file of {found.name}")
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
