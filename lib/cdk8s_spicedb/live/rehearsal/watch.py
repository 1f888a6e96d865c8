"""What a step does to the database: a program in the database's pod looks ten times a second."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.resources import files
from itertools import groupby
from typing import Any

from attrs import define, frozen

from ...errors import SpiceDBError
from ..check.database.question import Fact, Facts
from ..cluster import Cluster
from ..programs import kubectl, running

_BEGUN = re.compile('"fact" ?: ?"sample"')
_EXCLUSIVE = ("AccessExclusiveLock", "MDL_SHARED_NO_READ_WRITE", "MDL_EXCLUSIVE")
"""Modes of locks for which reads wait too."""
_MOST_BYTES = 256 << 20
"""More than the program prints in a day."""


@frozen(kw_only=True)
class Locked:
    """A table that a step locked."""

    table: str
    """Name of the table."""
    writes_seconds: float
    """The longest time for which writes had to wait, in seconds. Measured ten times a second, so shorter locks can be
    missing."""
    reads_seconds: float
    """The longest time for which reads had to wait, in seconds. 0: they had not."""


@frozen(kw_only=True)
class DatabaseUse:
    """What a step needed of the database."""

    bytes_before: int | None = None
    """Size of the database before the step, in bytes. None: it is not known."""
    bytes_after: int | None = None
    """Size of the database after the step, in bytes. None: it is not known."""
    bytes_peak: int | None = None
    """Largest size of the database during the step, in bytes. None: it is not known."""
    log_bytes: int | None = None
    """What the step wrote to the database's log (PostgreSQL: WAL, MySQL: redo log), in bytes, with what the clients
    wrote. None: it is not known."""
    memory_bytes: int | None = None
    """Most memory of the database server during the step, in bytes, as Kubernetes counts it. None: it is not known."""
    locks: Sequence[Locked] | None = None
    """Tables that were locked, those with the longest locks first. None: it is not known."""

    @classmethod
    def of(cls, text: str) -> DatabaseUse:
        """What the program printed."""
        facts = Facts.read(text)
        samples = facts.each("sample")
        sizes, logs = _numbers(samples, "bytes"), _numbers(samples, "log")
        return cls(
            bytes_before=sizes[0] if sizes else None,
            bytes_after=sizes[-1] if sizes else None,
            bytes_peak=max(sizes, default=None),
            log_bytes=logs[-1] - logs[0] if logs else None,
            memory_bytes=max(_numbers(facts.each("memory"), "bytes"), default=None),
            locks=_locks([each for each in samples if each.get("locks") is not None]),
        )

    @property
    def grown(self) -> int | None:
        """How much larger the database is after the step, in bytes. None: it is not known."""
        return self._more(self.bytes_after)

    @property
    def most(self) -> int | None:
        """How much more the database needed during the step, in bytes. None: it is not known."""
        return self._more(self.bytes_peak)

    def _more(self, size: int | None) -> int | None:
        return None if size is None or self.bytes_before is None else size - self.bytes_before


def _numbers(facts: Sequence[Fact], name: str) -> list[int]:
    return [int(fact[name]) for fact in facts if fact.get(name) is not None]


def _locks(samples: Sequence[Fact]) -> list[Locked] | None:
    if not samples:
        return None
    tables = sorted({table for each in samples for table, _ in each["locks"]})
    found = [
        Locked(
            table=table,
            writes_seconds=_longest(samples, lambda name, _, table=table: name == table),
            reads_seconds=_longest(samples, lambda name, mode, table=table: name == table and mode in _EXCLUSIVE),
        )
        for table in tables
    ]
    return sorted(found, key=lambda each: -each.writes_seconds)


def _longest(samples: Sequence[Fact], holds: Callable[..., bool]) -> float:
    """The longest time in which each sample has such a lock, up to the next sample without one."""
    runs = [
        (held, list(run)) for held, run in groupby(samples, lambda each: any(holds(*lock) for lock in each["locks"]))
    ]
    ends: list[Any] = [*(run[0]["at"] for _, run in runs[1:]), samples[-1]["at"]]
    return max(
        (float(end) - float(run[0]["at"]) for (held, run), end in zip(runs, ends, strict=True) if held), default=0
    )


@define
class Watch:
    """Watches a database until its context ends."""

    use: DatabaseUse = DatabaseUse()
    """What it saw. Nothing before the end, and if the program could not run."""


@contextmanager
def watching(cluster: Cluster, pod: str, first: str, sql: str, client: Sequence[str]) -> Iterator[Watch]:
    """Asks a database with a client in its pod until the context ends: ``first`` once, and ``sql`` all the time.

    These are files of ``scripts/``. Without the right to run a program in the pod, nothing is known.
    """
    watch = Watch()
    command = ("sh", "-c", _script("watch.sh"), "watch", _script(first), _script(sql), *client)
    with ExitStack() as stack:
        program = None
        with suppress(SpiceDBError):
            started = running(kubectl(cluster, "exec", "--stdin", pod, "--", *command), cluster, until=_BEGUN)
            program = stack.enter_context(started)
        yield watch
        if program is not None:
            watch.use = DatabaseUse.of(program.output(_MOST_BYTES))


def _script(name: str) -> str:
    return files(__package__).joinpath("scripts").joinpath(name).read_text("utf-8") if name else ""
