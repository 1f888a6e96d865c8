"""``cdk8s-spicedb repair``: prints a Job that repairs a database into which a dump was restored."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence

from ..manifests.repair import repair_job
from .files import read_file
from .output import Stream, say, say_error


def run(options: argparse.Namespace) -> int:
    """Prints the Job, as JSON, which kubectl reads too. On a terminal, also says what to do with it."""
    job = repair_job(read_file(options))
    say(json.dumps(job, indent=2))
    if Stream().isatty():
        say_error("\n".join(_next(options.words)))
    return 0


def _next(words: Sequence[str]) -> Iterator[str]:
    command = shlex.join(["cdk8s-spicedb", *words])
    yield "\nNothing was changed. To create this Job, pass it to kubectl:"
    yield f"  {command} | kubectl create --namespace NAMESPACE -f -"
    # The Job has another name each time, so that kubectl always creates a new one.
    yield "Then wait until the Job, whose name kubectl prints, is done:"
    yield "  kubectl wait --for=condition=complete job/NAME --timeout=1h --namespace NAMESPACE"
