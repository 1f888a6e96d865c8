"""Texts about props in the words of files: fields in camel case, and no Python."""

from __future__ import annotations

import re
from functools import lru_cache

from ..props.annotations import camel

_PYTHON = {
    "``": "`",
    r"\bTrue\b": "true",
    r"\bFalse\b": "false",
    r"\bNone\b": "null",
    r"a tuple or list\b": "a list",
    r"a datetime\.timedelta\b": "a duration",
    r"\ba str\b": "a text",
    r"timedelta\(hours=(\d+)\)": r"\1h",
    r"timedelta\(minutes=(\d+)\)": r"\1m",
    r"timedelta\(seconds=(\d+)\)": r"\1s",
    r"SecretKey\('([^']+)', '([^']+)'\)": r"{name: \1, key: \2}",
    r"SecretKey\([^)]*\)": "{name: …, key: …}",
    r"\b[A-Z]\w+\(([^)]*)\)": r"{\1}",
    r"(?<=[a-zA-Z])=(?=\{|\[|true|false|null|'|…)": ": ",
}
"""By pattern in Python's words, what files have instead."""


@lru_cache(maxsize=4096)
def for_files(text: str) -> str:
    """A text about props in the words of files."""
    for pattern, words in _PYTHON.items():
        text = re.sub(pattern, words, text)
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda match: camel(match[0]), text)
