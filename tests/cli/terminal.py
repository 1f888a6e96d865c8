"""A terminal on which somebody types, or nobody does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def typed(monkeypatch: pytest.MonkeyPatch, text: str | None) -> Iterator[None]:
    """Standard input is a terminal on which somebody types a text, and then Ctrl-D. None: nobody types."""
    reader, writer = os.pipe()
    with open(reader) as terminal, monkeypatch.context() as patched:
        patched.setattr(terminal, "isatty", lambda: True)
        patched.setattr(sys, "stdin", terminal)
        if text is not None:
            os.write(writer, text.encode())
            os.close(writer)
        yield
    if text is None:
        os.close(writer)
