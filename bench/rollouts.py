"""Measures roll-outs on the cluster that KUBECONFIG names, while clients check permissions at a fixed rate.

Installs SpiceDB, upgrades it and rolls it back, with several numbers of servers, and also a hand-written chart whose
servers drain. Prints the times, the failed checks and the latencies, and draws the latency over time. The share of the
processors is that of this machine, so it says something if the cluster runs on it.

Clients connect through a port-forward. If BENCH_CLIENT is set, it is the command that runs a client in the cluster's
network, and clients connect to the Service. Usage: python bench/rollouts.py [PICTURE.svg]
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from attrs import define, evolve, field, frozen

from bench.commands import MINIMAL, helm, namespace
from bench.figures import keep, print_row
from bench.latency import Check, draw, failures, percentile
from bench.load import DOCUMENTS
from cdk8s_spicedb import Pool, Resources, ServerProps, write_helm_chart
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace
from tests.lab.databases import POSTGRES
from tests.lab.props import NEWEST, OLD, ON_POSTGRES, on_postgres

KEY = "a key"
# Twice the connections of 16 servers. The database has its share of the processors, as on a machine of its own.
DATABASE = evolve(POSTGRES, arguments=("postgres", "-cmax_connections=1000"), cpu="500m")
SMALL = Resources(requests={"cpu": "10m", "memory": "32Mi"}, limits={"cpu": "2", "memory": "512Mi"})
STEADY_SECONDS = 10
RESTS = 4
OURS, SMALL_POOLS, BY_HAND = "this package", "this package, small pools", "hand-written"
DRAIN_DELAY = "this package, drain delay"
DATASTORES = {SMALL_POOLS: evolve(ON_POSTGRES, read_pool=Pool(min_open=2), write_pool=Pool(min_open=1))}
LIVES = [
    *((OURS, servers, 60) for servers in (2, 8)),
    *((chart, 8, 60) for chart in (SMALL_POOLS, DRAIN_DELAY)),
    *((BY_HAND, servers, 60) for servers in (2, 8)),
]


@define
class Phase:
    """A part of a measurement."""

    start: float = 0
    end: float = 0
    seconds: float = 0
    """Time that Helm took."""
    busy: float = 0
    """Share of the processors that was used while Helm ran, from 0 to 1."""


@frozen
class Life:
    """One installation, from the first start of its servers to the rollback."""

    chart: str
    servers: int
    rate: int
    install: float
    phases: dict[str, Phase] = field(factory=dict)
    checks: list[Check] = field(factory=list)

    def within(self, name: str) -> list[float]:
        """The milliseconds of the checks that were due in a phase."""
        phase = self.phases[name]
        return [check.milliseconds for check in self.checks if phase.start <= check.due < phase.end]

    def row(self) -> list[str]:
        """A row of the table."""
        p99 = {name: percentile(self.within(name), 99) for name in self.phases}
        upgrade, rollback = self.phases["upgrade"], self.phases["rollback"]
        busy = ", ".join(f"{phase.busy * 100:.0f} %" for phase in self.phases.values())
        return [
            str(self.rate),
            self.chart,
            str(self.servers),
            f"{self.install:.1f} s",
            *(f"{phase.seconds:.1f} s" for phase in (upgrade, rollback)),
            failures(self.checks),
            *(f"{milliseconds:.0f} ms" for milliseconds in p99.values()),
            busy,
        ]


HEADINGS = (
    "Checks per second",
    "Chart",
    "Servers",
    "Install",
    "Upgrade",
    "Rollback",
    "Failed",
    "p99 before",
    "p99 in the upgrade",
    "p99 in the rollback",
    "CPUs used before, in the upgrade, in the rollback",
)
_TABLES = {"roll-outs": slice(3, 7), "roll-out-latency": slice(7, None)}
"""The columns of each table on the page."""


def charts(folder: Path, chart: str, servers: int) -> tuple[Sequence[str], Sequence[str]]:
    """Helm's arguments for the older release and for the newer one."""
    if chart == BY_HAND:
        told = [str(MINIMAL), f"--set=servers={servers}", "--set=drains=true"]
        return [*told, f"--set=version={OLD}"], [*told, f"--set=version={NEWEST}"]
    for version in (OLD, NEWEST):
        drains = timedelta(seconds=5) if (chart, version) == (DRAIN_DELAY, NEWEST) else None
        datastore, server = (
            DATASTORES.get(chart, ON_POSTGRES),
            ServerProps(replicas=servers, shutdown_drain_delay=drains),
        )
        props = on_postgres(version, datastore=datastore, server=server)
        write_helm_chart(folder / version, evolve(props, server=evolve(props.server, resources=SMALL)))
    return [str(folder / OLD)], [str(folder / NEWEST)]


