"""Measures what clients lose when a node or a server fails. Prints a table, and draws the failures over time.

The cluster that KUBECONFIG names needs three nodes. NODES is the command that changes them: NODES kill, start, cut and
join NAME. BENCH_CLIENT is the command that runs a client in the cluster's network.
Usage: python bench/nodes.py [SERVERS [PICTURE.svg [FAULT …]]]
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path

from attrs import evolve

from bench.commands import namespace
from bench.figures import keep, print_row
from bench.groups import MODES, Asked, address, asking, install
from bench.latency import FAILURES, Line, failed, failures, picture
from bench.rollouts import DATABASE
from tests.lab.cluster import Namespace, run
from tests.lab.nodes import Nodes
from tests.lab.props import NEWEST

WARM_SECONDS, DEADLINE_SECONDS = 20, 2
ZONE = "a zone with two of three nodes loses its power"
FAULTS: Mapping[str, Callable[[Nodes, Namespace], AbstractContextManager[None]]] = {
    "a node loses its power": lambda nodes, _: nodes.without(nodes.victim),
    "a node is cut off": lambda nodes, _: nodes.without(nodes.victim, cut=True),
    "a server hangs": lambda nodes, where: nodes.hanging(where),
    ZONE: lambda nodes, _: nodes.without(*_of_zone(nodes)),
}
"""What fails. It is mended when the context ends."""
CLIENTS = (
    "connected to the other servers",
    "of the Service",
    "of the Service, with the recommended settings",
    "of the headless Service, with the recommended settings",
)


def _of_zone(nodes: Nodes) -> Sequence[str]:
    """The nodes of the zone that fails."""
    return nodes.names[1:]


def dns(node: str) -> str:
    """Where pods ask for the addresses of Services."""
    told = json.loads(run("kubectl", "get", "--raw", f"/api/v1/nodes/{node}/proxy/configz").stdout)
    address: str = told["kubeletconfig"]["clusterDNS"][0]
    return address


def targets(where: Namespace, nodes: Nodes, dead: Sequence[str]) -> Mapping[str, tuple[Sequence[str], float, str]]:
    """Whom clients ask, with how many checks a second, and how they connect."""
    pods = where.servers()
    alive = [address(pod) for pod in pods if pod["spec"]["nodeName"] not in dead]
    assert 0 < len(alive) < len(pods), "the servers do not run on the node that fails and on others"
    service = [f"{(where.get('service', 'spicedb') or {})['spec']['clusterIP']}:50051"] * 12
    each = [f"dns://{dns(nodes.safe)}:53/spicedb-headless.{where.name}.svc.cluster.local:50051"]
    told = [(alive, 40, "keepalive"), (service, 20, "keepalive"), (service, 10, "page"), (each, 10, "page")]
    return dict(zip(CLIENTS, told, strict=True))


def loss(mode: str, servers: int, fault: str, nodes: Nodes) -> tuple[Mapping[str, Sequence[Asked]], float]:
    """The checks of each client, and when the fault began."""
    with namespace(evolve(DATABASE, node=nodes.safe)) as where:
        install(where, mode, servers, nodes.safe)
        clients = targets(where, nodes, _of_zone(nodes) if fault == ZONE else [nodes.victim])
        told = [
            {"name": str(number), "addresses": addresses, "rate": rate, "client": client, "cold": True}
            for number, (addresses, rate, client) in enumerate(clients.values())
        ]
        with asking(told, DEADLINE_SECONDS) as found:
            time.sleep(WARM_SECONDS)
            with FAULTS[fault](nodes, where):
                moment = time.time()
                time.sleep(75)
        return {
            name: [each for each in found if each.target == str(number)] for number, name in enumerate(clients)
        }, moment


def row(fault: str, mode: str, checks: Mapping[str, Sequence[Asked]], moment: float) -> list[str]:
    """What each client lost in the minute after a moment, and all of them after that minute."""

    def lost(asked: Iterable[Asked], first: float, last: float) -> str:
        return failures([each for each in asked if moment + first <= each.due < moment + last])

    return [fault, mode, *(lost(each, 0, 60) for each in checks.values()), lost(chain(*checks.values()), 60, 75)]


def main(servers: str = "3", drawn: str = "", *faults: str) -> None:
    """Prints the table. The picture shows the loss of a node, with and without dispatch."""
    nodes = Nodes.find()
    if not nodes.command or len(nodes.names) < 3:
        raise SystemExit("needs a cluster of three nodes, and in NODES the command that changes them")
    print(f"{NEWEST}, {servers} servers, {len(nodes.names)} nodes, {os.cpu_count()} processors")
    print_row(HEADINGS)
    found, lines = [], dict[str, Line]()
    for fault in faults or FAULTS:
        for mode in MODES if fault == next(iter(FAULTS)) else ("on", "off"):
            checks, moment = loss(mode, int(servers), fault, nodes)
            found.append(row(fault, mode, checks, moment))
            print_row(found[-1])
            if fault == next(iter(FAULTS)):
                lines |= {
                    f"dispatch {mode}, {name}": ([evolve(each, due=each.due - moment) for each in asked], failed)
                    for name, asked in checks.items()
                    if (mode, name) in DRAWN
                }
    if drawn and not faults:
        keep("nodes", HEADINGS, found)
        Path(drawn).write_text(
            picture(FAILURES, lines, {"all nodes live": (-10, 0), "a node is dead": (0, 75)}, zero=0)
        )


HEADINGS = ("What fails", "Dispatch", *(f"Failed: clients {name}" for name in CLIENTS), "Failed in the next 15 s")
DRAWN = [("on", CLIENTS[0]), ("off", CLIENTS[0]), ("off", CLIENTS[1]), ("off", CLIENTS[3])]
"""The lines of the picture."""

if __name__ == "__main__":
    main(*sys.argv[1:])
