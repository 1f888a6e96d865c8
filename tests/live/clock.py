"""A clock for tests of what waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from threading import Event

from attrs import define

from cdk8s_spicedb.live.poll import Clock


@define
class FakeClock(Clock):
    """A clock that moves only when somebody waits, and then at once. ``on_sleep`` gets the time after each pause."""

    seconds: float = 0
    on_sleep: Callable[[float], None] = lambda _: None

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.on_sleep(self.seconds)

    def wait(self, event: Event, seconds: float) -> bool:
        # Other threads go on meanwhile.
        return event.wait(0.01)

    def now(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=self.seconds)
