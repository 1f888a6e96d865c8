"""What runs in a thread of its own until a context ends."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

from attrs import define, field

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
