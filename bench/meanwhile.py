"""What runs during a migration: sessions of the database that ask again and again, and clients at a fixed rate."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import TracebackType
from typing import TypeVar

import grpc
from attrs import define, field, frozen

from tests.lab.client import Client
from tests.lab.cluster import Namespace
from tests.lab.relationships import document

CONNECTIONS = 8
THREADS = 200
PAUSE = 0.05
_Self = TypeVar("_Self", bound="Background")


@define
class Background(ABC):
    """Calls `_run` in a thread. It has to return soon after the context ends, when ``_stopped`` is set."""

    _stopped: threading.Event = field(init=False, factory=threading.Event)
    _thread: threading.Thread | None = field(init=False, default=None)

    def __enter__(self: _Self) -> _Self:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """What runs."""


@frozen
class Answer:
    """One answer of the database."""

    begin: float
    """Unix time at which the statement was sent."""
    seconds: float
    text: str


@define
class Poll(Background):
    """Runs a statement every 50 milliseconds, in a session of its own, until the context ends.

    ``session`` starts the database's client in its pod. The statement must answer with one line.
    """

    where: Namespace
    session: Sequence[str]
    statement: str
    answers: list[Answer] = field(factory=list)

    def during(self, begin: float, end: float) -> list[Answer]:
        """The answers for which the session waited in a part of the time."""
        return [answer for answer in self.answers if answer.begin < end and answer.begin + answer.seconds > begin]

    def longest(self, begin: float, end: float) -> float:
        """The longest wait for an answer in a part of the time."""
        return max((answer.seconds for answer in self.during(begin, end)), default=0.0)

    def _run(self) -> None:
        command = ["kubectl", "--namespace", self.where.name, "exec", "-i", *self.session]
        pipe, line = subprocess.PIPE, " ".join(self.statement.split())
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            while not self._stopped.is_set():
                begin = time.time()
                process.stdin.write(f"{line}\n")
                text = process.stdout.readline().strip()
                self.answers.append(Answer(begin, time.time() - begin, text))
                time.sleep(PAUSE)
            process.stdin.close()


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
