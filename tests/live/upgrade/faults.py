"""Faults at the calls of the package: of the API server, of a program, and of the process itself.

The faults are in the package's own connection to the API server, and in the place of the function that runs programs.
So the fake kubectl, which uses the same API server, has none.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from json import dumps, loads
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import httpx2
from attrs import define, evolve, field, frozen

from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.poll import Interrupted
from cdk8s_spicedb.live.programs import Ended
from tests.apierrors import refusal
from tests.apiserver import ApiServer, Object, Request
from tests.live.clock import FakeClock
from tests.live.kubectl import Kubectl

from .helmprogram import BUSY, Helm, Killed, Stopped


@frozen(order=True)
class Call:
    """A call of the package, which is the same one in every run."""

    where: str
    """``api``, ``program`` or ``clock``."""
    what: str
    number: int
    """How many such calls came before it."""

    def __str__(self) -> str:
        return f"{self.what} ({self.number + 1})"


@frozen
class Cell:
    """One run of a scenario: a fault at a call, once or from there on."""

    call: Call
    kind: str
    forever: bool = False

    @property
    def kills(self) -> bool:
        """Whether this process is killed."""
        return self.kind in ("killed", "killed before", "killed after")

    @property
    def hides_the_record(self) -> bool:
        """Whether the API server denies that there is a record: then a rollback goes by the history of the release."""
        return self.kind == "404" and self.call.what.startswith("get configmaps")

    @property
    def stays_away(self) -> bool:
        """Whether the API server does not answer until the end, or denies that an object exists."""
        return self.call.where == "api" and (self.forever or self.kind == "404")

    def __str__(self) -> str:
        return f"{self.kind} at {self.call}{' and from then on' if self.forever else ''}"


# ---------------------------------------------------------------- the API server

Send = Callable[[], httpx2.Response]


def _status(status: int, text: str = "injected", **headers: str) -> Callable[[Send], httpx2.Response]:
    def answer(_: Send) -> httpx2.Response:
        made = refusal(status, text)
        made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        return made

    return answer


def _raises(error: Exception, *, sent: bool) -> Callable[[Send], httpx2.Response]:
    def answer(send: Send) -> httpx2.Response:
        if sent:
            send()
        raise error

    return answer


def _cut(send: Send) -> httpx2.Response:
    whole = send()
    return httpx2.Response(whole.status_code, content=whole.content[: len(whole.content) // 2])


API: Mapping[str, Callable[[Send], httpx2.Response]] = {
    "401": _status(401, "Unauthorized"),
    "403": _status(403),
    "404": _status(404),
    "409": _status(409),
    "410": _status(410, "too old resource version"),
    "429": _status(429, "too many requests", Retry_After="5"),
    "500 of etcd": _status(500, "etcdserver: request timed out"),
    "500": _status(500, "runtime error: invalid memory address or nil pointer dereference"),
    "502": _status(502),
    "503": _status(503),
    "504": _status(504),
    "HTML": lambda _: httpx2.Response(200, text="<html><body>Please log in</body></html>"),
    "redirect": lambda _: httpx2.Response(302, headers={"Location": "https://login.example.com/"}),
    "cut JSON": _cut,
    "no connection": _raises(httpx2.ConnectError("connection refused"), sent=False),
    "reset before": _raises(httpx2.ReadError("connection reset by peer"), sent=False),
    "reset after": _raises(httpx2.ReadError("connection reset by peer"), sent=True),
    "time-out": _raises(httpx2.ReadTimeout("timed out"), sent=True),
}
"""Kinds of faults, and what becomes of the request and of its answer."""

PROCESS = ("interrupted before", "interrupted after", "killed before", "killed after")
"""Kinds of faults of this process, at a call."""
CHANGES = ("upgrade", "rollback", "uninstall", "apply", "rollout undo")
"""The programs that change something."""


@define
class Faulty:
    """What the package calls, with the fault of a cell."""

    api: ApiServer
    program: Helm | Kubectl
    clock: FakeClock
    cell: Cell | None = None
    calls: list[Call] = field(factory=list)
    """The calls, oldest first."""
    changes: list[str] = field(factory=list)
    """The commands of programs that change something, and were run."""
    other: Object | None = None
    """The Secret of somebody else's Helm, which works on the release."""
    dead: bool = False
    """Whether this process was killed: nothing that it calls happens any more."""
    base_url: ClassVar[str] = "https://cluster"
    _counts: Counter[tuple[str, str]] = field(factory=Counter)
    _striking: bool = False
    _lock: threading.RLock = field(factory=threading.RLock)

    def healed(self) -> Faulty:
        """A new process, without a fault."""
        made = Faulty(self.api, self.program, self.clock)
        self.clock.on_sleep = made.sleeps
        return made

    def strikes(self, where: str, what: str) -> bool:
        """Counts a call. Says whether it has the fault."""
        with self._lock:
            if self.dead:
                raise Killed
            call = Call(where, what, self._counts[where, what])
            self._counts[where, what] += 1
            self.calls.append(call)
            if self.cell is None:
                return False
            if call == self.cell.call:
                self._striking = True
                return True
            return self._striking and self.cell.forever and where == self.cell.call.where

    # -------------------------------------------------------- the API server

    def cluster(self, namespace: str) -> Cluster:
        """The cluster, as the package sees it."""
        client: Any = self
        return Cluster(client, namespace, None, 0, self.clock)

    @contextmanager
    def stream(
        self, method: str, path: str, *, timeout: float, json: Any = None, **options: Any
    ) -> Iterator[httpx2.Response]:
        """Takes the place of the method of an HTTP client. Most of the time of a client goes into addresses."""
        assert timeout > 0
        headers = options.get("headers", {})
        yield self._answer(
            self.api.understood(
                Request(
                    method=method,
                    path=path,
                    query=options.get("params", {}),
                    body=None if json is None else loads(dumps(json)),
                    content_type=headers.get("Content-Type", "application/json"),
                    accept=headers.get("Accept", ""),
                )
            )
        )

    def _answer(self, found: Request) -> httpx2.Response:
        if not self.strikes("api", _named(found)):
            return self.api.answer_to(found)
        assert self.cell is not None
        if self.cell.kind in PROCESS:
            return self._process_ends(lambda: self.api.answer_to(found))
        if self.cell.kind == "time-out":
            self.clock.seconds += 10
        return API[self.cell.kind](lambda: self.api.answer_to(found))

    def _process_ends(self, act: Callable[[], object]) -> NoReturn:
        assert self.cell is not None
        if self.cell.kind.endswith("after"):
            act()
        self.dead = self.cell.kills
        raise Killed if self.dead else KeyboardInterrupt

    # -------------------------------------------------------- the clock

    def sleeps(self, _: float) -> None:
        """Called at each pause."""
        assert self.clock.seconds < 6 * 3600, "it waits for ever"
        if threading.current_thread() is threading.main_thread() and self.strikes("clock", "pause"):
            assert self.cell is not None
            self.dead = self.cell.kills
            raise Killed if self.dead else Interrupted

    # -------------------------------------------------------- programs

    def run(
        self,
        command: Sequence[str],
        cluster: Cluster,
        *,
        seconds: float = 60,
        watch: Callable[[], str | None] = lambda: None,
    ) -> Ended:
        """Takes the place of the function that runs programs."""
        started = Started(self, command, cluster, seconds, watch)
        if not self.strikes("program", f"{command[0]} {started.what}"):
            return started.finish()
        assert self.cell is not None
        if self.cell.kind == "killed before":
            # Then the program has begun, and is killed too.
            started.comes_to("applied")
        if self.cell.kind in PROCESS:
            self._process_ends(started.finish)
        return PROGRAM[self.cell.kind](started)


