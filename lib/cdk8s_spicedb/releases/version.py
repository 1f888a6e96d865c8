"""SpiceDB versions."""

from __future__ import annotations

import re
from functools import lru_cache

VERSION = r"v(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?"


def is_version(value: str) -> bool:
    """Whether a value is a SpiceDB version, such as ``v1.56.0``."""
    return isinstance(value, str) and re.fullmatch(VERSION, value) is not None


@lru_cache(maxsize=1024)
def version_order(version: str) -> tuple[object, ...]:
    """Key to sort versions by Semantic Versioning: a pre-release comes before its release."""
    match = re.fullmatch(VERSION, version)
    if match is None:
        raise ValueError(f"invalid SpiceDB version: {version!r}")
    *numbers, suffix = match.groups()
    parts = suffix[1:].split(".") if suffix else []
    return *map(int, numbers), suffix is None, *((not p.isdigit(), int(p) if p.isdigit() else p) for p in parts)
