"""What ``--verbose`` prints: what a command asks of the cluster, and which programs it starts."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .output import say_error

_PACKAGE = __name__.partition(".")[0]


class _Handler(logging.Handler):
    """Writes to standard error, each line with the seconds since the command began."""

    def __init__(self) -> None:
        super().__init__()
        self._start = time.time()

    def emit(self, record: logging.LogRecord) -> None:
        say_error(f"{record.created - self._start:6.2f} s  {record.getMessage()}")


@contextmanager
def told() -> Iterator[None]:
    """Prints everything that the package logs in the ``with`` block."""
    logger, handler = logging.getLogger(_PACKAGE), _Handler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
