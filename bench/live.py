"""Measures the commands on a live release, beside Helm alone, on the cluster that KUBECONFIG names.

Each upgrade and rollback runs in turns with Helm alone and with the command, on one database. Usage: python
bench/live.py [RUNS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.cluster import helm, namespace
from cdk8s_spicedb import write_helm_chart
from tests.lab.cluster import Namespace
from tests.lab.command import Command
from tests.lab.props import NEW, OLD, on_postgres

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
    add("check", seconds(where, "check", *file))
    add("diff", seconds(where, "diff", *file))
    add("upgrade", seconds(where, "upgrade", *file, "--yes", "--no-check", "--observe=0"))
    add("rollback", seconds(where, "rollback", "spicedb", "--yes"))


def main(runs: int = 3) -> None:
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


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
