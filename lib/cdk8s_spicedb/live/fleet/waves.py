"""Which of many upgrades may begin: pure logic. It knows the upgrades only by their numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

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
