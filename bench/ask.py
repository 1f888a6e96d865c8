"""Asks several SpiceDBs at fixed rates. Prints a line for each request: its target, when it was due, its milliseconds,
and its error.

A request starts when it is due, whether or not the earlier ones have ended, and it is never sent again. Reads a JSON
object from the first line of standard input, and ends when standard input ends. Usage: python bench/ask.py
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import grpc.aio
from attrs import frozen
from authzed.api.v1 import (
    CheckBulkPermissionsRequest,
    CheckBulkPermissionsRequestItem,
    CheckPermissionRequest,
    Consistency,
    LookupResourcesRequest,
    LookupSubjectsRequest,
    ObjectReference,
    Relationship,
    RelationshipUpdate,
    SubjectReference,
    WriteRelationshipsRequest,
)
from authzed.api.v1.permission_service_pb2_grpc import PermissionsServiceStub

from bench.load import at_rate, end_of_input, timed
from cdk8s_spicedb.manifests.network import SERVICE_CONFIG

DOCUMENTS, USERS = 1000, 2000
BULK = 10
"""Checks in one bulk request."""
CLIENTS: dict[str, list[tuple[str, object]]] = {
    "plain": [],
    "keepalive": [("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 3_000)],
    "page": [
        ("grpc.service_config", SERVICE_CONFIG),
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 1_000),
        ("grpc.http2.ping_timeout_ms", 1_000),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ],
}
"""How a client connects: as gRPC does by default, with keepalive, and as docs/configure/clients.md says."""


@frozen
class Target:
    """Servers that are asked in turn, each by a connection of its own."""

    name: str
    addresses: Sequence[str]
    rate: float
    """Requests per second."""
    client: str
    """One of `CLIENTS`."""
    cold: bool
    """Whether each request is for a new user and fully consistent. Otherwise, some users and documents are asked about
    much more often than others, with ``minimize_latency``."""
    kind: str = "check"
    """One of `KINDS`."""


def zipf(count: int) -> list[float]:
    """Weights of a power law, summed up."""
    return list(itertools.accumulate(1 / (number + 1) for number in range(count)))


_OF_USERS, _OF_DOCUMENTS = zipf(USERS), zipf(DOCUMENTS)


@frozen
class Asker:
    """Sends the requests of one target, each about a user and a document."""

    target: Target
    stub: Any
    """A `PermissionsServiceStub`, whose types know no channel of asyncio."""
    options: Mapping[str, Any]
    """Metadata and deadline of each request."""
    chance: random.Random

    def consistency(self) -> Consistency:
        """How new the data must be."""
        return Consistency(fully_consistent=True) if self.target.cold else Consistency(minimize_latency=True)

    def user(self) -> SubjectReference:
        """Who is asked about."""
        name = self.chance.choices(range(USERS), cum_weights=_OF_USERS)[0]
        new = f"new-{self.target.name}-{self.chance.getrandbits(64)}"
        user = f"user-{new if self.target.cold else name}"
        return SubjectReference(object=ObjectReference(object_type="user", object_id=user))

    def document(self) -> ObjectReference:
        """What is asked about."""
        name = self.chance.choices(range(DOCUMENTS), cum_weights=_OF_DOCUMENTS)[0]
        return ObjectReference(object_type="document", object_id=f"document-{name}")

    async def check(self) -> None:
        """Whether one user may read one document."""
        asked = CheckPermissionRequest(
            consistency=self.consistency(), resource=self.document(), permission="read", subject=self.user()
        )
        await self.stub.CheckPermission(asked, **self.options)

    async def bulk(self) -> None:
        """Whether one user may read some documents."""
        user = self.user()
        items = [
            CheckBulkPermissionsRequestItem(resource=self.document(), permission="read", subject=user)
            for _ in range(BULK)
        ]
        asked = CheckBulkPermissionsRequest(consistency=self.consistency(), items=items)
        await self.stub.CheckBulkPermissions(asked, **self.options)

    async def resources(self) -> None:
        """Which documents a user may read."""
        asked = LookupResourcesRequest(
            consistency=self.consistency(),
            resource_object_type="document",
            permission="read",
            subject=self.user(),
        )
        async for _ in self.stub.LookupResources(asked, **self.options):
            pass

    async def subjects(self) -> None:
        """Which users may read a document."""
        asked = LookupSubjectsRequest(
            consistency=self.consistency(),
            resource=self.document(),
            permission="read",
            subject_object_type="user",
        )
        async for _ in self.stub.LookupSubjects(asked, **self.options):
            pass

    async def write(self) -> None:
        """Lets a user read a document."""
        update = RelationshipUpdate(
            operation=RelationshipUpdate.OPERATION_TOUCH,
            relationship=Relationship(resource=self.document(), relation="reader", subject=self.user()),
        )
        await self.stub.WriteRelationships(WriteRelationshipsRequest(updates=[update]), **self.options)


KINDS: Mapping[str, Callable[[Asker], Awaitable[None]]] = {
    "check": Asker.check,
    "bulk": Asker.bulk,
    "resources": Asker.resources,
    "subjects": Asker.subjects,
    "write": Asker.write,
}


async def ask(target: Target, key: str, deadline: float, ended: asyncio.Task[str]) -> None:
    """Asks one target until standard input ends."""
    connection = [("grpc.use_local_subchannel_pool", 1), *CLIENTS[target.client]]
    channels = [grpc.aio.insecure_channel(address, options=connection) for address in target.addresses]
    options = {"metadata": (("authorization", f"Bearer {key}"),), "timeout": deadline}
    chance = random.Random(target.name)
    askers = [Asker(target, PermissionsServiceStub(channel), options, chance) for channel in channels]

    def start(number: int, due: float) -> Coroutine[Any, Any, None]:
        return timed(KINDS[target.kind](askers[number % len(askers)]), due, target.name)

    await at_rate(target.rate, start, ended)


async def main() -> None:
    """Asks all targets at once."""
    told = json.loads(sys.stdin.readline())
    ended = end_of_input()
    targets = [Target(**each) for each in told["targets"]]
    await asyncio.gather(*(ask(target, told["key"], told["deadline"], ended) for target in targets))


if __name__ == "__main__":
    asyncio.run(main())
