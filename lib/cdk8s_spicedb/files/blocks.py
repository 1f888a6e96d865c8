"""Mappings and lists as YAML text. PyYAML writes each scalar once; writing whole documents with it takes 20 times as
long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_SIMPLE = {str, int, float, bool, type(None)}
_LONGEST_KEY = 100


class UnusualError(Exception):
    """The document has a part that this module leaves to PyYAML."""


def blocks(document: Any, scalar: Callable[[Any], str]) -> str:
    """A document in the style of `dump`. ``scalar`` writes a scalar, at the indent of a list's item.

    Raises `UnusualError` if it cannot write a part exactly as PyYAML does.
    """
    if not document or not isinstance(document, (dict, list, tuple)):
        raise UnusualError
    lines: list[str] = []
    _add(document, "", scalar, lines)
    return "".join(f"{line}\n" for line in lines)


def _add(value: Any, indent: str, scalar: Callable[[Any], str], lines: list[str]) -> None:
    """Adds the lines of a mapping or a list that is not empty, each with its indent."""
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str or not 0 < len(key) < _LONGEST_KEY or "\n" in key:
                raise UnusualError
            _add_entry(f"{indent}{scalar(key)}:", item, indent, scalar, lines)
        return
    for item in value:
        if item and isinstance(item, (dict, list, tuple)):
            first = len(lines)
            _add(item, f"{indent}  ", scalar, lines)
            lines[first] = f"{indent}- {lines[first][len(indent) + 2 :]}"
        else:
            _add_entry(f"{indent}-", item, indent, scalar, lines)


def _add_entry(head: str, item: Any, indent: str, scalar: Callable[[Any], str], lines: list[str]) -> None:
    """Adds the lines of a value after its key or dash."""
    if isinstance(item, (dict, list, tuple)):
        if item:
            lines.append(head)
            _add(item, f"{indent}  ", scalar, lines)
        else:
            lines.append(f"{head} {'{}' if isinstance(item, dict) else '[]'}")
        return
    if type(item) not in _SIMPLE:
        raise UnusualError
    first, *rest = scalar(item).split("\n")
    if rest and (not first.startswith("|") or "+" in first):
        raise UnusualError
    lines.append(f"{head} {first}")
    lines.extend(f"{indent}{line}" if line else "" for line in rest)
