"""Clients that check and write at a fixed rate, whether or not the requests before have ended."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import grpc
from attrs import define, field, frozen

from bench.background import Background
from tests.lab.client import Client
from tests.lab.relationships import document

CONNECTIONS = 8
THREADS = 200


@frozen
class Request:
    """One request of a client."""

    due: float
    """Unix time at which it had to begin."""
    seconds: float
    """Time from then until its answer."""
    error: str


@define
class Paced(Background):
    """Calls a function with a number, ``rate`` times in a second, until the context ends."""

    call: Callable[[int], object]
    rate: float
    requests: list[Request] = field(factory=list)

    def during(self, begin: float, end: float) -> str:
        """What happened to the requests that ran in a part of the time."""
        found = [each for each in self.requests if each.due < end and each.due + each.seconds > begin]
        if not found:
            return "none"
        times = sorted(each.seconds * 1000 for each in found)
        failed = sum(bool(each.error) for each in found)
        p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
        return f"{len(found)}, {failed} failed, p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {times[-1]:.0f} ms"

    def _run(self) -> None:
        start = time.time()
        with ThreadPoolExecutor(THREADS) as pool:
            for number in count():
                due = start + number / self.rate
                if self._stopped.wait(max(due - time.time(), 0)):
                    break
                pool.submit(self._request, number, due)

    def _request(self, number: int, due: float) -> None:
        error = ""
        try:
            self.call(number)
        except grpc.RpcError as failure:
            error = str(failure.code())
        self.requests.append(Request(due, time.time() - due, error))


def checks(clients: Sequence[Client], rate: float) -> Paced:
    """Checks that Alice reads loaded documents, by the current data."""
    return Paced(lambda number: clients[number % len(clients)].check(document(number)), rate)


def writes(clients: Sequence[Client], rate: float) -> Paced:
    """Writes new relationships."""
    return Paced(lambda number: clients[number % len(clients)].write_reader(f"written-{uuid.uuid4()}"), rate)
