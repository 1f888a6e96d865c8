"""Measures what dispatch costs while all nodes live, and what clients lose when a node dies. Prints two tables.

The cluster that KUBECONFIG names needs three nodes. NODES is the command that kills and starts one of them, as in
``NODES kill NAME`` and ``NODES start NAME``. BENCH_CLIENT is the command that runs a client in the cluster's network.
Usage: python bench/nodes.py [SERVERS]
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import evolve, frozen
from authzed.api.v1 import ObjectReference, Relationship, SubjectReference

from bench.ask import DOCUMENTS, USERS
from bench.commands import namespace
from bench.latency import Check, percentile
from bench.rollouts import DATABASE, SMALL, client
from cdk8s_spicedb import Delivery, ServerProps
from cdk8s_spicedb.manifests import release_manifests
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, Object
from tests.lab.databases import postgres_query
from tests.lab.nodes import Nodes
from tests.lab.props import NEWEST, on_postgres

KEY = "a key"
SCHEMA = """
definition user {}
definition group {
    relation member: user | group#member
}
definition document {
    relation reader: user | group#member
    permission read = reader
}
"""
WIDTH, LEVELS = 5, 4
_SECONDARY = "--experimental-dispatch-secondary-upstream"
MODES: Mapping[str, Sequence[str] | None] = {
    "on": (),
    "off": None,
    "itself too": (f"{_SECONDARY}-addrs=itself=127.0.0.1:50053", f"{_SECONDARY}-exprs=check=['itself']"),
}
"""Ways to dispatch, with the arguments of the servers. None: they do not dispatch."""
LOADS = [(80, True), (80, False), (200, False)]
"""Checks per second, and whether they are for users that nobody asked for."""
WARM_SECONDS, STEADY_SECONDS, DEAD_SECONDS = 20, 30, 75


@frozen
class Asked(Check):
    """One check of a target."""

    target: str

    @classmethod
    def parse(cls, line: str) -> Asked:
        """A line of bench/ask.py."""
        target, due, milliseconds, error = line.rstrip("\n").split(" ", 3)
        return cls(float(due), float(milliseconds), error, target)


def install(where: Namespace, mode: str, servers: int) -> None:
    """Installs SpiceDB with a way to dispatch. The servers spread over the nodes."""
    arguments = MODES[mode]
    server = ServerProps(replicas=servers, dispatch_enabled=arguments is not None, extra_args=arguments or ())
    props = on_postgres(NEWEST, delivery=Delivery.KUBECTL, server=server)
    where.apply(*release_manifests(evolve(props, server=evolve(props.server, resources=SMALL))))
    where.kubectl("rollout", "status", "deployment/spicedb", "--timeout=180s")


def relationships() -> Iterator[Relationship]:
    """Groups in groups, users in the innermost groups, and documents that groups may read."""
    levels = [["0"]]
    for _ in range(LEVELS - 1):
        levels.append([f"{group}-{child}" for group in levels[-1] for child in range(WIDTH)])
        for group in levels[-1]:
            yield _relationship("group", group.rpartition("-")[0], "member", "group", group, "member")
    for user in range(USERS):
        yield _relationship("group", levels[-1][user % len(levels[-1])], "member", "user", f"user-{user}")
    groups = [group for level in levels for group in level]
    for document in range(DOCUMENTS):
        group = groups[document % len(groups)]
        yield _relationship("document", f"document-{document}", "reader", "group", group, "member")


def _relationship(kind: str, name: str, relation: str, subject: str, who: str, members: str = "") -> Relationship:
    return Relationship(
        resource=ObjectReference(object_type=kind, object_id=name),
        relation=relation,
        subject=SubjectReference(object=ObjectReference(object_type=subject, object_id=who), optional_relation=members),
    )


def write(where: Namespace, node: str) -> None:
    """Writes the schema and the relationships."""
    with relay(where, node=node) as address:
        writer = Client(address, KEY)
        writer.write_schema(text=SCHEMA)
        writer.write_relationships(list(relationships()))


@contextmanager
def asking(targets: Sequence[Mapping[str, Any]], deadline: float) -> Iterator[list[Asked]]:
    """Asks targets until the context ends. Then the list that it yields has the answers."""
    found: list[Asked] = []
    told = json.dumps({"targets": targets, "key": KEY, "deadline": deadline})
    with client("ask.py", told=f"{told}\n") as lines:
        yield found
    found.extend(map(Asked.parse, lines))


def transactions(where: Namespace) -> int:
    """Transactions of the database since its start."""
    return int(postgres_query(where, "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database"))


def processor_seconds(where: Namespace) -> float:
    """Processor time of all servers since their start."""
    lines = [line for pod in where.servers() for line in where.metrics(pod).splitlines()]
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("process_cpu_seconds_total "))


def cost(mode: str, servers: int, rate: float, *, cold: bool, node: str) -> str:
    """What a way to dispatch costs while all nodes live, as a row of a table."""
    with namespace(evolve(DATABASE, node=node)) as where:
        install(where, mode, servers)
        write(where, node)
        pods = [_address(pod) for pod in where.servers()]
        target = {"name": "pods", "addresses": pods, "rate": rate, "cold": cold, "client": "plain"}
        with asking([target], 5) as found:
            time.sleep(WARM_SECONDS)
            before, used, start = transactions(where), processor_seconds(where), time.time()
            time.sleep(STEADY_SECONDS)
            end, after, total = time.time(), transactions(where), processor_seconds(where)
        times = [each.milliseconds for each in found if start <= each.due < end]
        failed = sum(1 for each in found if each.error)
        load = f"{rate} a second, {'users that nobody asked for' if cold else 'some much more often than others'}"
        latency = f"{percentile(times, 50):.1f} ms | {percentile(times, 99):.0f} ms"
        return f"| {load} | {mode} | {failed} | {latency} | {after - before} | {total - used:.1f} s |"


def _address(pod: Object) -> str:
    return f"{pod['status']['podIP']}:50051"


def loss(mode: str, servers: int, nodes: Nodes) -> Iterator[str]:
    """What clients lose when a node dies, as rows of a table."""
    with namespace(evolve(DATABASE, node=nodes.safe)) as where:
        install(where, mode, servers)
        write(where, nodes.safe)
        pods = where.servers()
        alive = [_address(pod) for pod in pods if pod["spec"]["nodeName"] != nodes.victim]
        assert 0 < len(alive) < len(pods), "the servers do not run on the node that dies and on others"
        service = f"{(where.get('service', 'spicedb') or {})['spec']['clusterIP']}:50051"
        every = f"ipv4:{','.join(map(_address, pods))}"
        targets = [
            {"name": "survivors", "addresses": alive, "rate": 40, "client": "keepalive"},
            {"name": "service", "addresses": [service] * 12, "rate": 20, "client": "keepalive"},
            {"name": "service-page", "addresses": [service] * 12, "rate": 10, "client": "page"},
            {"name": "each-page", "addresses": [every], "rate": 10, "client": "page"},
        ]
        with asking([{**target, "cold": True} for target in targets], 2) as found:
            time.sleep(WARM_SECONDS)
            moment = time.time()
            with nodes.without_the_victim():
                time.sleep(DEAD_SECONDS)
        for target in targets:
            own = [each for each in found if each.target == target["name"] and each.due >= moment]
            minute = [each for each in own if each.due < moment + 60]
            cells = [_failed(part) for part in (minute, own[len(minute) :])]
            yield f"| {mode} | {target['name']} | {' | '.join(cells)} |"


def _failed(checks: Sequence[Asked]) -> str:
    return f"{sum(1 for each in checks if each.error)} of {len(checks)}"


def main(servers: str = "3") -> None:
    """Prints both tables."""
    nodes = Nodes.find()
    print(f"{NEWEST}, {servers} servers, {len(nodes.names)} nodes, {os.cpu_count()} processors")
    _headings("checks", "dispatch", "failed", "p50", "p99", "transactions", "processor time of the servers")
    for rate, cold in LOADS:
        for mode in MODES:
            print(cost(mode, int(servers), rate, cold=cold, node=nodes.safe), flush=True)
    if nodes.command:
        _headings("dispatch", "clients", "failed in the first minute", "failed later")
        for mode in MODES:
            for row in loss(mode, int(servers), nodes):
                print(row, flush=True)


def _headings(*texts: str) -> None:
    print(f"\n| {' | '.join(texts)} |\n|{' --- |' * len(texts)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
