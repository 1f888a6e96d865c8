"""A database session that runs one statement again and again, and notes how long each answer took."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from attrs import define, field, frozen

from bench.background import Background
from tests.lab.cluster import Namespace

PAUSE = 0.05


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
