"""Hides what may be secret in text that comes from a cluster."""

from __future__ import annotations

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
