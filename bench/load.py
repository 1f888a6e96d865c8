"""Checks permissions at a fixed rate, and prints a line for each: when it was due, its milliseconds, and its error.

A check starts when it is due, whether or not the earlier ones have ended. Its time counts from when it was due, so that
a pause counts for every check that was due in it. Ends when standard input ends. Usage: python bench/load.py ADDRESS
KEY CHECKS_PER_SECOND
"""

from __future__ import annotations

import asyncio
import sys
import time

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


async def check(stub: PermissionsServiceStub, key: str, number: int, due: float) -> None:
    """Checks one permission, and prints its line."""
    error = ""
    try:
        await stub.CheckPermission(
            request(number), metadata=(("authorization", f"Bearer {key}"),), timeout=TIMEOUT_SECONDS
        )
    except grpc.aio.AioRpcError as failure:
        error = f"{failure.code().name} {failure.details()}".replace("\n", " ")
    print(f"{due:.4f} {(time.time() - due) * 1000:.2f} {error}")


async def main(address: str, key: str, rate: str) -> None:
    """Starts checks until standard input ends."""
    # Otherwise, all stubs would share one connection.
    options = [("grpc.use_local_subchannel_pool", 1)]
    stubs = [PermissionsServiceStub(grpc.aio.insecure_channel(address, options=options)) for _ in range(CONNECTIONS)]
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    checks: set[asyncio.Task[None]] = set()
    start, number = time.time(), 0
    while not ended.done():
        due = start + number / float(rate)
        await asyncio.sleep(due - time.time())
        task = asyncio.create_task(check(stubs[number % CONNECTIONS], key, number, due))
        checks.add(task)
        task.add_done_callback(checks.discard)
        number += 1
    await asyncio.gather(*checks)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
