"""Versions of SpiceDB."""

from __future__ import annotations

import re
from functools import lru_cache

VERSION = r"v(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?"


def is_version(value: str) -> bool:
    """Whether a text reads as a release of SpiceDB."""
    return isinstance(value, str) and re.fullmatch(VERSION, value) is not None


@lru_cache(maxsize=1024)
def version_order(version: str) -> tuple[object, ...]:
    """A key that sorts versions as Semantic Versioning does: a pre-release comes before its release."""
    match = re.fullmatch(VERSION, version)
    if match is None:
        raise ValueError(f"not a release of SpiceDB: {version!r}")
    *numbers, pre = match.groups()
    parts = pre[1:].split(".") if pre else []
    return *map(int, numbers), pre is None, *((not p.isdigit(), int(p) if p.isdigit() else p) for p in parts)
