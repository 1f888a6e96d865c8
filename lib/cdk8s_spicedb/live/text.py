"""Hides what may be secret in text that comes from a cluster."""

from __future__ import annotations

import json
import re
from typing import Any

HIDDEN = "(hidden)"
_USER_INFO = re.compile(r"(?<=://)[^/\s@]*:[^\s@]*@")
_DSN = re.compile(r"[\w.-]+:[^\s@]+(?=@(?:tcp|unix)\()")
_PAIR = re.compile(r"(?i)\b(password|passwd|preshared[-_]key|secret|token)(\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&]+)")
_SECRET_NAME = re.compile(r"(?i)password|passwd|preshared|secret_?key|token$|conn-?_?uri|credential")
_REFERENCES = re.compile(r"(\$\([\w.-]+\)|,)*")


def redacted(text: str) -> str:
    """A text without the passwords of its URIs and settings."""
    text = _USER_INFO.sub(f"{HIDDEN}@", text)
    text = _DSN.sub(HIDDEN, text)
    return _PAIR.sub(rf"\1\2{HIDDEN}", text)


def shown(path: str, value: Any) -> Any:
    """The value of a field as it may be shown. A value that only names variables is no secret."""
    if isinstance(value, list):
        return [shown(path, item) for item in value]
    if not isinstance(value, str) or _REFERENCES.fullmatch(value):
        return value
    name = path.rpartition("[")[2].partition("]")[0] if path.endswith(("]", "].value")) else ""
    # The names of Secrets, of their keys and of files are no secrets.
    if name and _SECRET_NAME.search(name) and ".env[" in path and path.endswith(".value"):
        return HIDDEN
    if name.startswith("--") and _SECRET_NAME.search(name) and not value.startswith("/"):
        return HIDDEN
    return redacted(value)


_SERIOUS = ("error", "fatal", "panic")


def in_words(line: str) -> str:
    """A line of a log without what only programs need: its message, and its error."""
    fields = _fields(line) or {}
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
    # In a short log, the last line is the reason.
    return in_words(lines[-1]) if 0 < len(lines) <= 3 else ""


def _fields(line: str) -> dict[str, object] | None:
    """The fields of a line of JSON. None for another line."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
