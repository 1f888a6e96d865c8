"""Lines of a log in words: SpiceDB logs JSON."""

from __future__ import annotations

import json

from .redact import redacted

_SERIOUS = ("error", "fatal", "panic")
_SHORT = 3
"""Number of lines of a log in which the last one is the reason."""


def in_words(line: str) -> str:
    """A line of a log without what only programs need: its message, and its error."""
    fields = _fields(line)
    if fields is None:
        return redacted(line.strip())
    parts = (fields.get("message"), fields.get("error"))
    return redacted(": ".join(str(part) for part in parts if part) or line.strip())


def last_error(text: str) -> str:
    """The last error in a log. Without one, the last line of plain text, or else the last line."""
    lines = [line for line in text.splitlines() if line.strip()]
    for line in reversed(lines):
        fields = _fields(line)
        if fields is None or fields.get("level") in _SERIOUS:
            return in_words(line)
    return in_words(lines[-1]) if lines else ""


def first_error(text: str) -> str:
    """The first error in a log: after some, a long usage text follows. Empty if there is none in a long log."""
    lines = [line for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        fields = _fields(line)
        if line.startswith("Usage:") and number:
            return in_words(lines[number - 1])
        if line.startswith("Error") or (fields or {}).get("level") in _SERIOUS:
            return in_words(line)
    return in_words(lines[-1]) if 0 < len(lines) <= _SHORT else ""


def _fields(line: str) -> dict[str, object] | None:
    """The fields of a line of JSON. None for another line."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
