"""Waiting and asking side by side: the only place that sleeps, with a deadline on every loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from threading import Event
from typing import TypeVar

from attrs import frozen

T = TypeVar("T")
R = TypeVar("R")
_THREADS = 8
EVERY_SECONDS = 0.5
"""Time between two questions."""


def timestamp(moment: datetime) -> str:
    """A time in UTC, as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    """The time. Tests pass one that does not wait."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment. They never go backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)

    def wait(self, event: Event, seconds: float) -> bool:
        """Waits for an event of another thread, at most for so many seconds. Returns whether it happened."""
        return event.wait(seconds)

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(timezone.utc)


CLOCK = Clock()


class Interrupted(KeyboardInterrupt):
    """Somebody interrupted the work of this thread."""


class InterruptibleClock(Clock):
    """A clock that raises `Interrupted` while it waits, as soon as an event is set."""

    def __init__(self, interrupted: Event) -> None:
        self._interrupted = interrupted

    def sleep(self, seconds: float) -> None:
        """Waits, or raises `Interrupted`."""
        if self._interrupted.wait(seconds):
            raise Interrupted


@frozen
class Deadline:
    """A moment after which a loop gives up."""

    clock: Clock
    end: float

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> Deadline:
        """The moment so many seconds from now."""
        return cls(clock, clock.monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds until the moment. 0 when it is over."""
        return max(self.end - self.clock.monotonic(), 0)


def poll(
    observe: Callable[[], T],
    *,
    until: Callable[[T], object],
    seconds: float,
    clock: Clock = CLOCK,
    every: float = EVERY_SECONDS,
) -> T:
    """Observes until ``until`` finds the answer it wants, at most for so many seconds. Returns the last answer."""
    deadline = Deadline.after(clock, seconds)
    while True:
        seen = observe()
        if until(seen) or not deadline.left:
            return seen
        clock.sleep(min(every, deadline.left))


def sometimes(notify: Callable[[T], object], clock: Clock = CLOCK, seconds: float = 5) -> Callable[[T], None]:
    """A function that passes a value on if it passed none on for so many seconds."""
    last = clock.monotonic()

    def tell(value: T) -> None:
        nonlocal last
        if clock.monotonic() - last >= seconds:
            last = clock.monotonic()
            notify(value)

    return tell


def parallel(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The results of a function for each item, in the order of the items. Raises the first error."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, items))
