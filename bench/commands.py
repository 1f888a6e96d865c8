"""Measures Helm and this package's commands on the cluster that KUBECONFIG names, and prints two tables.

The first compares the chart with a minimal hand-written one. They run in turns, each with its own database, with and
without a Job that removes the finished migration, because Helm waits for that Job too. The second compares the commands
with Helm alone: each upgrade and rollback runs with both, in turns, on one database. Usage: python bench/commands.py
[RUNS_OF_CHARTS] [RUNS_OF_COMMANDS]
"""

from __future__ import annotations

import platform
import shutil
import statistics
import subprocess
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
from tests.lab.command import Command
from tests.lab.databases import PASSWORD, POSTGRES, Database, postgres_revision
from tests.lab.props import NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres

MINIMAL = Path(__file__).parent / "minimal"
CHARTS = ("this package", "hand-written", "this package, no clean-up", "hand-written, no clean-up")
STEPS = ("install", "upgrade", "rollback", "uninstall")
ROWS = {
    "upgrade with Helm alone": "upgrade by Helm",
    "upgrade with Helm alone, until no older server is left": "upgrade by Helm and wait",
    "upgrade with the command, without check and observation": "upgrade",
    "rollback with Helm alone": "rollback by Helm",
    "rollback with Helm alone, until no newer server is left": "rollback by Helm and wait",
    "rollback with the command": "rollback",
    "status": "status",
    "check, without images": "check",
    "diff": "diff",
}


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


def helm(where: Namespace, *arguments: str, limit_seconds: int = 120) -> float:
    """The seconds that Helm takes. Fails if Helm fails."""
    start = time.monotonic()
    run("helm", *arguments, "--namespace", where.name, "--wait", f"--timeout={limit_seconds}s")
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


def compare_charts(runs: int) -> None:
    """Prints the medians of some runs, and the medians of the ratios of the single runs."""
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


def seconds(where: Namespace, *words: str) -> float:
    """The seconds that a command takes. Fails if the command fails."""
    start = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "cdk8s_spicedb", *words, "--namespace", where.name],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - start


def run_once(where: Namespace, command: Command, chart: Path, found: dict[str, list[float]]) -> None:
    """Upgrades and rolls back with Helm alone, then with the commands."""
    file = ("--file", str(command.file))

    def add(name: str, took: float) -> None:
        found.setdefault(name, []).append(took)

    for step, words in (("upgrade", ("upgrade", "spicedb", str(chart))), ("rollback", ("rollback", "spicedb", "1"))):
        start = time.monotonic()
        add(f"{step} by Helm", helm(where, *words))
        where.wait_for_terminating_servers()
        add(f"{step} by Helm and wait", time.monotonic() - start)
    add("status", seconds(where, "status", "spicedb"))
    add("check", seconds(where, "check", *file, f"--database-image={POSTGRES.image}"))
    add("diff", seconds(where, "diff", *file))
    add("upgrade", seconds(where, "upgrade", *file, "--yes", "--no-check", "--observe=0"))
    add("rollback", seconds(where, "rollback", "spicedb", "--yes"))


def compare_commands(runs: int) -> None:
    """Prints the medians of some runs."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, namespace() as where:
        command, chart = Command(where, Path(folder)), Path(folder) / "chart"
        command.install(OLD)
        command.write(NEW)
        write_helm_chart(chart, on_postgres(NEW))
        for _ in range(runs):
            run_once(where, command, chart, found)
    print(f"{OLD} to {NEW}, PostgreSQL, 2 replicas, median of {runs}\n\n| | seconds |\n| --- | --- |")
    for title, name in ROWS.items():
        print(f"| {title} | {statistics.median(found[name]):.1f} s |")


def main(charts_runs: int = 5, commands_runs: int = 3) -> None:
    """Prints both tables."""
    if not shutil.which("kubectl") or not shutil.which("helm"):
        sys.exit("kubectl and helm have to be on PATH, and KUBECONFIG has to name a cluster")
    compare_charts(charts_runs)
    print()
    compare_commands(commands_runs)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
