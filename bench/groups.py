"""A SpiceDB with users in nested groups, and clients that ask it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import frozen
from authzed.api.v1 import ObjectReference, Relationship, SubjectReference

from bench.ask import DOCUMENTS, USERS
from bench.latency import Check
from bench.rollouts import KEY, SMALL, client
from cdk8s_spicedb import Delivery, ServerProps
from cdk8s_spicedb.manifests import release_manifests
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, Object
from tests.lab.props import NEWEST, on_postgres

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
DEEP, WIDE = (5, 4), (50, 2)
"""Groups in each group, and how many levels of them there are."""
_STALE_SECONDS = 6
"""With ``minimize_latency``, servers can answer with data of the last 5 s. Older data has no schema."""
_SECONDARY = "--experimental-dispatch-secondary-upstream"
MODES: Mapping[str, Sequence[str] | None] = {
    "on": (),
    "off": None,
    "itself too": (f"{_SECONDARY}-addrs=itself=127.0.0.1:50053", f"{_SECONDARY}-exprs=check=['itself']"),
}
"""Ways to dispatch, with the arguments of the servers. None: they do not dispatch."""


@frozen
class Asked(Check):
    """One request to a target."""

    target: str

    @classmethod
    def parse(cls, line: str) -> Asked:
        """A line of bench/ask.py."""
        target, due, milliseconds, error = line.rstrip("\n").split(" ", 3)
        return cls(float(due), float(milliseconds), error, target)


def install(where: Namespace, mode: str, servers: int, node: str, groups: tuple[int, int] = DEEP) -> None:
    """Installs SpiceDB with a way to dispatch, and writes the groups. The servers spread over the nodes."""
    arguments = MODES[mode]
    server = ServerProps(
        replicas=servers,
        resources=SMALL,
        headless_service=True,
        dispatch_enabled=arguments is not None,
        extra_args=arguments or (),
    )
    where.apply(*release_manifests(on_postgres(NEWEST, delivery=Delivery.KUBECTL, server=server)))
    where.kubectl("rollout", "status", "deployment/spicedb", "--timeout=180s")
    with relay(where, node=node) as address:
        writer = Client(address, KEY)
        writer.write_schema(text=SCHEMA)
        writer.write_relationships(list(_relationships(*groups)))
    time.sleep(_STALE_SECONDS)


def _relationships(width: int, depth: int) -> Iterator[Relationship]:
    """Groups in groups, users in the innermost groups, and documents that groups may read."""
    levels = [["0"]]
    for _ in range(depth - 1):
        levels.append([f"{group}-{child}" for group in levels[-1] for child in range(width)])
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


def address(pod: Object) -> str:
    """Where clients reach a server."""
    return f"{pod['status']['podIP']}:50051"


@contextmanager
def asking(targets: Sequence[Mapping[str, Any]], deadline: float) -> Iterator[list[Asked]]:
    """Asks targets until the context ends. Then the list that it yields has the answers."""
    found: list[Asked] = []
    told = json.dumps({"targets": targets, "key": KEY, "deadline": deadline})
    with client("ask.py", told=f"{told}\n") as lines:
        yield found
    found.extend(map(Asked.parse, lines))
