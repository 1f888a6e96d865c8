"""Checks permissions at a fixed rate, and prints a line for each: when it was due, its milliseconds, and its error.

A check starts when it is due, whether or not the earlier ones have ended. Its time counts from when it was due, so that
a pause counts for every check that was due in it. Ends when standard input ends. Usage: python bench/load.py ADDRESS
KEY CHECKS_PER_SECOND
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import grpc.aio
from authzed.api.v1 import CheckPermissionRequest, Consistency, ObjectReference, SubjectReference
from authzed.api.v1.permission_service_pb2_grpc import PermissionsServiceStub

CONNECTIONS = 16
DOCUMENTS = 400
TIMEOUT_SECONDS = 10


def request(number: int) -> CheckPermissionRequest:
    """Whether Alice may read a document, by the current data."""
    return CheckPermissionRequest(
        consistency=Consistency(fully_consistent=True),
        resource=ObjectReference(object_type="document", object_id=f"document-{number % DOCUMENTS}"),
        permission="read",
        subject=SubjectReference(object=ObjectReference(object_type="user", object_id="alice")),
    )


async def timed(answer: Awaitable[object], due: float, target: str = "") -> None:
    """Waits for one answer, and prints its line, which begins with the target if there is one."""
    error = ""
    try:
        await answer
    except grpc.aio.AioRpcError as failure:
        error = f"{failure.code().name} {failure.details()}".replace("\n", " ")
    print(f"{target} {due:.4f} {(time.time() - due) * 1000:.2f} {error}".removeprefix(" "))


def end_of_input() -> asyncio.Task[str]:
    """Ends with standard input."""
    return asyncio.create_task(asyncio.to_thread(sys.stdin.read))


async def at_rate(
    rate: float, start_check: Callable[[int, float], Coroutine[Any, Any, None]], ended: asyncio.Task[str]
) -> None:
    """Starts checks until a task has ended, each with its number and the time at which it is due."""
    checks: set[asyncio.Task[None]] = set()
    start, number = time.time(), 0
    while not ended.done():
        due = start + number / rate
        await asyncio.sleep(due - time.time())
        task = asyncio.create_task(start_check(number, due))
        checks.add(task)
        task.add_done_callback(checks.discard)
        number += 1
    await asyncio.gather(*checks)


async def main(address: str, key: str, rate: str) -> None:
    """Starts checks until standard input ends."""
    # Otherwise, all stubs would share one connection.
    alone = [("grpc.use_local_subchannel_pool", 1)]
    stubs = [PermissionsServiceStub(grpc.aio.insecure_channel(address, options=alone)) for _ in range(CONNECTIONS)]
    options: dict[str, Any] = {"metadata": (("authorization", f"Bearer {key}"),), "timeout": TIMEOUT_SECONDS}

    def start_check(number: int, due: float) -> Coroutine[Any, Any, None]:
        stub = stubs[number % CONNECTIONS]
        return timed(stub.CheckPermission(request(number), **options), due)

    await at_rate(float(rate), start_check, end_of_input())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
