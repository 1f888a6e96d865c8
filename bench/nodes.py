"""Measures what clients lose when a node dies, and what each way to dispatch costs while all nodes live.

The cluster that KUBECONFIG names needs three nodes. NODES is the command that kills and starts one of them, such as
``NODES kill NAME``, and BENCH_CLIENT the command that runs a client in the cluster's network. Usage: python
bench/nodes.py [SERVERS]
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from bench.ask import DOCUMENTS, USERS
from bench.commands import namespace
from bench.latency import Check, percentile
from bench.rollouts import SMALL
from cdk8s_spicedb import Delivery, ServerProps
from cdk8s_spicedb.manifests import release_manifests
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, is_ready, run, wait
from tests.lab.databases import POSTGRES, postgres_query
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
OWN, PEERS = "127.0.0.1:50053", "kubernetes:///spicedb-dispatch:dispatch"
SECONDARY, EXPRESSIONS, DELAYS = (
    f"--experimental-dispatch-secondary-{name}"
    for name in ("upstream-addrs", "upstream-exprs", "maximum-primary-hedging-delays")
)


def fallback(delay: str) -> Mapping[str, str]:
    return {
        "--dispatch-upstream-addr": OWN,
        SECONDARY: f"peers={PEERS}",
        EXPRESSIONS: "check=['peers']",
        DELAYS: f"peers={delay}",
    }


MODES: Mapping[str, Mapping[str, str] | None] = {
    "on": {},
    "off": None,
    "itself": {SECONDARY: f"itself={OWN}", EXPRESSIONS: "check=['itself']"},
    "fallback-1s": fallback("1s"),
}


@frozen
class Asked(Check):
    target: str

    @classmethod
    def parse(cls, line: str) -> Asked:
        target, due, milliseconds, error = line.rstrip("\n").split(" ", 3)
        return cls(float(due), float(milliseconds), error, target)


def install(where: Namespace, mode: str, servers: int, version: str) -> None:
    """Installs SpiceDB with one way to dispatch, and a server on each node."""
    flags = MODES[mode]
    server = ServerProps(replicas=servers, dispatch_enabled=flags is not None, **EXTRA)
    props = on_postgres(version, delivery=Delivery.KUBECTL, server=server)
    props = evolve(props, server=evolve(props.server, resources=SMALL))
    manifests = release_manifests(props)
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            container = manifest["spec"]["template"]["spec"]["containers"][0]
            own = [each for each in container["args"] if each.partition("=")[0] not in (flags or {})]
            container["args"] = [*own, *(f"{name}={value}" for name, value in (flags or {}).items())]
            if os.environ.get("BENCH_SPREAD", "1") == "1":
                spread = {
                    "topologyKey": "kubernetes.io/hostname",
                    "maxSkew": 1,
                    "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": manifest["spec"]["selector"],
                }
                manifest["spec"]["template"]["spec"]["topologySpreadConstraints"] = [spread]
    where.apply(*manifests)
    where.kubectl("rollout", "status", "deployment/spicedb", "--timeout=180s")


EXTRA: dict[str, Any] = {}


def relationships() -> Iterator[str]:
    """Groups in groups, users in the innermost groups, and documents that groups may read."""
    levels = [["group-0"]]
    for _ in range(LEVELS - 1):
        levels.append([f"{parent}-{child}" for parent in levels[-1] for child in range(WIDTH)])
        for group in levels[-1]:
            yield f"group:{group.rpartition('-')[0]}#member@group:{group}#member"
    leaves = levels[-1]
    for user in range(USERS):
        yield f"group:{leaves[user % len(leaves)]}#member@user:user-{user}"
    groups = [group for level in levels for group in level]
    for document in range(DOCUMENTS):
        yield f"document:document-{document}#reader@group:{groups[document % len(groups)]}#member"


def write(where: Namespace) -> None:
    from authzed.api.v1 import (
        ObjectReference,
        Relationship,
        RelationshipUpdate,
        SubjectReference,
        WriteRelationshipsRequest,
    )
    from authzed.api.v1.permission_service_pb2_grpc import PermissionsServiceStub

    def of(text: str) -> RelationshipUpdate:
        resource, _, subject = text.partition("@")
        (kind, name), relation = resource.partition("#")[0].split(":"), resource.partition("#")[2]
        subject_object, _, subject_relation = subject.partition("#")
        subject_kind, subject_name = subject_object.split(":")
        return RelationshipUpdate(
            operation=RelationshipUpdate.OPERATION_TOUCH,
            relationship=Relationship(
                resource=ObjectReference(object_type=kind, object_id=name),
                relation=relation,
                subject=SubjectReference(
                    object=ObjectReference(object_type=subject_kind, object_id=subject_name),
                    optional_relation=subject_relation,
                ),
            ),
        )

    with relay(where) as address:
        client = Client(address, KEY)
        client.write_schema(text=SCHEMA)
        updates = [of(text) for text in relationships()]
        for start in range(0, len(updates), 500):
            request = WriteRelationshipsRequest(updates=updates[start : start + 500])
            PermissionsServiceStub(client._channel).WriteRelationships(request, metadata=client._metadata, timeout=30)


@contextmanager
def asking(targets: Sequence[Mapping[str, Any]], found: list[Asked], deadline: float) -> Iterator[None]:
    prefix = shlex.split(os.environ.get("BENCH_CLIENT", ""))
    command = [*prefix, sys.executable, str(Path(__file__).with_name("ask.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"targets": targets, "key": KEY, "deadline": deadline}) + "\n")
        process.stdin.flush()
        lines = process.stdout
        reader = threading.Thread(target=lambda: found.extend(map(Asked.parse, lines)))
        reader.start()
        yield
        process.stdin.close()
        reader.join()


def transactions(where: Namespace) -> int:
    sql = "select sum(xact_commit + xact_rollback) from pg_stat_database"
    return int(postgres_query(where, sql))


def total(where: Namespace, name: str) -> float:
    return sum(
        float(line.rpartition(" ")[2])
        for pod in where.servers()
        for line in where.metrics(pod).splitlines()
        if line.startswith((f"{name} ", f"{name}{{"))
    )


def figures(checks: Sequence[Asked]) -> str:
    failed, times = [each for each in checks if each.error], [each.milliseconds for each in checks]
    if not times:
        return "none"
    kinds = {each.error.split(" ")[0] for each in failed}
    return (
        f"{len(failed)} of {len(checks)} failed, p50 {percentile(times, 50):.1f}, p99 {percentile(times, 99):.0f}, "
        f"max {max(times):.0f} ms {sorted(kinds) or ''}"
    )


def nodes(*arguments: str) -> None:
    run(*shlex.split(os.environ["NODES"]), *arguments)


def cost(mode: str, servers: int, rate: float, seconds: float, version: str, *, cold: bool) -> None:
    """What a way to dispatch costs while all nodes live."""
    with namespace(DATABASE) as where:
        install(where, mode, servers, version)
        write(where)
        pods = [f"{pod['status']['podIP']}:50051" for pod in where.servers()]
        found: list[Asked] = []
        with asking([{"name": "pods", "addresses": pods, "rate": rate, "cold": cold, "client": "plain"}], found, 5):
            time.sleep(20)
            before, cpu = transactions(where), total(where, "process_cpu_seconds_total")
            start = time.time()
            time.sleep(seconds)
            end = time.time()
            after, used = transactions(where), total(where, "process_cpu_seconds_total")
        steady = [each for each in found if start <= each.due < end]
        early = [each for each in found if each.due < start]
        memory = total(where, "process_resident_memory_bytes") / servers / (1 << 20)
        print(
            f"{mode:12} {servers} servers {rate:.0f}/s {'cold' if cold else 'skewed'}: first 20 s {figures(early)}; then "
            f"{figures(steady)}; {after - before} transactions, {used - cpu:.1f} CPU s, {memory:.0f} MiB",
            flush=True,
        )


DATABASE = evolve(POSTGRES, arguments=("postgres", "-cmax_connections=1000"))


def loss(mode: str, servers: int, version: str, how: str = "kill") -> None:
    """What clients lose when a node dies."""
    dead = "lab-3"
    with namespace(DATABASE) as where:
        install(where, mode, servers, version)
        write(where)
        pods = where.servers()
        alive = [f"{pod['status']['podIP']}:50051" for pod in pods if pod["spec"]["nodeName"] != dead]
        assert 0 < len(alive) < len(pods)
        service = f"{where.get('service', 'spicedb')['spec']['clusterIP']}:50051"
        targets = [
            {"name": "survivors", "addresses": alive, "rate": 40, "cold": True, "client": "keepalive"},
            {"name": "service", "addresses": [service] * 12, "rate": 20, "cold": True, "client": "keepalive"},
            {"name": "service-page", "addresses": [service] * 12, "rate": 10, "cold": True, "client": "page"},
            {"name": "headless-page", "addresses": [], "rate": 10, "cold": True, "client": "page"},
        ]
        headless = "ipv4:" + ",".join(f"{pod['status']['podIP']}:50051" for pod in pods)
        targets[-1]["addresses"] = [headless]
        found: list[Asked] = []
        with asking(targets, found, 2):
            time.sleep(25)
            moment = time.time()
            nodes(how, dead)
            time.sleep(75)
        nodes("start" if how == "kill" else "join", dead)
        for name in (target["name"] for target in targets):
            own = [each for each in found if each.target == name]
            before = [each for each in own if moment - 15 <= each.due < moment]
            minute = [each for each in own if moment <= each.due < moment + 60]
            later = [each for each in own if moment + 60 <= each.due]
            print(
                f"{mode:12} {servers} servers {how} {name}: before {figures(before)}; first minute {figures(minute)}; "
                f"then {figures(later)}",
                flush=True,
            )
    wait(
        "the node",
        lambda: all(is_ready(each) for each in json.loads(run("kubectl", "get", "nodes", "-ojson").stdout)["items"]),
    )


if __name__ == "__main__":
    what, mode, servers, *rest = sys.argv[1:]
    if what == "loss":
        loss(mode, int(servers), NEWEST, *rest)
    else:
        cost(mode, int(servers), float(rest[0]), 30, NEWEST, cold=what == "cold")
