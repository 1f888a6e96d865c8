"""Measures rendering by whole processes, and prints a table.

The two processes of a pair run in turns, because a machine's speed changes over time. Compare the ratios.

Usage: python bench/rendering.py [RUNS]
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from attrs import frozen

from cdk8s_spicedb import PostgreSQL, SecretKey, SpiceDBProps, write_helm_chart
from cdk8s_spicedb.manifests import release_manifests

ROOT = Path(__file__).parent.parent
BENCH = ROOT / "bench"
PYTHON = sys.executable
COMMAND_LINE = str(Path(PYTHON).parent / "cdk8s-spicedb")
PROPS = SpiceDBProps(version="v1.56.0", datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")))
AMOUNTS = (1, 10, 100, 400)
_RUNS = {100: 5, 400: 3}


@frozen
class Run:
    """One run of a process."""

    seconds: float
    mebibytes: float
    """Peak memory of its largest process, node included."""


def run(command: Sequence[str], folder: str) -> Run:
    """Runs a program until it ends, in a folder that also takes its output."""
    start = time.perf_counter()
    # As in an installed package, modules are compiled once: in the first run, which does not count.
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": f"{folder}/compiled"}
    env = {**os.environ, **compiled, "CDK8S_OUTDIR": f"{folder}/dist"}
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(time.perf_counter() - start, usage.ru_maxrss / 1024)


def pairs(first: Sequence[str], second: Sequence[str], runs: int) -> tuple[list[Run], list[Run]]:
    """Runs two programs in turns. The first run of each does not count."""
    found: tuple[list[Run], list[Run]] = ([], [])
    with tempfile.TemporaryDirectory() as folder:
        for number in range(runs + 1):
            for command, into in zip((first, second), found, strict=True):
                measured = run(command, folder)
                if number:
                    into.append(measured)
    return found


def seconds(runs: list[Run]) -> float:
    return statistics.median(each.seconds for each in runs)


def row(what: str, first: list[Run], second: list[Run]) -> str:
    """A row of the table: the medians of both, and the median of the ratios of the pairs."""
    ratio = statistics.median(one.seconds / other.seconds for one, other in zip(first, second, strict=True))
    memory = " | ".join(f"{statistics.median(each.mebibytes for each in runs):.0f} MiB" for runs in (first, second))
    return f"| {what} | {seconds(first):.2f} s | {seconds(second):.2f} s | {ratio:.2f} | {memory} |"


def growth(found: dict[int, tuple[list[Run], list[Run]]], objects: int) -> Iterator[str]:
    """Rows with the time that each further object takes, between one number of SpiceDBs and the next."""
    for less, more in pairwise(found):
        ours, bare = (
            (seconds(found[more][side]) - seconds(found[less][side])) / (more - less) / objects * 1000
            for side in (0, 1)
        )
        what = f"each object, from {less} to {more} SpiceDBs"
        yield f"| {what} | {ours:.1f} ms | {bare:.1f} ms | {ours / bare:.2f} | | |"


def many_files(delivery: str, runs: int) -> tuple[list[Run], list[Run]]:
    """Writes SpiceDBs from files: all of them, then again after one file has changed. The first turn does not count."""
    command = [COMMAND_LINE, "synth", "--file", "base.yaml", "--each", "tenants/*.yaml", "--delivery", delivery]
    found: tuple[list[Run], list[Run]] = ([], [])
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "base.yaml").write_text("datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}")
        (root / "tenants").mkdir()
        for number in range(max(AMOUNTS)):
            (root / "tenants" / f"tenant-{number}.yaml").write_text(f"name: tenant-{number}\n")
        for number in range(runs + 1):
            shutil.rmtree(root / "dist", ignore_errors=True)
            turn = [run(command, folder)]
            (root / "tenants" / "tenant-0.yaml").write_text(f"name: tenant-0\nserver: {{replicas: {number + 3}}}\n")
            turn.append(run(command, folder))
            for measured, into in zip(turn, found, strict=True):
                into += [measured] if number else []
    return found


def imports(*modules: str) -> list[str]:
    return [PYTHON, "-c", "".join(f"import {module}\n" for module in modules) or "pass"]


def main(runs: int = 15) -> None:
    plan = ["plan", "--engine", "postgres", "--from", "v1.13.0", "--to", "v1.56.0"]
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.machine()}, median of {runs}\n")
    print(
        "| Measured, and its baseline | this package | baseline | ratio | memory, this package | memory, baseline |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    with tempfile.TemporaryDirectory() as folder:
        manifests, found = release_manifests(PROPS), {}
        for amount in AMOUNTS:
            objects = Path(folder) / f"{amount}.json"
            objects.write_text(json.dumps([manifests] * amount))
            many, bare = [PYTHON, str(BENCH / "many.py"), str(amount)], [PYTHON, str(BENCH / "bare.py"), str(objects)]
            found[amount] = pairs(many, bare, _RUNS.get(amount, runs))
            print(row(f"{amount} SpiceDB{'s' if amount > 1 else ''}; plain ApiObjects", *found[amount]), flush=True)
        print(*growth(found, len(manifests)), sep="\n")
        for what, ours, bare in (
            ("`import cdk8s_spicedb`; `import cdk8s`", imports("cdk8s_spicedb"), imports("cdk8s")),
            ("`import cdk8s_spicedb`; Python alone", imports("cdk8s_spicedb"), imports()),
            ("import of the planner; Python alone", imports("cdk8s_spicedb.plans.planner"), imports()),
            ("import of the rendering; Python alone", imports("cdk8s_spicedb.manifests"), imports()),
            ("import with the constructs; `import cdk8s`", imports("cdk8s_spicedb.constructs"), imports("cdk8s")),
            ("`cdk8s-spicedb --help`; Python alone", [COMMAND_LINE, "--help"], imports()),
            ("`cdk8s-spicedb plan`; Python alone", [COMMAND_LINE, *plan], imports()),
        ):
            print(row(what, *pairs(ours, bare, runs)))
        write_helm_chart(f"{folder}/chart", PROPS)
        render = "import helm_python, sys\nwith helm_python.Chart.load(sys.argv[1]) as chart: chart.render(values={})"
        template = [PYTHON, "-c", render, f"{folder}/chart"]
        print(
            row(
                "rendering a written chart with `helm_python`; its import",
                *pairs(template, imports("helm_python"), runs),
            )
        )
    print(
        f"\n| {max(AMOUNTS)} SpiceDBs from files | all are new | one file changed | ratio | memory, all are new | "
        "memory, one file changed |\n| --- | --- | --- | --- | --- | --- |"
    )
    for what, delivery in (("manifests", "kubectl"), ("Helm charts", "helm")):
        print(row(f"`synth --each`, {what}", *many_files(delivery, _RUNS[max(AMOUNTS)])))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
