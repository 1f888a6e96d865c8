"""Asks several SpiceDBs at fixed rates whether users may read documents. Prints a line for each question: its target,
when it was due, its milliseconds, and its error.

A question starts when it is due, whether or not the earlier ones have ended, and it is never asked again. Reads a JSON
object from the first line of standard input, and ends when standard input ends. Usage: python bench/ask.py
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

import grpc.aio
from attrs import frozen
from authzed.api.v1 import CheckPermissionRequest, Consistency, ObjectReference, SubjectReference
from authzed.api.v1.permission_service_pb2_grpc import PermissionsServiceStub

from bench.load import at_rate, check, end_of_input

DOCUMENTS, USERS = 1000, 2000
SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
CLIENTS: dict[str, list[tuple[str, object]]] = {
    "plain": [],
    "keepalive": [("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 3_000)],
    "page": [
        ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 1_000),
        ("grpc.http2.ping_timeout_ms", 1_000),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ],
}
"""How a client connects: as gRPC does by default, with keepalive, and as docs/operate/clients.md says."""


@frozen
class Target:
    """Servers that are asked in turn, each by a connection of its own."""

    name: str
    addresses: Sequence[str]
    rate: float
    """Questions per second."""
    client: str
    """One of `CLIENTS`."""
    cold: bool
    """Whether each check is for a new user and fully consistent. Otherwise, some users and documents are checked much
    more often than others, with ``minimize_latency``."""


def zipf(count: int) -> list[float]:
    """Weights of a power law, summed up."""
    return list(itertools.accumulate(1 / (number + 1) for number in range(count)))


def questions(cold: bool) -> Iterator[CheckPermissionRequest]:
    """What is asked, without an end."""
    chance, users, documents = random.Random(1), zipf(USERS), zipf(DOCUMENTS)
    consistency = Consistency(fully_consistent=True) if cold else Consistency(minimize_latency=True)
    for number in itertools.count():
        user = f"new-{number}-{time.time_ns()}" if cold else chance.choices(range(USERS), cum_weights=users)[0]
        document = chance.choices(range(DOCUMENTS), cum_weights=documents)[0]
        yield CheckPermissionRequest(
            consistency=consistency,
            resource=ObjectReference(object_type="document", object_id=f"document-{document}"),
            permission="read",
            subject=SubjectReference(object=ObjectReference(object_type="user", object_id=f"user-{user}")),
        )


async def ask(target: Target, key: str, deadline: float, ended: asyncio.Task[str]) -> None:
    """Asks one target until standard input ends."""
    options = [("grpc.use_local_subchannel_pool", 1), *CLIENTS[target.client]]
    channels = [grpc.aio.insecure_channel(address, options=options) for address in target.addresses]
    stubs, asked = [PermissionsServiceStub(channel) for channel in channels], questions(target.cold)

    def start(number: int, due: float) -> Coroutine[Any, Any, None]:
        stub = stubs[number % len(stubs)]
        return check(stub, key, next(asked), due, seconds=deadline, target=target.name)

    await at_rate(target.rate, start, ended)


async def main() -> None:
    """Asks all targets at once."""
    told = json.loads(sys.stdin.readline())
    ended = end_of_input()
    targets = [Target(**each) for each in told["targets"]]
    await asyncio.gather(*(ask(target, told["key"], told["deadline"], ended) for target in targets))


if __name__ == "__main__":
    asyncio.run(main())
