"""``cdk8s-spicedb repair``: repairs a database into which a dump was restored, or prints the Job that does."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence

from ..manifests.repair import repair_job
from .files import read_release
from .output import Stream, say, say_error

_OF_RUN = ("namespace", "context", "kubeconfig", "database_image")
"""Options that belong to ``--run``."""


def run(options: argparse.Namespace) -> int:
    """Repairs the database, or prints the Job."""
    if options.run:
        return _run(options)
    for name in _OF_RUN:
        if getattr(options, name) is not None:
            options.usage(f"use --{name.replace('_', '-')} and --run together")
    return _print(options)


def _print(options: argparse.Namespace) -> int:
    """Prints the Job, as JSON, which kubectl reads too. On a terminal, also says what to do with it."""
    job = repair_job(read_release(options)[0])
    say(json.dumps(job, indent=2))
    if Stream().isatty():
        say_error("\n".join(_next(options.words)))
    return 0


def _run(options: argparse.Namespace) -> int:
    from ..live.upgrade.repair import repair  # Printing the Job needs no client of a cluster.
    from .destination import connect

    props, destination = read_release(options)
    cluster = connect(options, destination)
    repaired = repair(cluster, props, database_image=options.database_image, notify=say_error)
    where = f"The database of {props.name} in {cluster.namespace}"
    if not repaired:
        say(f"{where} needs no repair: its server has given out all transaction ids that are in the tables.")
        return 0
    say(f"{where} is repaired: SpiceDB sees all of its rows again. To start the servers, run:")
    say(f"  kubectl scale deployment/{props.name} --replicas={props.replicas} {cluster.options()}")
    return 0


def _next(words: Sequence[str]) -> Iterator[str]:
    command = shlex.join(["cdk8s-spicedb", *words])
    yield "\nNothing was changed. To run this Job, and to wait for it, add --run. Or pass it to kubectl:"
    yield f"  {command} | kubectl create --namespace NAMESPACE -f -"
    # The Job has another name each time, so that kubectl always creates a new one.
    yield "Then wait until the Job, whose name kubectl prints, is done:"
    yield "  kubectl wait --for=condition=complete job/NAME --timeout=1h --namespace NAMESPACE"
