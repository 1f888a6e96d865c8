"""What the displays of progress share: lines that stay and, on a terminal, a part below them that changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import ClassVar, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from .cluster import console

_Self = TypeVar("_Self", bound="Screen")


class Screen(ABC):
    """Shows progress: on a terminal in a part that changes, and elsewhere only as plain lines."""

    transient: ClassVar[bool] = False
    """Whether the changing part disappears at the end."""
    soft_wrap: ClassVar[bool] = False
    """Whether the terminal itself wraps long lines."""

    def __init__(self, *, quiet: bool = False, to: Console | None = None) -> None:
        self._console, self._quiet = to or console(), quiet
        self._live: Live | None = None
        if self._console.is_terminal and not quiet:
            self._live = Live(
                console=self._console, get_renderable=self.render, refresh_per_second=4, transient=self.transient
            )

    def __enter__(self: _Self) -> _Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
            self._live.stop()
        yield
        if self._live:
            self._live.start()

    def line(self, text: str | Text) -> None:
        """Writes a line that stays."""
        if not self._quiet:
            self._console.print(text, markup=False, soft_wrap=self.soft_wrap)