@frozen
class Started:
    """A program that the package starts."""

    process: Faulty
    command: Sequence[str]
    cluster: Cluster
    seconds: float
    watch: Callable[[], str | None]

    @property
    def what(self) -> str:
        """What the program does, such as ``upgrade`` or ``rollout undo``."""
        words = [each for each in self.command[1:] if not each.startswith("-")]
        return " ".join(words[: 2 if words[0] == "rollout" else 1])

    def finish(self, command: Sequence[str] | None = None) -> Ended:
        """Runs it to its end."""
        if self.what in CHANGES:
            self.process.changes.append(self.what)
        return self.process.program.run(command or self.command, self.cluster, seconds=self.seconds, watch=self.watch)

    def comes_to(self, point: str, stderr: str = "") -> Ended:
        """Lets it come only to a point, where it is killed: Helm has made its revision (``pending``), and has changed
        the objects (``applied``). kubectl has then applied half of them, or all of a rollback."""
        program = self.process.program
        if self.what not in CHANGES:
            pass
        elif isinstance(program, Helm):
            program.stops_at = point
            with suppress(Stopped):
                self.finish()
            program.stops_at = ""
        elif point == "applied":
            self.finish([_with_half(each) for each in self.command])
        return Ended(False, "", stderr)

    def never_ends(self, *, in_order: bool) -> Ended:
        """Lets it wait until the package stops it. Helm then ends in order, or is killed."""
        self.comes_to("applied")
        stopped, clock = f"it has not ended within {self.seconds:.0f} s", self.cluster.clock
        end = clock.monotonic() + self.seconds
        while clock.monotonic() < end:
            clock.sleep(1)
            reason = self.watch()
            if reason is not None:
                stopped = reason
                break
        if in_order and isinstance(self.process.program, Helm):
            self.process.program.ends_in_order(self.command[2])
        return Ended(False, "", "", stopped)

    def is_refused(self) -> Ended:
        """Somebody else's Helm has begun just before."""
        program = self.process.program
        if not isinstance(program, Helm) or self.what not in CHANGES:
            return self.finish()
        self.process.other = self.process.other or program.begins(self.command[2])
        return Ended(False, "", f"Error: UPGRADE FAILED: {BUSY}")


