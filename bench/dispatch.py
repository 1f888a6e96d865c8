"""Measures what dispatch costs and saves while all nodes live, and prints a table.

The cluster that KUBECONFIG names needs three nodes. BENCH_CLIENT is the command that runs a client in the cluster's
network. The processor time of the servers counts what they used, and not what this machine was busy with.
Usage: python bench/dispatch.py [TEXT]. With TEXT, only the rows whose requests contain it are measured.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from attrs import evolve, frozen

from bench.commands import namespace
from bench.figures import keep, print_row, read
from bench.groups import DEEP, MODES, WIDE, address, asking, install
from bench.latency import failures, percentile
from bench.rollouts import DATABASE
from tests.lab.cluster import Namespace
from tests.lab.databases import postgres_query
from tests.lab.nodes import Nodes
from tests.lab.props import NEWEST

WARM_SECONDS, STEADY_SECONDS, DEADLINE_SECONDS = 12, 20, 5


@frozen
class Work:
    """What clients ask."""

    text: str
    servers: int
    rate: float
    kind: str = "check"
    cold: bool = False
    writes: float = 0
    """Writes per second beside it."""
    groups: tuple[int, int] = DEEP
    modes: Sequence[str] = ("on", "off")
    """Ways to dispatch that are compared, of `MODES`."""


ALL = tuple(MODES)
WORK = [
    Work("80 checks a second, each for a new user", 3, 80, cold=True),
    Work("80 checks a second", 2, 80),
    Work("80 checks a second", 3, 80, modes=ALL),
    *(Work("80 checks a second", servers, 80) for servers in (5, 8)),
    Work("200 checks a second", 3, 200, modes=ALL),
    Work("200 checks a second", 8, 200),
    Work("200 checks and 5 writes a second", 3, 200, writes=5),
    Work("80 checks a second, groups of 50", 3, 80, groups=WIDE),
    Work("20 bulk requests of 10 checks a second", 3, 20, "bulk", modes=ALL),
    Work("10 LookupResources a second", 3, 10, "resources", modes=ALL),
    Work("10 LookupSubjects a second", 3, 10, "subjects", modes=ALL),
]


@frozen
class Used:
    """What the servers and the database have done since their start."""

    transactions: int
    processor: float
    hits: float
    misses: float
    memory: float

    @classmethod
    def of(cls, where: Namespace) -> Used:
        """What was used until now."""
        lines = [line for pod in where.servers() for line in where.metrics(pod).splitlines()]

        def total(*names: str) -> float:
            return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(names))

        return cls(
            int(postgres_query(where, "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database")),
            total("process_cpu_seconds_total "),
            total("spicedb_cache_hits_total"),
            total("spicedb_cache_misses_total"),
            total("process_resident_memory_bytes "),
        )


def cost(work: Work, mode: str, node: str) -> list[str]:
    """What a way to dispatch costs, as a row of the table."""
    with namespace(evolve(DATABASE, node=node)) as where:
        install(where, mode, work.servers, node, work.groups)
        pods = [address(pod) for pod in where.servers()]
        asked = {"name": "asked", "addresses": pods, "rate": work.rate, "cold": work.cold, "kind": work.kind}
        written = {"name": "written", "addresses": pods, "rate": work.writes, "cold": False, "kind": "write"}
        targets = [{**each, "client": "plain"} for each in (asked, written) if each["rate"]]
        with asking(targets, DEADLINE_SECONDS) as found:
            time.sleep(WARM_SECONDS)
            before, start = Used.of(where), time.time()
            time.sleep(STEADY_SECONDS)
            end, after = time.time(), Used.of(where)
    times = [each.milliseconds for each in found if each.target == "asked" and start <= each.due < end]
    hits, misses = after.hits - before.hits, after.misses - before.misses
    return [
        work.text,
        str(work.servers),
        mode,
        failures(found),
        f"{percentile(times, 50):.1f} ms",
        f"{percentile(times, 99):.0f} ms",
        f"{after.transactions - before.transactions:,}",
        f"{after.processor - before.processor:.1f} s",
        f"{hits / max(hits + misses, 1) * 100:.0f} %",
        f"{after.memory / work.servers / 2**20:.0f} MiB",
    ]


def main(text: str = "") -> None:
    """Prints the rows. Those that were not measured stay as they are in the figures."""
    nodes = Nodes.find()
    print(f"{NEWEST}, {len(nodes.names)} nodes, {os.cpu_count()} processors, {STEADY_SECONDS} s each")
    print_row(HEADINGS)
    rows = {tuple(row[:3]): row for row in read()["dispatch"][1:]}
    for work in WORK:
        for mode in work.modes if text in work.text else ():
            row = cost(work, mode, nodes.safe)
            print_row(row)
            rows[tuple(row[:3])] = row
    order = [(work.text, str(work.servers), mode) for work in WORK for mode in work.modes]
    keep("dispatch", HEADINGS, [rows[each] for each in order if each in rows])


HEADINGS = (
    "Requests",
    "Servers",
    "Dispatch",
    "Failed",
    "p50",
    "p99",
    "Transactions",
    "Processor time",
    "Found in caches",
    "Memory of a server",
)

if __name__ == "__main__":
    main(*sys.argv[1:])