@contextmanager
def client(program: str, *words: str, told: str = "") -> Iterator[list[str]]:
    """Runs a program of bench/ that checks permissions until the context ends. ``told`` is the start of its standard
    input. Yields the lines that it has printed so far."""
    found: list[str] = []
    prefix = shlex.split(os.environ.get("BENCH_CLIENT", ""))
    command = [*prefix, sys.executable, str(Path(__file__).with_name(program)), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(told)
        process.stdin.flush()
        reader = threading.Thread(target=found.extend, args=(process.stdout or (),))
        reader.start()
        yield found
        process.stdin.close()
        reader.join()


@contextmanager
def clients(where: Namespace, rate: int, checks: list[Check]) -> Iterator[None]:
    """Checks permissions until the context ends."""
    with relay(where) as address:
        writer = Client(address, KEY)
        writer.write_schema()
        for number in range(DOCUMENTS):
            writer.write_reader(f"document-{number}")
        if os.environ.get("BENCH_CLIENT"):
            service = where.get("service", "spicedb") or {}
            address = f"{service['spec']['clusterIP']}:50051"
        with client("load.py", address, KEY, str(rate)) as lines:
            time.sleep(RESTS)
            yield
        checks.extend(map(Check.parse, lines))


def processors() -> tuple[int, int]:
    """Time of the processors that was used, and all of it."""
    times = [int(number) for number in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = times[3] + times[4]
    return sum(times) - idle, sum(times)


@contextmanager
def measured(where: Namespace, life: Life, name: str) -> Iterator[None]:
    """Measures a phase. Its checks end later than Helm: when no server drains any longer."""
    phase = life.phases[name] = Phase(start=time.time())
    used, total = processors()
    yield
    phase.seconds = time.time() - phase.start
    used, total = processors()[0] - used, processors()[1] - total
    phase.busy = used / max(total, 1)
    where.wait_for_terminating_servers()
    time.sleep(RESTS)
    phase.end = time.time()


def live(chart: str, servers: int, rate: int) -> Life:
    """Installs, upgrades and rolls back under load."""
    with tempfile.TemporaryDirectory() as folder, namespace(DATABASE) as where:
        old, new = charts(Path(folder), chart, servers)
        life = Life(chart, servers, rate, helm(where, "install", "spicedb", *old))
        with clients(where, rate, life.checks):
            with measured(where, life, "steady"):
                time.sleep(STEADY_SECONDS)
            with measured(where, life, "upgrade"):
                helm(where, "upgrade", "spicedb", *new)
            with measured(where, life, "rollback"):
                helm(where, "rollback", "spicedb", "1")
    return life


def main(picture: str = "") -> None:
    """Prints a table of all lives, and draws the one with 8 servers of this package."""
    print(f"{OLD} to {NEWEST}, PostgreSQL, {os.cpu_count()} processors, {platform.machine()}")
    print_row(HEADINGS)
    rows = []
    for chart, servers, rate in LIVES:
        life = live(chart, servers, rate)
        rows.append(life.row())
        print_row(rows[-1])
        if picture and (chart, servers, rate) == (OURS, 8, 60):
            Path(picture).write_text(draw(life.checks, {n: (p.start, p.end) for n, p in life.phases.items()}))
    if picture:
        # Two tables, because one is too wide for a page.
        for name, columns in _TABLES.items():
            keep(name, columns_of(HEADINGS, columns), (columns_of(row, columns) for row in rows))


def columns_of(row: Sequence[str], columns: slice) -> Sequence[str]:
    """The chart, the servers, and some more cells of a row. The rate is the same in all rows."""
    return (*row[1:3], *row[columns])


if __name__ == "__main__":
    main(*sys.argv[1:])
