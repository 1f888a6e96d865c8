"""Ends the work in order when somebody asks for it: with Ctrl-C, or as a CI system does, with SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import Any

STOPPED = Event()
"""Set after such a signal, for threads that wait."""
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def signals_end_work() -> Iterator[None]:
    """Within it, each of these signals raises `KeyboardInterrupt`, so that everything is left in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    STOPPED.clear()
    # What the shell ignores, as for a command in the background, stays ignored.
    before: dict[int, Any] = {each: signal.getsignal(each) for each in _SIGNALS}
    handled = [each for each, handler in before.items() if handler is not signal.SIG_IGN]
    for each in handled:
        signal.signal(each, _stop)
    try:
        yield
    finally:
        for each in handled:
            signal.signal(each, before[each] or signal.SIG_DFL)


def _stop(_: int, __: FrameType | None) -> None:
    STOPPED.set()
    raise KeyboardInterrupt
