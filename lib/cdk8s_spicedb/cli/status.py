"""``cdk8s-spicedb status``: prints what runs, and what is wrong with it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import SpiceDBError
from .options import Commands, add_cluster, add_file, add_releases, as_json, at_least, connect, console, read_file

if TYPE_CHECKING:
    from ..live.cluster import Cluster
    from ..live.status import Status, Summary


_POLL_SECONDS = 1.0
_WAIT_SECONDS = 600
_PATIENCE_SECONDS = 120
"""How long an outage of the API server may last while the command waits."""


def add_to(commands: Commands) -> None:
    """Adds the command."""
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
    parser.set_defaults(run=_run, usage=parser.error)


def _run(options: argparse.Namespace) -> int:
    _check(options)
    cluster = connect(options, _PATIENCE_SECONDS if options.watch or options.wait is not None else 0)
    from ..live.status import statuses

    if options.all_namespaces:
        return _all(options, statuses(cluster, everywhere=True))
    name = options.name
    if name is None:
        found = statuses(cluster)
        if len(found) > 1 and options.wait is None:
            return _all(options, found)
        name = _only(found, cluster.namespace)
    if options.watch:
        return _watch(options, cluster, name)
    if options.wait is not None:
        _wait(options, cluster, name)
    found_one = _status(options, cluster, name)
    _print(options, found_one)
    return 0 if found_one.healthy else 1


def _check(options: argparse.Namespace) -> None:
    """Ends the program if options do not fit together."""
    details = [
        option
        for option, is_set in {
            "NAME": options.name,
            "--certificates": options.certificates,
            "--drift": options.drift,
            "--datastore": options.datastore,
            "--watch": options.watch,
            "--wait": options.wait is not None,
        }.items()
        if is_set
    ]
    if options.all_namespaces and details:
        options.usage(f"--all-namespaces lists SpiceDBs; leave out {', '.join(details)}")
    if options.datastore != (options.file is not None):
        options.usage("use --datastore and --file together")
    if options.watch and options.output == "json":
        options.usage("--watch prints text; leave out --output json")


def _only(found: Sequence[Summary], namespace: str) -> str:
    if not found:
        raise SpiceDBError(
            f"there is no SpiceDB in the namespace {namespace}; check --namespace and --context, or look in all "
            "namespaces with --all-namespaces"
        )
    if len(found) > 1:
        raise SpiceDBError(f"there are several SpiceDBs; name one of them: {', '.join(each.name for each in found)}")
    return found[0].name


def _status(options: argparse.Namespace, cluster: Cluster, name: str) -> Status:
    from ..live.status import status

    found = status(cluster, name, drift=options.drift, certificates=options.certificates)
    return _with_revision(options, cluster, found) if options.datastore else found


def _with_revision(options: argparse.Namespace, cluster: Cluster, found: Status) -> Status:
    """Asks the database."""
    import attrs

    from ..live.check.database import read_revision

    props = read_file(options)
    if props.name != found.name:
        files = " and ".join(options.file) + (" describes" if len(options.file) == 1 else " describe")
        raise SpiceDBError(f"{files} {props.name}, not {found.name}; name the file of {found.name}")
    return attrs.evolve(found, revision=read_revision(cluster, props, options.database_image) or "none")


# ---------------------------------------------------------------- waiting


def _wait(options: argparse.Namespace, cluster: Cluster, name: str) -> None:
    """Waits until the next change is safe. Raises `SpiceDBError` with the reason if that takes too long."""
    from ..live.waiting import wait_until_safe

    def notify(reason: str) -> None:
        print(f"Waiting: {reason}", file=sys.stderr, flush=True)

    reason = wait_until_safe(cluster, name, options.wait, notify)
    if reason is not None:
        raise SpiceDBError(f"the next change of {name} is not safe yet: {reason}")


def _watch(options: argparse.Namespace, cluster: Cluster, name: str) -> int:
    found = _status(options, cluster, name)
    try:
        if sys.stdout.isatty():
            _watch_screen(lambda: _status(options, cluster, name))
        last = ""
        while True:
            from .status_text import line

            text = line(found)
            if text != last:
                print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
                last = text
            time.sleep(_POLL_SECONDS)
            found = _status(options, cluster, name)
    except KeyboardInterrupt:
        return 0 if found.healthy else 1


def _watch_screen(ask: Callable[[], Status]) -> None:
    from rich.live import Live

    from .status_text import details

    screen = console()
    with Live(console=screen, auto_refresh=False) as live:
        while True:
            live.update(details(ask(), screen.width), refresh=True)
            time.sleep(_POLL_SECONDS)


# ---------------------------------------------------------------- printing


def _all(options: argparse.Namespace, found: Sequence[Summary]) -> int:
    if options.output == "json":
        print(json.dumps([json.loads(as_json(each)) for each in found], indent=2))
    elif not found:
        raise SpiceDBError("there is no SpiceDB in any namespace of the cluster")
    else:
        from .status_text import table

        console().print(table(found))
    return 0 if found and all(each.healthy for each in found) else 1


def _print(options: argparse.Namespace, found: Status) -> None:
    if options.output == "json":
        print(as_json(found))
        return
    from .status_text import details

    output = console()
    output.print(details(found, output.width if output.is_terminal else None), soft_wrap=True)
