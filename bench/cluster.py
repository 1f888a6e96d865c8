"""Measures Helm on the cluster that KUBECONFIG names, beside a minimal hand-written chart, and prints a table.

The charts run in turns, each with its own database. Both run with and without a Job that removes the finished
migration, because Helm waits for that Job too. Usage: python bench/cluster.py [RUNS]
"""

from __future__ import annotations

import platform
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import truediv
from pathlib import Path

from cdk8s_spicedb import CleanupProps, write_helm_chart
from tests.lab.cluster import Namespace, run
from tests.lab.databases import PASSWORD, POSTGRES, Database, postgres_revision
from tests.lab.props import NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres

MINIMAL = Path(__file__).parent / "minimal"
CHARTS = ("this package", "hand-written", "this package, no clean-up", "hand-written, no clean-up")
STEPS = ("install", "upgrade", "rollback", "uninstall")


def charts(folder: Path) -> Mapping[str, tuple[Sequence[str], Sequence[str]]]:
    """By name of the chart, Helm's arguments for the older release and for the newer one."""
    found: dict[str, tuple[Sequence[str], Sequence[str]]] = {}
    for cleanup, ours, by_hand in zip((True, False), CHARTS[::2], CHARTS[1::2], strict=True):
        for version in (OLD, NEW):
            write_helm_chart(folder / ours / version, on_postgres(version, cleanup=CleanupProps(enabled=cleanup)))
        found[ours] = [str(folder / ours / OLD)], [str(folder / ours / NEW)]
        told = [str(MINIMAL), f"--set=cleanup={str(cleanup).lower()}"]
        found[by_hand] = [*told, f"--set=version={OLD}"], [*told, f"--set=version={NEW}"]
    return found


@contextmanager
def namespace(database: Database = POSTGRES) -> Iterator[Namespace]:
    """A namespace with a database. Both are deleted afterwards."""
    made = Namespace(f"bench-{uuid.uuid4().hex[:8]}")
    made.create(made.name)
    try:
        made.secret("spicedb", {"preshared-key": "a key", "password": PASSWORD})
        database.start(made)
        yield made
    finally:
        made.delete()
        run("kubectl", "wait", "namespace", made.name, "--for=delete", "--timeout=120s", check=False)


def helm(where: Namespace, *arguments: str) -> float:
    """The seconds that Helm takes. Fails if Helm fails."""
    start = time.monotonic()
    run("helm", *arguments, "--namespace", where.name, "--wait", "--timeout=120s")
    return time.monotonic() - start


def life(old: Sequence[str], new: Sequence[str]) -> dict[str, float]:
    """The seconds of each step: install, upgrade, rollback and uninstall."""
    with namespace() as where:
        install = helm(where, "install", "spicedb", *old)
        assert postgres_revision(where) == OLD_HEAD
        upgrade = helm(where, "upgrade", "spicedb", *new)
        assert postgres_revision(where) == NEW_HEAD
        found = [install, upgrade, helm(where, "rollback", "spicedb", "1"), helm(where, "uninstall", "spicedb")]
    return dict(zip(STEPS, found, strict=True))


def main(runs: int = 5) -> None:
    """Prints the medians of some runs, and the medians of the ratios of the single runs."""
    if not shutil.which("kubectl") or not shutil.which("helm"):
        sys.exit("kubectl and helm have to be on PATH, and KUBECONFIG has to name a cluster")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CHARTS}
    with tempfile.TemporaryDirectory() as folder:
        told = charts(Path(folder))
        for number in range(runs):
            # Another chart begins each run, so that none always goes first.
            for name in CHARTS[number % len(CHARTS) :] + CHARTS[: number % len(CHARTS)]:
                found[name].append(life(*told[name]))
    print(f"{OLD} to {NEW}, PostgreSQL, 2 replicas, {platform.machine()}, median of {runs}\n")
    print(f"| | {' | '.join(CHARTS)} | ratio | ratio, no clean-up |\n|{' --- |' * (len(CHARTS) + 3)}")
    for step in STEPS:
        seconds = {name: [life[step] for life in found[name]] for name in CHARTS}
        medians = [f"{statistics.median(seconds[name]):.1f} s" for name in CHARTS]
        ratios = [
            statistics.median(map(truediv, seconds[ours], seconds[theirs]))
            for ours, theirs in zip(CHARTS[::2], CHARTS[1::2], strict=True)
        ]
        print(f"| {step} | {' | '.join(medians)} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
