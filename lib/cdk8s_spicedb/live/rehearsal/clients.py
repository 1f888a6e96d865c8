"""Clients of the rehearsed SpiceDB: they check and write while a step runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread

import grpc
from attrs import define, evolve, field
from authzed.api.v1 import Relationship

from ..cluster import Cluster
from ..data.compare import answers
from ..data.questions import Question
from ..data.reach import reaching
from ..data.server import RequestError, Server

_EVERY_SECONDS = 0.1
_GONE = grpc.StatusCode.UNAVAILABLE
"""The code if the server to which kubectl forwards has stopped."""


@define
class Requests:
    """What clients noticed of a step."""

    asked: int = 0
    """Number of checks and writes."""
    gone: int = 0
    """Number of those that reached no server, because the one to which kubectl forwards had stopped. Clients of the
    Service would have asked another one."""
    failed: list[str] = field(factory=list)
    """The errors of the others."""
    slowest_check: float = 0
    """Seconds of the slowest check."""
    slowest_write: float = 0
    """Seconds of the slowest write, which waits while a migration locks a table."""
    silent: bool = False
    """Whether there was something to ask, and no request was answered."""


@contextmanager
def asking(
    cluster: Cluster, name: str, asked: Sequence[Question], written: Sequence[Relationship]
) -> Iterator[Requests]:
    """Checks and writes until the context ends. What is written is there already, so it changes nothing."""
    found, ended = Requests(), Event()

    def ask() -> None:
        with reaching(cluster, name) as server:
            once = evolve(server, pauses=())
            _once(once, found, asked, written)
            while not ended.wait(_EVERY_SECONDS):
                _once(once, found, asked, written)

    thread = Thread(target=ask, daemon=True)
    if asked:  # Without relationships, there is nothing to ask.
        thread.start()
    try:
        yield found
    finally:
        ended.set()
        if asked:
            thread.join()
            found.silent = not found.asked


def _once(server: Server, found: Requests, asked: Sequence[Question], written: Sequence[Relationship]) -> None:
    """One check and one write."""
    clock, number = server.clock, found.asked // 2
    start = clock.monotonic()
    try:
        answers(server, [asked[number % len(asked)]])
        between = clock.monotonic()
        server.touch([written[number % len(written)]])
        end = clock.monotonic()
    except RequestError as error:
        if error.code is _GONE:
            found.gone += 1
        else:
            found.failed.append(str(error))
        return
    found.asked += 2
    found.slowest_check = max(found.slowest_check, between - start)
    found.slowest_write = max(found.slowest_write, end - between)
