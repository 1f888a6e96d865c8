"""Which of many upgrades may begin: pure logic. It knows the upgrades only by their numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread

from attrs import evolve, frozen


def waves_of(count: int, canary: int, wave_size: int) -> list[Sequence[int]]:
    """The numbers from 0 in waves: first ``canary`` of them, then groups of ``wave_size``."""
    rest = [range(start, min(start + wave_size, count)) for start in range(min(canary, count), count, wave_size)]
    return [range(min(canary, count)), *rest] if canary and count else [*rest]


@frozen(kw_only=True)
class Schedule:
    """Where the waves stand. Every method returns the schedule after an event, and changes nothing."""

    waves: Sequence[Sequence[int]]
    """The numbers in the order in which they begin."""
    parallel: int
    """How many run at the same time."""
    running: frozenset[int] = frozenset()
    """Those that run."""
    done: frozenset[int] = frozenset()
    """Those that need not begin any more, because they succeeded or had nothing to do."""
    stopped: bool = False
    """Whether no new one begins, because one failed or somebody interrupted."""

    @property
    def ready(self) -> Sequence[int]:
        """Those that may begin now. A wave begins only when all of the wave before are done."""
        if self.stopped:
            return ()
        for wave in self.waves:
            waiting = [number for number in wave if number not in self.running | self.done]
            if waiting or self.running.intersection(wave):
                return waiting[: max(self.parallel - len(self.running), 0)]
        return ()

    @property
    def over(self) -> bool:
        """Whether nothing runs, and nothing can begin."""
        return not self.running and not self.ready

    def skip(self, numbers: Collection[int]) -> Schedule:
        """Some have nothing to do."""
        return evolve(self, done=self.done | frozenset(numbers))

    def begin(self, number: int) -> Schedule:
        """One begins."""
        return evolve(self, running=self.running | {number})

    def end(self, number: int, *, succeeded: bool) -> Schedule:
        """One ends. If it failed, no new one begins."""
        after = evolve(self, running=self.running - {number})
        return evolve(after, done=after.done | {number}) if succeeded else after.stop()

    def stop(self) -> Schedule:
        """No new one begins. Those that run go on."""
        return evolve(self, stopped=True)


_POLL_SECONDS = 1.0


class Crew:
    """Runs work in the order of a schedule.

    `run` belongs in the main thread, because only that one notices Ctrl-C. The first Ctrl-C sets ``interrupted``, and
    no new work begins. `run` then waits for the work that runs, which should end when it sees this. A second Ctrl-C
    leaves it alone.
    """

    def __init__(self, schedule: Schedule, work: Callable[[int], bool], interrupted: Event) -> None:
        self._first, self._work, self._interrupted = schedule, work, interrupted
        self._threads: dict[int, Thread] = {}
        self._results: dict[int, bool] = {}
        self._errors: list[BaseException] = []
        self._ends: SimpleQueue[int] = SimpleQueue()

    def run(self, on_interrupt: Callable[[], None] = lambda: None) -> None:
        """Runs until nothing runs and nothing can begin. Then raises the first error that the work itself raised."""
        try:
            self._run_all()
        except KeyboardInterrupt:
            self._interrupted.set()
            with suppress(KeyboardInterrupt):
                on_interrupt()
                self._run_all()
        if self._errors:
            raise self._errors[0]

    def _run_all(self) -> None:
        while not (schedule := self._schedule()).over:
            for number in schedule.ready:
                self._begin(number)
            with suppress(Empty):
                self._ends.get(timeout=_POLL_SECONDS)

    def _schedule(self) -> Schedule:
        """The schedule by what is true now, so that an interruption at any point cannot leave it wrong."""
        schedule = self._first
        for number, thread in self._threads.items():
            schedule = schedule.begin(number) if thread.ident is not None else schedule
        for number, succeeded in self._results.copy().items():
            schedule = schedule.end(number, succeeded=succeeded)
        return schedule.stop() if self._interrupted.is_set() else schedule

    def _begin(self, number: int) -> None:
        # A daemon does not keep the program alive after a second Ctrl-C.
        self._threads[number] = Thread(target=self._do, args=(number,), daemon=True)
        self._threads[number].start()

    def _do(self, number: int) -> None:
        succeeded = False
        try:
            succeeded = self._work(number)
        except BaseException as error:  # Whatever it is, the others go on to their end.
            self._errors.append(error)
        finally:
            self._results[number] = succeeded
            self._ends.put(number)