def _with_half(option: str) -> str:
    """The option for a file, with a file that has half of the objects."""
    name, _, value = option.partition("=")
    if name != "--filename":
        return option
    documents = Path(value).read_text(encoding="utf-8").split("\n---\n")
    half = Path(value).with_name("half.yaml")
    half.write_text("\n---\n".join(documents[: len(documents) // 2 + 1]), encoding="utf-8")
    return f"{name}={half}"


_LOST = 'Error: Get "https://cluster": dial tcp 10.0.0.1:443: connect: connection refused'
_WARNING = "W0101 00:00:00.000000 warnings.go:70] v1 Something is deprecated"
PROGRAM: Mapping[str, Callable[[Started], Ended]] = {
    "refused": lambda _: Ended(False, "", "Error: injected"),
    "fails after it has done everything": lambda it: evolve(it.finish(), ok=False, stdout="", stderr="Error: injected"),
    "loses the connection": lambda it: it.comes_to("applied", _LOST),
    "garbled output": lambda it: evolve(it.finish(), stdout="\0\ufffd{["),
    "warning": lambda it: evolve(it.finish(), stderr=_WARNING),
    "never ends": lambda it: it.never_ends(in_order=True),
    "never ends and is killed": lambda it: it.never_ends(in_order=False),
    "killed at once": lambda it: it.comes_to("pending"),
    "killed halfway": lambda it: it.comes_to("applied"),
    "another operation": lambda it: it.is_refused(),
}
"""Kinds of faults of a program, and what becomes of it."""


def _named(request: Request) -> str:
    """A call, without names that differ in each run."""
    resource = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    name = "" if request.resource == "pods" else request.name
    part = request.query.get("labelSelector", "") if request.resource in ("pods", "jobs", "secrets") else ""
    dry = "dry run" if request.dry_run else ""
    return " ".join(filter(None, (request.verb or request.path, resource, name, part, dry)))


def kinds_of(call: Call, *, helm: bool) -> Iterator[Cell]:
    """All faults of a call."""
    if call.where == "clock":
        yield from (Cell(call, kind) for kind in ("interrupted", "killed"))
        return
    yield from (Cell(call, kind) for kind in PROCESS)
    if call.where == "api":
        yield from (Cell(call, kind, forever) for kind in API for forever in (False, True))
        return
    yield from (
        Cell(call, kind, forever)
        for kind in PROGRAM
        for forever in (False, True)
        if helm or kind != "another operation"
    )
