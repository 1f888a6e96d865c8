"""Shows the progress of an upgrade: as a table that changes on a terminal, and as plain lines elsewhere."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from ..live.upgrade.outcome import Activity, Outcome, Progress, State
from ..plans.words import step_of
from .options import placed
from .output import BAD, FAINT, Stream, ask, console, say_error, styled

if TYPE_CHECKING:
    from rich.text import Text

_Self = TypeVar("_Self", bound="Screen")


class Screen(ABC):
    """Shows progress: on a terminal in a part that changes, and elsewhere only as plain lines."""

    transient: ClassVar[bool] = False
    """Whether the changing part disappears at the end."""
    soft_wrap: ClassVar[bool] = False
    """Whether the terminal itself wraps long lines."""

    def __init__(self, *, quiet: bool = False, to: Console | None = None) -> None:
        self._stream, self._quiet = Stream(lasting=True), quiet
        self._console = to or console(self._stream)
        self._live = self._changing() if self._console.is_terminal and not quiet else None

    def _changing(self) -> Live:
        return Live(console=self._console, get_renderable=self.render, refresh_per_second=4, transient=self.transient)

    def __enter__(self: _Self) -> _Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def render(self) -> Group | Text:
        """The changing part, as it is now."""

    def stop(self) -> None:
        """Ends the changing part."""
        if self._live:
            self._live.stop()
            self._live = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Shows nothing that changes, for lines and questions."""
        if self._live:
            self._live.transient = True
            self._live.stop()
        yield
        if self._live:
            # A new one: the old one would write over the last line.
            self._live = self._changing()
            self._live.start()

    def line(self, *texts: str | Text) -> None:
        """Writes lines that stay."""
        for text in texts if not self._quiet else ():
            self._console.print(styled(text), soft_wrap=self.soft_wrap)

    def confirms(self, texts: Iterable[str | Text], question: str, *, yes: bool) -> bool:
        """Writes lines, then asks. With ``yes``, the answer is known."""
        with self.paused():
            self.line(*texts)
            return yes or ask(question, seen=self._stream.works)


_QUIET_SECONDS = 30
_STYLES = {Activity.ROLL_BACK: BAD, Activity.DONE: "bold green", Activity.OBSERVE: "cyan"}


class News:
    """Says which progress of one upgrade is worth a line."""

    def __init__(self) -> None:
        self.last: Progress | None = None
        self._line_start = time.monotonic()

    def begins(self, progress: Progress) -> bool:
        """Whether it is another activity, or another step, than the last."""
        return self.last is None or (self.last.step, self.last.activity) != (progress.step, progress.activity)

    def is_new(self, progress: Progress) -> bool:
        """Whether a line is worth writing. Where only the time goes on, a line in half a minute is enough."""
        last, self.last, begins = self.last, progress, self.begins(progress)
        says_more = last is not None and progress.activity is not Activity.OBSERVE and progress.text != last.text
        is_late = progress.seconds_left is not None and time.monotonic() - self._line_start >= _QUIET_SECONDS
        if begins or says_more or is_late:
            self._line_start = time.monotonic()
        return begins or says_more or is_late


class Display(Screen):
    """Shows what an upgrade does."""

    def __init__(self, *, quiet: bool = False, to: Console | None = None) -> None:
        self._start = self._activity_start = time.monotonic()
        self._news = News()
        self._done: list[tuple[Progress, float]] = []
        super().__init__(quiet=quiet, to=to)

    def end(self, outcome: Outcome, options: Any = None) -> None:
        """Ends the changing part, and says why the target is not reached."""
        self.stop()
        if outcome.state is State.INTERRUPTED:
            say_error("Interrupted. Run the same command again to continue.")
        elif outcome.error is not None:
            say_error(f"error: {placed(outcome.reason, options)}")

    def report(self, progress: Progress) -> None:
        """Shows the progress."""
        last, now = self._news.last, time.monotonic()
        if self._news.begins(progress):
            if last is not None:
                self._done.append((last, now - self._activity_start))
            self._activity_start = now
        if self._news.is_new(progress) and self._live is None:
            self.line(f"{now - self._start:6.1f} s  {sentence(progress)}")

    def render(self) -> Group | Text:
        """The steps that are done, and the one that runs."""
        last = self._news.last
        if last is None:
            return styled()
        table = Table.grid(padding=(0, 2))
        for done, seconds in self._done:
            table.add_row("✓", _place(done), done.activity.value, f"{seconds:.0f} s", styled(_details(done)))
        style = _STYLES.get(last.activity, "bold")
        mark = styled("✓", style=style) if last.activity is Activity.DONE else Spinner("dots")
        used = f"{time.monotonic() - self._activity_start:.0f} s"
        place, activity = styled(_place(last), style=style), styled(last.activity.value, style=style)
        table.add_row(mark, place, activity, used, styled(_details(last)))
        return Group(table, styled(f"{time.monotonic() - self._start:.0f} s in total", style=FAINT))


def sentence(progress: Progress) -> str:
    """The progress in one line."""
    text = f"{progress.activity.value}: {_details(progress)}"
    return f"{_place(progress)}: {text}" if progress.step else text


def _details(progress: Progress) -> str:
    left = progress.seconds_left
    return progress.text if left is None else f"{progress.text} (at most {left} s left)"


def _place(progress: Progress) -> str:
    return step_of(progress.step, progress.steps) if progress.step else ""
